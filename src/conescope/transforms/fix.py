"""What all fixes share: checks at the door, types in and out, files, and export to sentence-transformers."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from conescope._check import check_finite
from conescope._types import Points
from conescope.transforms.directions import Mapped
from conescope.transforms.stored import Stored, Where, read, write

BLOCK = 1 << 22  # numbers that are mapped at a time, in float64: 32 MB
Self = TypeVar("Self", bound="Fix")


class Fix(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A map of points that is fitted on points; abstract. float32 in is float32 out, computed in float64."""

    kind_name: ClassVar[str]  # in files and on the command line
    arrays: ClassVar[Mapping[str, str]]  # attributes that make up the fitted map, and their axes

    def transform(self, X: Any) -> NDArray[Any]:
        """Return the mapped points, float32 for float32 and else float64.

        Args:
            X: of shape (n, d), n >= 1, with the d of the fit.

        Raises:
            ValueError: for NaN and infinity, naming the first row, and for another d.
            NotFittedError: before the fit.
        """
        check_is_fitted(self)
        return self._blockwise(self._checked(X, reset=False), self._map)

    def _map(self, rows: Points) -> Mapped:
        """Return some float64 rows mapped."""
        raise NotImplementedError

    def _checked(self, X: Any, *, reset: bool, least: int = 1) -> NDArray[Any]:
        """Return points as a float32 or float64 array, finite, and with the dimensions of the fit."""
        rows: NDArray[Any] = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite=False,
            ensure_min_samples=least,
        )
        check_finite(_tensor(rows))
        return rows

    def _blockwise(self, rows: NDArray[Any], map_of: Callable[[Points], Mapped]) -> NDArray[Any]:
        """Return rows mapped in float64, some at a time, in their own type."""
        height = max(BLOCK // rows.shape[1], 1)
        parts = [
            map_of(_tensor(rows[at : at + height]).double()).numpy().astype(rows.dtype, copy=False)
            for at in range(0, len(rows), height)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def save(self, path: Where) -> None:
        """Write the fitted fix to a safetensors file with its settings as JSON, whole or not at all.

        Raises:
            NotFittedError: before the fit.
        """
        check_is_fitted(self)
        facts = {"n_features_in": int(self.n_features_in_), "n_samples_seen": int(self.n_samples_seen_)}
        names = getattr(self, "feature_names_in_", None)
        if names is not None:
            facts["feature_names_in"] = names.tolist()
        arrays = {name: getattr(self, name) for name in self.arrays}
        write(path, Stored(self.kind_name, self.get_params(), facts, arrays))

    @classmethod
    def load(cls: type[Self], path: Where) -> Self:
        """Return a fix as it was saved. It transforms, but its fit can not go on: moments are not kept.

        Raises:
            ValueError: if the file holds something else; `load_fix` takes any fix.
        """
        stored = read(path)
        if stored.kind != cls.kind_name:
            raise ValueError(
                f"{path} must hold {cls.kind_name}, but holds {stored.kind}; read it with "
                "conescope.transforms.load_fix"
            )
        return cls._restored(stored, path)

    @classmethod
    def _restored(cls: type[Self], stored: Stored, path: Where) -> Self:
        try:
            fix = cls(**stored.settings)
            for name, axes in cls.arrays.items():
                array = stored.arrays[name]
                setattr(fix, name, array if axes or array.size != 1 else array.reshape(())[()])  # a number
            fix.n_features_in_ = stored.facts["n_features_in"]
            fix.n_samples_seen_ = stored.facts["n_samples_seen"]
        except (KeyError, TypeError) as problem:  # an array or a number that is missing, an unknown setting
            raise ValueError(
                f"{path} must hold all of a {cls.kind_name}, and does not ({problem}); fit and save it again"
            ) from problem
        fix._check_restored(path)
        if "feature_names_in" in stored.facts:
            fix.feature_names_in_ = np.asarray(stored.facts["feature_names_in"], dtype=object)
        return fix

    def _check_restored(self, path: Where) -> None:
        """Refuse a file whose arrays do not fit together: they need not come from `save`."""
        sizes: dict[str, Any] = {"d": self.n_features_in_}
        for name, text in self.arrays.items():
            array, axes = np.asarray(getattr(self, name)), text.split()
            if len(axes) == array.ndim:
                for axis, size in zip(axes, array.shape, strict=True):
                    sizes.setdefault(axis, size)
            if array.shape != tuple(sizes.get(axis) for axis in axes):
                problem = f"{name} has the shape {array.shape}"
            elif array.dtype not in (np.float64, np.int64) or not np.isfinite(array).all():
                problem = f"{name} must be finite numbers of 64 bits"
            else:
                continue
            raise ValueError(
                f"{path} must hold the arrays of a {self.kind_name} of {self.n_features_in_} dimensions, and "
                f"does not ({problem}); fit and save it again"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _tensor(rows: NDArray[Any]) -> Tensor:
    """Return an array as a tensor; torch warns about arrays that must not be written to, and so copies."""
    return torch.from_numpy(rows if rows.flags.writeable else rows.copy())
