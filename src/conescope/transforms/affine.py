"""Fixes that depend on the moments of the points alone: fitted in one pass, in parts, in any order."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from conescope.scale.moments import Moments, merge, moments
from conescope.transforms.fix import Fix, _tensor

Self = TypeVar("Self", bound="AffineFix")


class AffineFix(Fix):
    """A fix z = W x + b of which W and b follow from moments; abstract."""

    order: ClassVar[Literal[1, 2]] = 2  # of the moments
    least: ClassVar[int] = 2  # points that a fit needs

    def fit(self: Self, X: Any, y: Any = None) -> Self:
        """Fit to points of shape (n, d), forgetting those before.

        Raises:
            ValueError: for NaN and infinity, naming the first row; for fewer points than the fix needs; and
                for settings that do not fit the points, saying which would.
        """
        rows = self._checked(X, reset=True, least=self.least)
        return self.fit_moments(moments(_tensor(rows), order=self.order))

    def partial_fit(self: Self, X: Any, y: Any = None) -> Self:
        """Fit to these points and all before: to rounding, the numbers of one fit on all of them.

        Every call solves for the map again, which for d dimensions may cost d^3; `fit_blocks` does so once.
        As long as there are fewer points than the fix needs, it is not fitted.

        Raises:
            ValueError: as `fit`, and if the fix came from a file, which does not keep the moments.
        """
        seen: Moments | None = getattr(self, "moments_", None)
        if seen is None and hasattr(self, "n_samples_seen_"):
            raise ValueError("a fix from a file keeps no moments to go on from; fit a new one to all points")
        rows = self._checked(X, reset=seen is None)
        found = moments(_tensor(rows), order=self.order)
        found = found if seen is None else merge(seen, found)
        return self._keep(found) if self._waits(found) else self.fit_moments(found)

    def fit_blocks(self: Self, blocks: Iterable[Any]) -> Self:
        """Fit to points that come in blocks, each of shape (n, d), in memory that does not grow.

        Raises:
            ValueError: as `fit`; rows are counted within their block.
        """
        found: Moments | None = None
        for block in blocks:
            rows = self._checked(block, reset=found is None)
            part = moments(_tensor(rows), order=self.order)
            found = part if found is None else merge(found, part)
        if found is None or found.n < self.least:
            count = 0 if found is None else found.n
            raise ValueError(f"a fit needs at least {self.least} points, got {count}")
        return self.fit_moments(found)

    def fit_moments(self: Self, found: Moments) -> Self:
        """Fit to points of which these are the moments, as `conescope.scale` takes and merges them."""
        self._keep(found)
        if found.n >= self.least:
            self._solve(found)
        return self

    def _keep(self: Self, found: Moments) -> Self:
        self.moments_ = found
        self.n_samples_seen_ = found.n
        self.n_features_in_ = found.d
        return self

    def _waits(self, found: Moments) -> bool:
        """Return whether these points are too few for the settings, and more of them may do."""
        return False

    def _solve(self, found: Moments) -> None:
        """Set the arrays of the map."""
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        return all(hasattr(self, name) for name in self.arrays)

    def as_sentence_transformers_module(self) -> Any:
        """Return the fix as a `Dense` module of sentence-transformers, to stand behind the pooling.

        It is saved and loaded with the model, and whoever loads that needs no conescope. Its weights are
        float32, as those of models are.

        Raises:
            NotFittedError: before the fit.
            ImportError: without sentence-transformers.
        """
        check_is_fitted(self)
        offset = self._map(torch.zeros(1, self.n_features_in_, dtype=torch.float64))
        weight = (self._map(torch.eye(self.n_features_in_, dtype=torch.float64)) - offset).T
        dense = _dense()(weight.shape[1], weight.shape[0], bias=True, activation_function=torch.nn.Identity())
        with torch.no_grad():
            dense.linear.weight.copy_(weight)
            dense.linear.bias.copy_(offset[0])
        return dense


def _dense() -> Any:
    """Return the class `Dense`, which moved in sentence-transformers 6."""
    for place in ("sentence_transformers.base.modules.dense", "sentence_transformers.models"):
        try:
            return import_module(place).Dense
        except ModuleNotFoundError as missing:
            if missing.name == "sentence_transformers":
                raise ImportError(
                    "this needs the package sentence-transformers: pip install sentence-transformers"
                ) from missing
    raise ImportError("sentence-transformers has no module Dense where versions 5 and 6 have it")


def array(tensor: torch.Tensor) -> NDArray[np.float64]:
    """Return a tensor as a float64 array of its own."""
    return tensor.double().numpy().copy()
