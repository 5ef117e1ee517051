"""Between-class anisotropy: do the classes differ along one direction?

With the mean mu_c and the size n_c of each class, and mu the mean of all points, the scatter of the
class means is

    S_B = sum_c n_c (mu_c - mu)(mu_c - mu)^T,

what is left of the cloud when every point is moved to the mean of its class. With its eigenvalues
lambda_1 >= lambda_2 >= ...,

    anisotropy_k = (lambda_1 + ... + lambda_k) / sum_j lambda_j.

1 means that k directions separate the classes; k / min(C - 1, d) is the least, for C classes that differ
in all directions alike. Two classes always lie on one line and have 1. It is the companion of the
within-class measure: the two scatters add up to that of the cloud. Unchanged by translation, rotation
and scaling, and by anything that leaves the class means where they are.

Reference: the definition is that of `anisotropy` (Kudriashov et al. 2025, arXiv:2501.05502), applied to
the between-class scatter of linear discriminant analysis (Fisher 1936; Rao 1948).
"""

import torch

from conescope._types import Labels, Points, Scalar
from conescope.measures.anisotropy import anisotropy
from conescope.measures.centering import centered
from conescope.measures.class_means import ClassMeans, class_means, class_means_from_moments, class_steps
from conescope.scale.moments import Moments


def between_class_anisotropy(points: Points, labels: Labels, *, k: int = 1) -> Scalar:
    """Return the share of the k strongest directions in the spread of the class means.

    Labels may be any integers. Without two classes whose means differ it is nan.

    >>> points = torch.tensor([[3.0, 1.0], [3.0, -1.0], [-3.0, 0.0], [-3.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    >>> between_class_anisotropy(points, torch.tensor([0, 0, 1, 1, 2, 2]))  # means 3, -3 and 0 along x
    tensor(1.)
    """
    return _share(class_means(centered(points), labels), k).to(points.dtype)


def between_class_anisotropy_from_moments(moments: Moments, *, k: int = 1) -> Scalar:
    """Return `between_class_anisotropy` of any points with these moments of classes."""
    return _share(class_means_from_moments(moments), k)


def _share(classes: ClassMeans, k: int) -> Scalar:
    steps = class_steps(classes)
    distances = torch.linalg.vector_norm(steps.detach(), dim=1) / classes.counts.sqrt()
    apart = (distances > classes.resolution).any()
    return anisotropy(torch.where(apart, steps, 0), k=k, center=False)  # coincident means: no direction
