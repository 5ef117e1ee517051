"""Standardizing: mean 0 and variance 1 in every coordinate.

    z_j = (x_j - mean_j) / s_j,   s_j^2 = 1/n sum_i (x_ij - mean_j)^2

It tames single coordinates that outweigh all others (rogue dimensions), and leaves correlations as they are;
the outcome depends on the axes. A coordinate that does not vary has s_j = 1, and becomes 0.

Reference: Timkey and van Schijndel (2021), arXiv:2109.04404.
"""

from types import MappingProxyType
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from conescope._types import Points
from conescope.scale.moments import Moments
from conescope.transforms.affine import AffineFix, array
from conescope.transforms.directions import Mapped


class Standardizing(OneToOneFeatureMixin, AffineFix):  # type: ignore[misc]
    """Mean 0 and variance 1 in every coordinate; one point is enough.

    A coordinate counts as not varying if its spread is within the rounding of its values.

    Attributes:
        mean_: of the fitted points, shape (d,).
        scale_: standard deviations (of n, not n - 1), shape (d,); 1 where nothing varies.
        n_samples_seen_: how many points were fitted.

    >>> Standardizing().fit_transform([[1.0, 5.0], [3.0, 5.0]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """

    kind_name = "standardizing"
    arrays = MappingProxyType({"mean_": "d", "scale_": "d"})
    least = 1

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return the points that are mapped to these."""
        check_is_fitted(self)
        mean, scale = torch.from_numpy(self.mean_), torch.from_numpy(self.scale_)
        return self._blockwise(self._checked(X, reset=False), lambda rows: rows * scale + mean)

    def _map(self, rows: Points) -> Mapped:
        return (rows - torch.from_numpy(self.mean_)) / torch.from_numpy(self.scale_)

    def _solve(self, found: Moments) -> None:
        assert found.scatter is not None  # since the order is 2
        variance = found.scatter.diagonal() / found.n
        rounding = found.n * torch.finfo(torch.float64).eps * found.mean.abs()
        self.mean_ = array(found.mean)
        self.scale_ = array(torch.where(variance > rounding.square(), variance.clamp(min=0).sqrt(), 1))
