"""Point clouds of every kind that has broken a spanning tree somewhere."""

import numpy as np


def gaussian(rng, n, d):
    return rng.normal(size=(n, d))


def clusters(rng, n, d):
    centers = 50 * rng.normal(size=(4, d))
    return centers[rng.integers(0, 4, n)] + rng.normal(size=(n, d)) * 0.01


def duplicates(rng, n, d):
    """About a dozen copies of every point."""
    return rng.normal(size=(n // 12 + 1, d))[rng.integers(0, n // 12 + 1, n)]


def all_equal(rng, n, d):
    return np.tile(rng.normal(size=(1, d)), (n, 1))


def grid(rng, n, d):
    """Small integers: ties and duplicates at once."""
    return rng.integers(0, 4, size=(n, d)).astype(float)


def far_from_the_origin(rng, n, d):
    """A mean a thousand times the spread: the inner products cancel."""
    return 1000 * rng.choice([-1, 1], size=(1, d)) + rng.normal(size=(n, d))


def tiny(rng, n, d):
    return 1e-6 * rng.normal(size=(n, d))


def huge(rng, n, d):
    return 1e6 * rng.normal(size=(n, d))


def collinear(rng, n, d):
    return rng.normal(size=(n, 1)) * rng.normal(size=(1, d)) + rng.normal(size=(1, d))


def uneven_axes(rng, n, d):
    return rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 2, size=d)


KINDS = {
    kind.__name__: kind
    for kind in (
        gaussian,
        clusters,
        duplicates,
        all_equal,
        grid,
        far_from_the_origin,
        tiny,
        huge,
        collinear,
        uneven_axes,
    )
}
