"""Principal directions of a scatter, strongest first, with signs that do not depend on the machine."""

from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Covariance, Spectrum

Vectors: TypeAlias = Float[Tensor, "k d"]  # one a row
Mapped: TypeAlias = Float[Tensor, "n mapped"]  # points, in as many dimensions or fewer


class Directions(NamedTuple):
    """Variances, largest first, and unit directions as rows, in the same order."""

    variances: Spectrum
    rows: Vectors


def directions(covariance: Covariance) -> Directions:
    """Return the eigenvalues of a covariance, none below zero, and its eigenvectors as rows.

    An eigenvector has no sign of its own: the entry that is largest in size is made positive. Where
    eigenvalues coincide, the vectors are any basis of their space.
    """
    values, vectors = torch.linalg.eigh(covariance)
    rows = vectors.T.flip(0)
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return Directions(values.flip(0).clamp(min=0), rows * torch.where(largest < 0, -1.0, 1.0))
