"""Neural collapse (NC1): how large is the spread within classes, measured by the distances between them?

With the mean mu_c of each of C classes, their unweighted mean mu_G and all n points,

    Sigma_W = 1/n sum_c sum_{i in c} (x_i - mu_c)(x_i - mu_c)^T        within classes, over points
    Sigma_B = 1/C sum_c (mu_c - mu_G)(mu_c - mu_G)^T                   between classes, over classes
    NC1 = tr(Sigma_W Sigma_B^+) / C.

0 means collapse: every point is at the mean of its class. There is no greatest value. Only spread along
the directions that separate classes counts, each in the unit of that separation; the rest of the space
is ignored by the pseudo-inverse. As published Sigma_B counts every class once, whatever its size: for
classes of equal size, as in the paper, mu_G is the mean of all points; otherwise a class of few points moves
Sigma_B as much as one of many. Unchanged by translation, rotation and scaling.

The pseudo-inverse leaves out directions in which the class means have singular values below 1e-11 of
the largest norm of a point: such distances may be rounding. Anything larger counts, and much, as its
square is in the denominator.

Reference: Papyan, Han, Donoho (2020), PNAS 117(40), arXiv:2008.08186.
"""

import math

import torch

from conescope._types import Covariance, Labels, Points, Scalar
from conescope.measures.centering import centered, centered_within
from conescope.measures.class_means import ClassMeans, class_means, class_means_from_moments, class_steps
from conescope.scale.moments import Moments

ROUNDING = 1e-13  # of sums over many points, however few their dimensions
TRUSTED = 1e-3  # the largest rounding error of a value given, or its largest share where it exceeds 1


def neural_collapse(points: Points, labels: Labels) -> Scalar:
    """Return NC1, from 0 (classes have collapsed to their means) upward.

    Labels may be any integers. A class of one point has no spread of its own, and counts in C. Without two
    classes whose means differ it is nan.

    >>> points = torch.tensor([[3.0, 1.0], [3.0, -1.0], [-4.0, 0.0], [-2.0, 0.0]])
    >>> neural_collapse(points, torch.tensor([0, 0, 1, 1]))  # along x: 1/2 within, 9 between, two classes
    tensor(0.0278)
    """
    rows = centered(points)
    within = centered_within(rows, labels)
    return _nc1(within.T @ within, class_means(rows, labels), rounding=0.0).to(points.dtype)


def neural_collapse_from_moments(moments: Moments) -> Scalar:
    """Return `neural_collapse` of any points with these moments of classes, of order 2.

    The scatter within classes is what the classes leave of the whole. A value below the rounding of the
    whole is 0, and nan where that rounding is not small: then the moments can not tell.
    """
    if moments.scatter is None:
        raise ValueError("neural_collapse needs moments of order 2")
    classes = class_means_from_moments(moments)
    steps = class_steps(classes)
    within = moments.scatter - steps.T @ steps
    rounding = max(moments.resolution, ROUNDING) * float(torch.linalg.matrix_norm(moments.scatter.detach()))
    return _nc1(within, classes, rounding)


def _nc1(within: Covariance, classes: ClassMeans, rounding: float) -> Scalar:
    """Return NC1 from the scatter within classes, which is exact up to `rounding` in any direction."""
    count, n = len(classes.counts), classes.counts.sum()
    if count < 2:
        return within.sum() * math.nan
    # Sigma_B = M^T M / C for the matrix M of steps, so tr(Sigma_W Sigma_B^+) / C = tr(M^+T Sigma_W M^+)
    steps = classes.means - classes.means.mean(dim=0)
    inverse = torch.linalg.pinv(steps, atol=classes.resolution, rtol=0.0)
    ratio = (inverse * (within @ inverse)).sum() / n
    error = rounding * inverse.detach().square().sum() / n
    known = (inverse != 0).any() & (error <= TRUSTED * ratio.detach().clamp(min=1))
    return torch.where(known, torch.where(ratio > error, ratio, 0), math.nan)
