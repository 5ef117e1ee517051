"""Model and inputs -> the measures of every layer."""

from conescope.profile.attention import profile_attention
from conescope.profile.bias_drift import bias_drift
from conescope.profile.layers import DEFAULT_MEASURES, profile_layers
from conescope.profile.settings import POINTS
from conescope.profile.side_by_side import compare_profiles

__all__ = [
    "DEFAULT_MEASURES",
    "POINTS",
    "bias_drift",
    "compare_profiles",
    "profile_attention",
    "profile_layers",
]
