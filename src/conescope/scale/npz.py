"""Points in an npz archive: one of its arrays, which is read whole, never unpickled."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from conescope._types import Points
from conescope.scale.block import Block
from conescope.scale.choice import Slot, choose_array, is_floating
from conescope.scale.labels import check_count, check_labels, label_list
from conescope.scale.npy import native, torch_dtype
from conescope.scale.table import Table, described, legible, sliced


@contextmanager
def open_npz(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only array of shape (n, d) of the archive, or the one named; it is read whole."""
    with legible(file, "npz"):
        archive = zipfile.ZipFile(file)
    with archive:
        with legible(file, "npz"):
            headers = dict(_headers(archive))
        slots = {name: Slot(str(kind), shape, is_floating(kind)) for name, (shape, kind) in headers.items()}
        name = choose_array(file, column, slots, kind="array")
        n, d = slots[name].shape
        labeled = labels in slots
        if labels is not None and labeled:
            check_labels(f"array {labels!r} of {file}", headers[labels][1], slots[labels].shape)
            check_count(labels, slots[labels].shape[0], file, n)

        def pieces(start: int, rows: int) -> Iterator[Block]:
            points: Points = native(_read(file, archive, name))
            classes = label_list(labels or "", _read(file, archive, labels)) if labels and labeled else None
            take = sliced(
                n,
                lambda start, stop: points[start:stop],
                None if classes is None else lambda start, stop: classes[start:stop],
            )
            yield from take(start, rows)

        contents = described({key: f"{slot.dtype} {slot.shape}" for key, slot in slots.items()})
        dtype = torch_dtype(headers[name][1])
        yield Table(n, d, dtype, labeled, contents, pieces)


def _headers(archive: zipfile.ZipFile) -> Iterator[tuple[str, tuple[tuple[int, ...], Any]]]:
    for member in archive.namelist():
        with archive.open(member) as stream:
            header = _header(stream) if member.endswith(".npy") else None
        if header is not None:
            yield member.removesuffix(".npy"), header


def _header(stream: Any) -> tuple[tuple[int, ...], Any] | None:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(stream)
    else:  # version 3 is of records with names outside of ASCII: no points and no labels
        return None
    return shape, dtype


def _read(file: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with legible(file, "npz"), archive.open(f"{name}.npy") as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array
