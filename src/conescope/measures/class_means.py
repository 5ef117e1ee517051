"""Class means: how many points each class has, and where they lie on average."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._check import check_labels
from conescope._types import Labels, Points
from conescope.scale.moments import ClassMoments, Moments

# Class means closer than this, against the largest norm of a point, may differ by rounding alone.
RESOLUTION = 1e-11


class ClassMeans(NamedTuple):
    """Size and mean of each class that has a point, and the distance below which two means are one."""

    counts: Int64[Tensor, " classes"]
    means: Float[Tensor, "classes d"]  # float64
    resolution: float


def class_means(rows: Points, labels: Labels) -> ClassMeans:
    """Return the class means of float64 rows, differentiable; labels may be any integers."""
    check_labels(labels, len(rows))
    classes, index = torch.unique(labels, return_inverse=True)
    counts = index.bincount(minlength=len(classes))
    sums = torch.zeros(len(classes), rows.shape[1], dtype=rows.dtype, device=rows.device)
    means = sums.index_add(0, index, rows) / counts[:, None]
    norms = torch.linalg.vector_norm(rows.detach(), dim=1)
    return ClassMeans(counts, means, RESOLUTION * float(norms.max()) if len(rows) else 0.0)


def class_means_from_moments(moments: Moments) -> ClassMeans:
    """Return the class means of any points with these moments; classes without a point are left out."""
    classes = classes_of(moments)
    present = classes.counts > 0
    return ClassMeans(classes.counts[present], classes.means[present], RESOLUTION * moments.norm_range[1])


def class_steps(classes: ClassMeans) -> Float[Tensor, "classes d"]:
    """Return the step from the mean of all points to each class mean, times the root of the class's size.

    Their squares and products are those of the points, each moved to the mean of its class.
    """
    counts = classes.counts.to(classes.means.dtype)
    mean = counts @ classes.means / counts.sum().clamp(min=1)
    return (classes.means - mean) * counts.sqrt()[:, None]


def classes_of(moments: Moments) -> ClassMoments:
    """Return the moments of the classes.

    Raises:
        ValueError: if the points were scanned without labels.
    """
    if moments.classes is None:
        raise ValueError("this needs moments of classes: scan with labels")
    return moments.classes
