"""Speed and memory, side by side with other packages, in one run on one machine."""
