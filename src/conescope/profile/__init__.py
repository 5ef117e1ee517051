"""Model and inputs -> the measures of every layer."""

from conescope.profile.layers import DEFAULT_MEASURES, POINTS, profile_layers

__all__ = ["DEFAULT_MEASURES", "POINTS", "profile_layers"]
