"""All but the top: center, and take away the strongest directions.

    z = (x - mean) - sum_{k <= D} (u_k . (x - mean)) u_k

with u_k the principal directions of the centered points. D is about d / 100. The directions that most points
share tell them apart least, if they carry frequency or length; where they carry meaning, it hurts: so it has
to be tried on held-out data (`conescope advise`).

Reference: Mu and Viswanath (2018), arXiv:1702.01417. Where the projection of the uncentered point is
subtracted instead, all points are moved by one constant vector.
"""

from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from sklearn.base import OneToOneFeatureMixin

from conescope._types import Points
from conescope.scale.moments import Moments
from conescope.transforms.affine import AffineFix, array
from conescope.transforms.directions import Mapped, Vectors, directions


class AllButTheTop(OneToOneFeatureMixin, AffineFix):  # type: ignore[misc]
    """Take the mean and the strongest directions away. What is taken is lost: there is no inverse.

    Args:
        n_components: how many directions, less than d; 0 is `Centering`. "auto" is d / 100 rounded, at
            least 1, but none of a single dimension.

    Attributes:
        mean_: of the fitted points, shape (d,).
        components_: the directions that are taken away, of length 1, shape (D, d).
        n_samples_seen_: how many points were fitted, at least 2.

    >>> points = [[1.0, 5.0], [3.0, 5.0], [2.0, 6.0], [2.0, 4.0], [9.0, 5.0]]
    >>> AllButTheTop(1).fit_transform(points).round(3)[2:4] + 0.0
    array([[ 0.,  1.],
           [ 0., -1.]])
    """

    kind_name = "all-but-the-top"
    arrays = MappingProxyType({"mean_": "d", "components_": "k d"})

    def __init__(self, n_components: int | Literal["auto"] = "auto") -> None:
        self.n_components = n_components

    def _map(self, rows: Points) -> Mapped:
        return without(rows - torch.from_numpy(self.mean_), torch.from_numpy(self.components_))

    def _solve(self, found: Moments) -> None:
        assert found.scatter is not None  # since the order is 2
        count = self._count(found.d)
        self.mean_ = array(found.mean)
        self.components_ = array(directions(found.scatter).rows[:count])

    def _count(self, d: int) -> int:
        if self.n_components == "auto":
            return min(max(round(d / 100), 1), d - 1)
        return checked_count(self.n_components, d)


def without(rows: Points, components: Vectors) -> Points:
    """Return rows from which their parts along orthonormal directions are taken."""
    return rows - (rows @ components.T) @ components


def checked_count(count: object, d: int) -> int:
    """Return how many directions to take away, or raise if that is no number from 0 to d - 1."""
    whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    if not whole or not 0 <= int(count) < d:  # type: ignore[call-overload]
        raise ValueError(
            f"n_components must be a whole number from 0 to {d - 1}, since of n_features = {d} one "
            f"must stay, got {count!r}"
        )
    return int(count)  # type: ignore[call-overload,no-any-return]
