"""The files that a path, a folder, a glob pattern, or several of these stand for."""

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from conescope.scale.zarr_arrays import ROOTS

Where: TypeAlias = str | os.PathLike[str]


def found(
    where: Where | Sequence[Where], suffixes: Sequence[str], besides: Path | None
) -> list[tuple[str, Path]]:
    """Return the files, each with a name that no other has, sorted by name, each once.

    Names are relative to the folder, or the part of the pattern without wildcards; of a single file,
    the name of the file; and the whole path where two would be the same.

    Args:
        where: what the user gave.
        suffixes: of the files to take from folders and patterns; hidden files are passed over.
        besides: a file that is not taken from folders and patterns: the labels.
    """
    several = [where] if isinstance(where, str | os.PathLike) else list(where)
    if not several:
        raise ValueError("there is no file to read: the list is empty")

    def wanted(file: Path) -> bool:
        return is_format(file, suffixes) and (besides is None or file.resolve() != besides.resolve())

    names: dict[Path, tuple[str, Path]] = {}
    for one in several:
        for name, file in _files(os.fspath(one), wanted):
            names.setdefault(file.resolve(), (name, file))
    taken = [name for name, _ in names.values()]
    return sorted(
        (name if taken.count(name) == 1 else file.as_posix(), file) for name, file in names.values()
    )


def is_format(file: Path, suffixes: Sequence[str]) -> bool:
    """Return whether a path has one of these suffixes, or is the folder of a Zarr store."""
    return (file.is_file() and file.name.lower().endswith(tuple(suffixes))) or is_store(file)


def is_store(folder: Path) -> bool:
    """Return whether a folder is a Zarr store, by its name or by what is in it."""
    return folder.is_dir() and (
        folder.suffix.lower() == ".zarr" or any((folder / root).exists() for root in ROOTS)
    )


def _files(where: str, wanted: Callable[[Path], bool]) -> list[tuple[str, Path]]:
    path = Path(where)
    if path.is_dir() and not is_store(path):
        files = list(_below(path, wanted))
        if not files:
            raise ValueError(f"{where} is a directory, and no file of points is in it")
        return [(file.relative_to(path).as_posix(), file) for file in files]
    if path.exists():
        return [(path.name, path)]
    if glob.has_magic(where):
        return _matching(where, wanted)
    raise FileNotFoundError(f"there is no file {where}")


def _matching(pattern: str, wanted: Callable[[Path], bool]) -> list[tuple[str, Path]]:
    base = Path(*_before_wildcards(Path(pattern).parts))
    files = []
    for match in map(Path, glob.glob(pattern, recursive=True)):
        if wanted(match):
            if not any(is_store(folder) for folder in match.parents):  # a chunk in a store is no shard
                files.append(match)
        elif match.is_dir():
            files.extend(_below(match, wanted))
    if not files:
        raise FileNotFoundError(f"no file of points matches {pattern}")
    return [(file.relative_to(base).as_posix(), file) for file in files]


def _before_wildcards(parts: tuple[str, ...]) -> list[str]:
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return list(parts[:first])


def _below(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    files = []
    for root, folders, names in os.walk(folder):
        stores = [name for name in folders if is_store(Path(root, name))]
        folders[:] = [name for name in folders if name not in stores and not name.startswith(".")]
        files += [Path(root, name) for name in stores + names if not name.startswith(".")]
    return [file for file in files if wanted(file)]
