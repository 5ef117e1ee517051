"""The rows of MEASURES, one file a family."""
