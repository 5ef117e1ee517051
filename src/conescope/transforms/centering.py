"""Centering: take the mean of the fitted points from all points.

    z = x - mean

The mean is what makes a narrow cone of directions. Distances stay as they are; cosines change, and with them
the order of neighbors by cosine. It is the smallest fix, and often all that is needed.
"""

from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from conescope._types import Points
from conescope.scale.moments import Moments
from conescope.transforms.affine import AffineFix, array
from conescope.transforms.directions import Mapped


class Centering(OneToOneFeatureMixin, AffineFix):  # type: ignore[misc]
    """Take the mean away; one point is enough.

    Attributes:
        mean_: of the fitted points, shape (d,).
        n_samples_seen_: how many they were.

    >>> Centering().fit_transform([[1.0, 5.0], [3.0, 5.0]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """

    kind_name = "centering"
    arrays = MappingProxyType({"mean_": "d"})
    order: ClassVar[Literal[1, 2]] = 1
    least = 1

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return the points that are mapped to these."""
        check_is_fitted(self)
        return self._blockwise(
            self._checked(X, reset=False), lambda rows: rows + torch.from_numpy(self.mean_)
        )

    def _map(self, rows: Points) -> Mapped:
        return rows - torch.from_numpy(self.mean_)

    def _solve(self, found: Moments) -> None:
        self.mean_ = array(found.mean)
