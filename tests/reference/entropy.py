"""Persistent entropy and its gradient, as METHODS 1.1 writes them, with lists and loops."""

import math


def entropy(lengths: list[float]) -> float:
    """E = - sum p ln p with p = l / S; a bar of length zero adds nothing."""
    total = math.fsum(lengths)
    return -math.fsum(l / total * math.log(l / total) for l in lengths if l > 0)  # noqa: E741


def gradient(lengths: list[float]) -> list[float]:
    """dE/dl = - (ln p + E) / S for positive bars; 0 for a bar of length zero."""
    total = math.fsum(lengths)
    e = entropy(lengths)
    return [-(math.log(length / total) + e) / total if length > 0 else 0.0 for length in lengths]
