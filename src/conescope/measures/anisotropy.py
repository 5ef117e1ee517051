"""Anisotropy: which share of the spread lies along the k strongest directions?

With the singular values sigma_1 >= sigma_2 >= ... of the matrix whose rows are the points,

    anisotropy_k = (sigma_1^2 + ... + sigma_k^2) / sum_j sigma_j^2.

1 means that k directions hold everything; k / min(n, d) is the least, reached when all directions
are equally strong. What is subtracted from the rows first makes three different measures of it:

    centered       the mean of all rows: the shape of the cloud; the floor is 1 / min(n - 1, d)
    uncentered     nothing: a common mean counts as a direction, usually the strongest
    within class   the mean of each class from its own rows: what is left when classes are explained

Their values can not be compared with one another. All ignore rotation and scaling.

Reference: Kudriashov et al. (2025), arXiv:2501.05502, whose code logs the first two in training and
prints the third after it. The definition of k = 1: Ethayarajh (2019), arXiv:1909.00512.
"""

from conescope._types import Labels, Points, Scalar
from conescope.measures.centering import centered_within
from conescope.measures.spectrum import Spectrum, spectrum, within_class_spectrum
from conescope.scale.moments import Moments


def anisotropy(points: Points, *, k: int = 1, center: bool = True) -> Scalar:
    """Return the share of the k largest squared singular values, from k / min(n, d) to 1.

    Where there is no spread to share (no point; centered coincident points; uncentered zeros) it is
    nan. Where the k-th and the next singular value are equal, the gradient is one of several.

    Raises:
        ValueError: if k is less than 1.

    >>> import torch
    >>> anisotropy(torch.tensor([[3.0, 4.0], [3.0, 0.0], [0.0, 4.0]]), center=False)
    tensor(0.7778)
    """
    return anisotropy_from_spectrum(spectrum(points, center=center), k=k).to(points.dtype)


def anisotropy_from_spectrum(spectrum: Spectrum, *, k: int = 1) -> Scalar:
    """Return `anisotropy` of any points with this spectrum."""
    if k < 1:
        raise ValueError(f"k is the number of directions and at least 1, got {k}")
    return spectrum.squares[:k].sum() / spectrum.squares.sum()


def within_class_anisotropy(points: Points, labels: Labels, *, k: int = 1) -> Scalar:
    """Return `anisotropy` of the points, each minus the mean of its own class, all classes pooled.

    Unchanged when classes are moved against each other. A class of one point adds nothing; without a
    class that holds two different points it is nan.

    >>> import torch
    >>> points = torch.tensor([[10.0, 1.0], [10.0, -1.0], [-2.0, 0.0], [2.0, 0.0]])
    >>> within_class_anisotropy(points, torch.tensor([0, 0, 1, 1]))  # squares 2 and 8
    tensor(0.8000)
    """
    within = spectrum(centered_within(points, labels), center=False)
    return anisotropy_from_spectrum(within, k=k).to(points.dtype)


def within_class_anisotropy_from_moments(moments: Moments, *, k: int = 1) -> Scalar:
    """Return `within_class_anisotropy` of any points with these moments of classes."""
    return anisotropy_from_spectrum(within_class_spectrum(moments), k=k)
