"""Whitening: the same variance in all directions.

With C = U diag(v) U^T the covariance of the fitted points (divided by n - 1), shrunk and softened,

    v_k(s) = (1 - s) v_k + s mean(v),    z = diag(v_k(s)^(-p/2)) U^T (x - mean)        kind "pca"
                                         z = U diag(v_k(s)^(-p/2)) U^T (x - mean)      kind "zca"

With s = 0 and p = 1 the covariance of z is the identity. Both kinds have the same distances and cosines; of
all whitenings zca stays nearest to the centered points in the mean square. Whitening gives the weakest
directions, which may be noise, the weight of the strongest: shrinkage s and softness p < 1 hold that back.

References: Kessy, Lewin and Strimmer (2018), arXiv:1512.00809 (kinds); Su et al. (2021), arXiv:2103.15316 (of
sentence embeddings); Chen, Wiesel, Eldar and Hero (2010), arXiv:0907.4698 (shrinkage "oas").
"""

import math
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from conescope._types import Points, Spectrum
from conescope.scale.moments import Moments
from conescope.transforms.affine import AffineFix, array
from conescope.transforms.directions import Mapped, directions


class Whitening(ClassNamePrefixFeaturesOutMixin, AffineFix):  # type: ignore[misc]
    """Give all directions the same variance; at least two points, not all of them equal.

    Args:
        kind: "pca" for coordinates along the directions, strongest first; "zca" for those of the points.
        n_components: how many of the strongest directions are kept; None keeps all that are not dropped.
            "zca" then still returns d coordinates, of that rank. `partial_fit` waits for more
            points than that.
        shrinkage: s, from 0 to 1, or "oas": the best one for Gaussian points, from n and the variances.
        softness: p, from 0 (turned only) to 1 (whitened).
        tolerance: directions with a (shrunk) variance of at most this share of the largest are dropped: what
            is left there of points that span fewer dimensions, as with n <= d, is rounding.

    Attributes:
        mean_: of the fitted points, shape (d,).
        components_: directions that are kept, of length 1, shape (k, d).
        scales_: v_k(s)^(p/2), by which the points are divided along these directions, shape (k,).
        shrinkage_: the s that was used.
        n_samples_seen_: how many points were fitted.

    >>> import numpy as np
    >>> points = np.random.default_rng(0).normal(size=(50, 3)) * [1, 5, 9] + 4
    >>> bool(np.allclose(np.cov(Whitening().fit_transform(points).T), np.eye(3)))
    True
    """

    kind_name = "whitening"
    arrays = MappingProxyType({"mean_": "d", "components_": "k d", "scales_": "k", "shrinkage_": ""})

    def __init__(
        self,
        kind: Literal["pca", "zca"] = "pca",
        n_components: int | None = None,
        shrinkage: float | Literal["oas"] = 0.0,
        softness: float = 1.0,
        tolerance: float = 1e-10,
    ) -> None:
        self.kind = kind
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.softness = softness
        self.tolerance = tolerance

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return the points that are mapped to these; along dropped directions they are at the mean."""
        check_is_fitted(self)
        rows = self._checked_out(X)
        return self._blockwise(rows, self._back)

    def _map(self, rows: Points) -> Mapped:
        components = torch.from_numpy(self.components_)
        scores = (rows - torch.from_numpy(self.mean_)) @ components.T / torch.from_numpy(self.scales_)
        return scores if self.kind == "pca" else scores @ components

    def _back(self, rows: Points) -> Mapped:
        components = torch.from_numpy(self.components_)
        scores = rows if self.kind == "pca" else rows @ components.T
        return (scores * torch.from_numpy(self.scales_)) @ components + torch.from_numpy(self.mean_)

    def _checked_out(self, X: Any) -> NDArray[Any]:
        from sklearn.utils import check_array

        rows: NDArray[Any] = check_array(X, dtype=[np.float64, np.float32], order="C")
        if rows.shape[1] != self._n_features_out:
            raise ValueError(
                f"whitened points have {self._n_features_out} dimensions here, got {rows.shape[1]}"
            )
        return rows

    @property
    def _n_features_out(self) -> int:
        kept: tuple[int, int] = self.components_.shape
        return kept[0] if self.kind == "pca" else kept[1]

    def _waits(self, found: Moments) -> bool:
        count = self.n_components  # n points vary in n - 1 directions at most
        return isinstance(count, int | np.integer) and found.n <= count <= found.d

    def _solve(self, found: Moments) -> None:
        assert found.scatter is not None  # since the order is 2
        self._check_settings()
        variances, rows = directions(found.scatter / (found.n - 1))
        if not float(variances[0]) > _rounding(found):
            raise ValueError("whitening needs points that differ, but all are equal; nothing can be whitened")
        share = oas(variances, found.n) if self.shrinkage == "oas" else float(self.shrinkage)
        shrunk = (1 - share) * variances + share * variances.mean()
        kept = self._kept(shrunk)
        self.mean_ = array(found.mean)
        self.components_ = array(rows[:kept])
        self.scales_ = array(shrunk[:kept] ** (self.softness / 2))
        self.shrinkage_ = np.float64(share)

    def _kept(self, shrunk: Spectrum) -> int:
        there = int((shrunk > self.tolerance * shrunk[0]).sum())
        if self.n_components is None:
            return there
        whole = isinstance(self.n_components, int | np.integer) and not isinstance(self.n_components, bool)
        if not whole or not 1 <= self.n_components <= there:
            raise ValueError(
                f"n_components must be None or a whole number from 1 to {there}, since the points vary in so "
                f"many directions, got {self.n_components!r}; shrinkage keeps all {len(shrunk)}"
            )
        return int(self.n_components)

    def _check_settings(self) -> None:
        if self.kind not in ("pca", "zca"):
            raise ValueError(f"kind must be 'pca' or 'zca', got {self.kind!r}")
        for name in ("shrinkage", "softness", "tolerance"):
            value = getattr(self, name)
            if name == "shrinkage" and isinstance(value, str) and value == "oas":
                continue
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 <= value <= 1:
                also = ", or 'oas'" if name == "shrinkage" else ""
                raise ValueError(f"{name} must be a number from 0 to 1{also}, got {value!r}")


def oas(variances: Spectrum, n: int) -> float:
    """Return the shrinkage of the oracle approximating estimator for Gaussian points, from 0 to 1.

    It needs no more than n and the eigenvalues, so that it comes out the same in any split of the points;
    that of Ledoit and Wolf needs fourth moments.

    >>> oas(torch.tensor([1.0, 1.0, 1.0]), 10)  # nothing to shrink
    1.0
    """
    d = len(variances)
    mean = float(variances.mean())
    square = float(variances.square().sum()) / d**2  # the mean of the squared entries of the covariance
    gap = (n + 1) * (square - mean**2 / d)
    return min((square + mean**2) / gap, 1.0) if gap > 0 else 1.0


def _rounding(found: Moments) -> float:
    """Return the variance that rounding alone gives equal points."""
    return float(found.mean.square().sum()) * (found.d * math.ulp(1.0)) ** 2
