"""Points in an HDF5 file: one of its datasets, read in slices."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from conescope._optional import require
from conescope._types import Points
from conescope.scale.block import LabelList
from conescope.scale.choice import Slot, choose_array, is_floating
from conescope.scale.labels import check_count, check_labels, label_list
from conescope.scale.npy import native, torch_dtype
from conescope.scale.table import Table, chunk_rows, described, legible, sliced


@contextmanager
def open_hdf5(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only dataset of shape (n, d), in whatever group, or the one named by its path in the file."""
    h5py: Any = require("h5py", extra="files")
    with legible(file, "HDF5"):
        source = h5py.File(file, "r")
    with source:
        with legible(file, "HDF5"):
            sets = _datasets(h5py, source)
            slots = {name: _slot(data) for name, data in sets.items()}
        name = choose_array(file, None if column is None else column.strip("/"), slots, kind="dataset")
        n, d = slots[name].shape
        classes: Callable[[int, int], LabelList] | None = None
        key = None if labels is None else labels.strip("/")
        if key is not None and key in sets:
            what = f"dataset {labels!r} of {file}"
            text = h5py.check_string_dtype(sets[key].dtype) is not None
            check_labels(what, np.dtype("U") if text else _plain(sets[key].dtype), slots[key].shape)
            check_count(key, slots[key].shape[0], file, n)
            classes = _label_rows(file, what, sets[key].asstr() if text else sets[key])
        data = sets[name]

        def points(start: int, stop: int) -> Points:
            with legible(file, "HDF5"):
                rows = data[start:stop]
            return native(rows)

        contents = described({key: f"{slot.dtype} {slot.shape}" for key, slot in slots.items()})
        dtype = torch_dtype(data.dtype)
        pieces = sliced(n, points, classes, chunk=chunk_rows(data.chunks, d))
        yield Table(n, d, dtype, classes is not None, contents, pieces)


def _datasets(h5py: Any, source: Any) -> dict[str, Any]:
    """Return the datasets of all groups. Links into other files are not followed."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    source.visititems(visit)
    return found


def _slot(data: Any) -> Slot:
    return Slot(str(data.dtype), tuple(data.shape or ()), is_floating(data.dtype))


def _plain(dtype: Any) -> Any:
    """Return a type that is refused in place of arrays and references, which h5py calls objects."""
    return np.dtype("V1") if dtype.kind == "O" else dtype


def _label_rows(file: Path, what: str, data: Any) -> Callable[[int, int], LabelList]:
    def rows(start: int, stop: int) -> LabelList:
        with legible(file, "HDF5"):
            array = data[start:stop]
        return label_list(what, array)

    return rows
