"""Intra-text similarity: do the words of a text point where the text points?

With the mean m_t of all vectors h_w of a text t and the directions u_w = h_w / |h_w| of its n_t words,

    s_t = mean_w cos(h_w, m_t) = (sum_w u_w) . m_t / (n_t |m_t|),

and intra-text similarity is the mean of s_t over the texts, each text counted once, however long it is.
1 means that all words of a text share one direction: context has made them alike. As published, h_w is
itself part of m_t, so short texts read high: n_t unrelated vectors of equal length, in many dimensions,
give 1 / sqrt(n_t), and one word alone gives 1. Where all points lie in a cone, words of unrelated texts
are similar too: the adjusted form subtracts the mean cosine of all points. Unchanged by rotation and
scaling; scaling of single points moves the means.

The labels say to which text a point belongs.

Reference: Ethayarajh (2019), arXiv:1909.00512, "intra-sentence similarity".
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.measures.centering import in_double
from conescope.measures.cosine import ROUNDING, mean_cosine, mean_cosine_from_moments
from conescope.measures.directions import directions
from conescope.scale.moments import Moments


def intra_text_similarity(points: Points, labels: Labels) -> Scalar:
    """Return the mean cosine of a word and the mean of its text, averaged over texts, from -1 to 1.

    Zero vectors have no direction: they are in the mean of their text, and nowhere else. A text whose
    mean is zero (shorter than 1.4e-14 of the longest point) has no direction and is left out; without any
    other text it is nan.

    >>> points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    >>> intra_text_similarity(points, torch.tensor([0, 0, 7]))  # (sqrt(1/2) + 1) / 2
    tensor(0.8536)
    """
    return _in_double(points, labels).to(points.dtype)


def intra_text_similarity_from_moments(moments: Moments) -> Scalar:
    """Return `intra_text_similarity` of any points with these moments of classes."""
    classes = moments.classes
    if classes is None:
        raise ValueError("intra-text similarity needs moments of classes: scan with labels")
    return _mean_over_texts(
        classes.direction_sums, classes.direction_counts, classes.means, moments.norm_range[1]
    )


def intra_text_similarity_adjusted(points: Points, labels: Labels) -> Scalar:
    """Return `intra_text_similarity` minus `mean_cosine` of all points: what is more than the common cone.

    >>> points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 3.0]])  # mean cosine 1/3
    >>> intra_text_similarity_adjusted(points, torch.tensor([0, 0, 7, 7]))
    tensor(0.6667)
    """
    return (_in_double(points, labels) - mean_cosine(in_double(points))).to(points.dtype)


def intra_text_similarity_adjusted_from_moments(moments: Moments) -> Scalar:
    """Return `intra_text_similarity_adjusted` of any points with these moments of classes."""
    return intra_text_similarity_from_moments(moments) - mean_cosine_from_moments(moments)


def _in_double(points: Points, labels: Labels) -> Scalar:
    rows = in_double(points)
    check_labels(labels, len(rows))
    if len(rows) == 0:
        return rows.sum() * math.nan
    units, found = directions(rows)
    texts, index = torch.unique(labels, return_inverse=True)
    nothing = rows.new_zeros(len(texts), rows.shape[1])
    means = nothing.index_add(0, index, rows) / torch.bincount(index)[:, None]
    counts = torch.bincount(index[found], minlength=len(texts))
    longest = float(torch.linalg.vector_norm(rows.detach(), dim=1).amax())
    return _mean_over_texts(nothing.index_add(0, index, units), counts, means, longest)


def _mean_over_texts(
    sums: Float[Tensor, "texts d"],
    counts: Int64[Tensor, " texts"],
    means: Float[Tensor, "texts d"],
    longest: float,
) -> Scalar:
    lengths = torch.linalg.vector_norm(means, dim=1)
    used = lengths > ROUNDING * longest
    similarities = (sums * means).sum(dim=1) / torch.where(used, counts * lengths, 1)
    mean: Scalar = torch.where(used, similarities, 0).sum() / used.sum()
    return mean
