"""Points in a Zarr store, a folder or `.zarr.zip`: one of its arrays, read in slices.

Chunks that are not there are filled, as the format wants it: a store that was copied in part gives points
that are zero.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conescope._optional import require
from conescope._types import Points
from conescope.scale.block import LabelList
from conescope.scale.choice import Slot, choose_array, is_floating
from conescope.scale.labels import check_count, check_labels, label_list
from conescope.scale.npy import native, torch_dtype
from conescope.scale.table import Table, chunk_rows, described, legible, sliced

ROOTS = ("zarr.json", ".zarray", ".zgroup")  # one of them is in the folder of every store


@contextmanager
def open_zarr(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only array of shape (n, d), in whatever group, or the one named by its path in the store."""
    zarr: Any = require("zarr", extra="files")
    store = None
    with legible(file, "Zarr"):
        if file.is_file():
            store = zarr.storage.ZipStore(file, mode="r")
        root = zarr.open(str(file) if store is None else store, mode="r")
        arrays = _arrays(zarr, root, file)
    try:
        slots = {name: Slot(str(a.dtype), a.shape, is_floating(a.dtype)) for name, a in arrays.items()}
        name = choose_array(file, None if column is None else column.strip("/"), slots, kind="array")
        n, d = slots[name].shape
        key = None if labels is None else labels.strip("/")
        classes: Callable[[int, int], LabelList] | None = None
        if key is not None and key in arrays:
            what = f"array {labels!r} of {file}"
            check_labels(what, arrays[key].dtype, slots[key].shape)
            check_count(key, slots[key].shape[0], file, n)
            label_rows = _rows(file, key, arrays[key])
            classes = lambda start, stop: label_list(what, label_rows(start, stop))  # noqa: E731
        point_rows = _rows(file, name, arrays[name])

        def points(start: int, stop: int) -> Points:
            return native(point_rows(start, stop))

        contents = described({key: f"{slot.dtype} {slot.shape}" for key, slot in slots.items()})
        dtype = torch_dtype(arrays[name].dtype)
        pieces = sliced(n, points, classes, chunk=chunk_rows(arrays[name].chunks, d))
        yield Table(n, d, dtype, classes is not None, contents, pieces)
    finally:
        if store is not None:
            store.close()


def _arrays(zarr: Any, root: Any, file: Path) -> dict[str, Any]:
    if isinstance(root, zarr.Array):
        return {file.name.partition(".zarr")[0]: root}
    return {name: item for name, item in sorted(root.members(max_depth=None)) if isinstance(item, zarr.Array)}


def _rows(file: Path, name: str, array: Any) -> Callable[[int, int], Any]:
    """Return a function that reads rows; arrays that would be unpickled are refused before they are read."""
    metadata = array.metadata.to_dict()
    if "pickle" in str([metadata.get(key) for key in ("codecs", "filters", "compressor")]).lower():
        raise ValueError(
            f"array {name!r} of {file} is packed with pickle, which is not safe to read; "
            "write it again with another codec"
        )

    def rows(start: int, stop: int) -> Any:
        with legible(file, "Zarr"):
            return array[start:stop]

    return rows
