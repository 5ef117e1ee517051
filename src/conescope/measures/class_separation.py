"""Class separation: which share of the cosine distances do the classes explain?

With x_{k,m} the m-th of the N_k points of class k, of K classes,

    R^2 = 1 -  1/K   sum_k     1/N_k^2      sum_{m,n} (1 - cos(x_{k,m}, x_{k,n}))
              ---------------------------------------------------------------------
               1/K^2 sum_{j,k} 1/(N_j N_k)  sum_{m,n} (1 - cos(x_{j,m}, x_{k,n})).

All ordered pairs count, also each point with itself, as published; every class has the same weight,
whatever its size. With u_k the mean of the directions x / |x| in class k, and u the mean of the u_k, the
sums over pairs close, and

    R^2 = B / (B + W),    B = 1/K sum_k |u_k - u|^2,    W = 1/K sum_k (1 - |u_k|^2).

1 means that every class looks in one direction of its own, 0 that all classes have the same mean
direction. Unchanged by rotation and scaling, also of single points; translation changes it.

Reference: Kornblith, Chen, Lee, Norouzi (2021), arXiv:2010.16402.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.measures.centering import in_double
from conescope.measures.class_means import class_means, classes_of
from conescope.scale.moments import Moments

RESOLUTION = 1e-10  # a mean cosine distance below this may be rounding


def class_separation(points: Points, labels: Labels) -> Scalar:
    """Return R^2 of the classes in cosine distance, from 0 to 1.

    Labels may be any integers. A zero vector has no direction and is left out. With fewer than two classes
    that have a direction, or when all directions are the same, it is nan.

    >>> points = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> class_separation(points, torch.tensor([0, 0, 1, 1]))  # B = 1/8, W = 1/4
    tensor(0.3333)
    """
    rows = in_double(points)
    check_labels(labels, len(rows))
    size = rows.detach().abs().amax(dim=1, keepdim=True)
    rows = rows / torch.where(size > 0, size, 1)  # no square underflows
    directed = size[:, 0] > 0
    units = rows[directed] / torch.linalg.vector_norm(rows[directed], dim=1, keepdim=True)
    return _explained(class_means(units, labels[directed]).means, RESOLUTION).to(points.dtype)


def class_separation_from_moments(moments: Moments) -> Scalar:
    """Return `class_separation` of any points with these moments of classes."""
    classes = classes_of(moments)
    present = classes.direction_counts > 0
    means = classes.direction_sums[present] / classes.direction_counts[present][:, None]
    return _explained(means, max(RESOLUTION, moments.resolution))


def _explained(means: Float[Tensor, "classes d"], resolution: float) -> Scalar:
    """Return R^2 from the mean direction of each class."""
    if len(means) < 2:
        return means.sum() * math.nan
    between = (means - means.mean(dim=0)).square().sum(dim=1).mean()
    whole = between + (1 - means.square().sum(dim=1)).mean()
    return torch.where(whole > resolution, between / torch.where(whole > resolution, whole, 1), math.nan)
