"""One array in an npy file, mapped into memory, never unpickled."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_array(file: Path) -> NDArray[Any]:
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
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{file} is an npz archive; save the one array with numpy.save")
    return array


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
