"""Self-similarity: does a word keep its direction from one context to another?

For the directions u_i = x_i / |x_i| of the n_t occurrences of a word type t, the mean over pairs

    s_t = 2 / (n_t (n_t - 1)) sum_{i<j} u_i . u_j = (|sum_i u_i|^2 - n_t) / (n_t (n_t - 1)),

and self-similarity is the mean of s_t over the types, each type counted once, however often it occurs.
1 means that context changes no direction. Where all points lie in a cone, unrelated ones are similar
too: the adjusted form subtracts the mean cosine of all points. Unchanged by rotation and by scaling, also
of single points.

The labels are word types here; for any other classes it is the mean cosine within a class.

Reference: Ethayarajh (2019), arXiv:1909.00512, whose code draws at most 1000 pairs of a type.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.measures.centering import in_double
from conescope.measures.cosine import mean_cosine, mean_cosine_from_moments
from conescope.measures.directions import directions
from conescope.scale.moments import Moments


def self_similarity(points: Points, labels: Labels) -> Scalar:
    """Return the mean cosine of two occurrences of a type, averaged over types, from -1 to 1.

    Zero vectors have no direction and are left out. A type with fewer than two directions has no pair
    and is left out; without any other type it is nan.

    >>> points = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    >>> self_similarity(points, torch.tensor([0, 0, 7, 7]))  # (sqrt(1/2) + 1) / 2
    tensor(0.8536)
    """
    return _in_double(points, labels).to(points.dtype)


def self_similarity_from_moments(moments: Moments) -> Scalar:
    """Return `self_similarity` of any points with these moments of classes."""
    if moments.classes is None:
        raise ValueError("self-similarity needs moments of classes: scan with labels")
    return _mean_over_types(moments.classes.direction_sums, moments.classes.direction_counts)


def self_similarity_adjusted(points: Points, labels: Labels) -> Scalar:
    """Return `self_similarity` minus `mean_cosine` of all points: what is more than the common cone.

    >>> points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 3.0]])  # mean cosine 1/3
    >>> self_similarity_adjusted(points, torch.tensor([0, 0, 7, 7]))
    tensor(0.6667)
    """
    return (_in_double(points, labels) - mean_cosine(in_double(points))).to(points.dtype)


def self_similarity_adjusted_from_moments(moments: Moments) -> Scalar:
    """Return `self_similarity_adjusted` of any points with these moments of classes."""
    return self_similarity_from_moments(moments) - mean_cosine_from_moments(moments)


def _in_double(points: Points, labels: Labels) -> Scalar:
    units, found = directions(points)
    check_labels(labels, len(units))
    types, index = torch.unique(labels, return_inverse=True)
    sums = units.new_zeros(len(types), units.shape[1]).index_add(0, index, units)
    return _mean_over_types(sums, torch.bincount(index[found], minlength=len(types)))


def _mean_over_types(sums: Float[Tensor, "types d"], counts: Int64[Tensor, " types"]) -> Scalar:
    pairs = counts * (counts - 1)
    similarities = (sums.square().sum(dim=1) - counts) / pairs.clamp(min=1)
    mean: Scalar = torch.where(pairs > 0, similarities, 0).sum() / (pairs > 0).sum()
    return mean
