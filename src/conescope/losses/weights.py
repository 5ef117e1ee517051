"""The weight of a regularizer."""

import math


def check_weight(weight: float, name: str = "weight") -> float:
    """Return the weight as it is; raise ValueError if it is not finite."""
    if not math.isfinite(weight):
        raise ValueError(f"{name} must be finite, got {weight}")
    return weight
