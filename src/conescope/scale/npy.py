"""One array in an npy file, mapped into memory, never unpickled."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conescope._types import Points
from conescope.scale.choice import is_floating
from conescope.scale.table import Table, check_shape, sliced


@contextmanager
def open_npy(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open an array of shape (n, d). Each piece is a map of its own, so that rows are let go with it."""
    if column is not None:
        raise ValueError(f"an npy file holds one array and no columns; leave {column!r} out for {file}")
    array = load_array(file)
    if not is_floating(array.dtype):
        raise ValueError(
            f"points are float16, float32 or float64, but {file} holds {array.dtype} of shape {array.shape}; "
            "convert with array.astype('float32')"
        )
    check_shape(str(file), array.shape)
    n, d = array.shape
    by_rows, offset = array.flags.c_contiguous, array.offset
    dtype, width = array.dtype, d * array.dtype.itemsize
    with file.open("rb") as handle:

        def points(start: int, stop: int) -> Points:
            if not by_rows:  # rows of an array in Fortran order are spread over the whole file
                return native(array[start:stop])
            shape = (stop - start, d)
            return native(np.memmap(handle, dtype, "c", offset=offset + start * width, shape=shape))

        yield Table(n, d, torch_dtype(dtype), False, None, sliced(n, points), copied=not by_rows)


def load_array(file: Path) -> "np.memmap[Any, Any]":
    """Return the array of an npy file: a copy-on-write map, read where it is used.

    Raises:
        ValueError: if the file is empty, cut off, not npy, or holds Python objects.
    """
    try:
        array = np.load(file, mmap_mode="c", allow_pickle=False)
    except EOFError:
        raise ValueError(f"{file} is empty") from None
    except ValueError as refused:
        raise ValueError(f"{file} {_reason(str(refused))}") from None
    if not isinstance(array, np.memmap):
        array.close()
        raise ValueError(
            f"{file} is an npz archive; save the one array with numpy.save, or let the name end in .npz"
        )
    return array


def native(array: NDArray[Any]) -> Points:
    """Return an array as a tensor, in the byte order of this machine; not copied if it is in it."""
    return torch.from_numpy(np.asarray(array, dtype=array.dtype.newbyteorder("=")))


def torch_dtype(dtype: "np.dtype[Any]") -> torch.dtype:
    """Return the type that `native` gives."""
    return torch.from_numpy(np.empty(0, dtype.newbyteorder("="))).dtype


def _reason(message: str) -> str:
    if "Python objects" in message:
        return (
            "holds Python objects, which only pickle could read, and that is not safe; "
            "save plain numbers or strings: numpy.save(path, numpy.array(rows.tolist()))"
        )
    if "greater than file size" in message:
        return "ends before its last row; was it copied or written to the end?"
    if "pickled" in message:  # what numpy says of every file that does not begin like npy
        return "is not an npy file; write it with numpy.save"
    return f"can not be read as npy: {message}"
