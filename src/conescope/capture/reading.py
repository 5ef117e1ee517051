"""Inputs of a profile from the command line: files of texts, tables of texts, folders of sounds or images."""

from pathlib import Path

from conescope.capture.images import IMAGES
from conescope.capture.modality import Modality
from conescope.capture.tables import TABLES, is_text, read_table
from conescope.capture.waves import SOUNDS

TEXT_COLUMNS = ("text", "sentence")  # names that tell the column of texts among several


def read_inputs(
    path: str | Path, *, column: str | None = None, modality: Modality | None = None
) -> tuple[list[str] | list[Path], Modality]:
    """Return the inputs that a file or folder holds, and their modality.

    A `.txt` file has a text a line; empty lines are left out. A table (`.tsv`, `.csv`, `.jsonl`,
    `.parquet`) has one in each row of a column: the only one that holds strings, or else the one named text
    or sentence. TSV is read without quoting, and what is missing in it or in CSV is an empty string. Of a
    folder, and the folders in it, all sounds or all images are taken in the order of their paths; other
    files are left out.

    Args:
        path: of the file or folder.
        column: of a table.
        modality: what to take from a folder that holds sounds and images; None where it holds one of them.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: naming what was found, if it is none of these, or holds nothing.
        ImportError: if a table needs pyarrow, which is missing.
    """
    path = Path(path)
    if path.is_dir():
        if column is not None:
            raise ValueError(f"{path}: is a folder, which has no column {column!r}; leave the column out")
        return _folder(path, modality)
    if not path.is_file():
        raise FileNotFoundError(f"no file or folder {path}")
    suffix = path.suffix.lower()
    found: Modality | None = (
        "text"
        if suffix in (".txt", *TABLES)
        else "audio"
        if suffix in SOUNDS
        else "image"
        if suffix in IMAGES
        else None
    )
    if found is None:
        known = ", ".join(f"*{end}" for end in (".txt", *TABLES))
        raise ValueError(
            f"{path}: expected texts ({known}), a sound, an image, or a folder of sounds or images"
        )
    if modality not in (None, found):
        raise ValueError(
            f"{path}: holds {found} and modality {modality} was asked for; give one or the other"
        )
    if column is not None and suffix not in TABLES:
        raise ValueError(f"{path}: is no table, so it has no column {column!r}; leave the column out")
    if found != "text":
        return [path], found
    return (_lines(path) if suffix == ".txt" else _column(path, column)), "text"


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path}: not readable as UTF-8: {problem}") from problem
    texts = [line for line in lines if line]
    if not texts:
        raise ValueError(f"{path}: every line is empty; a text a line is expected")
    return texts


def _folder(path: Path, modality: Modality | None) -> tuple[list[Path], Modality]:
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    kinds: dict[Modality, list[Path]] = {
        "audio": [file for file in files if file.suffix.lower() in SOUNDS],
        "image": [file for file in files if file.suffix.lower() in IMAGES],
    }
    present = [kind for kind, found in kinds.items() if found]
    if modality is None and len(present) > 1:
        counts = f"{len(kinds['audio'])} sounds and {len(kinds['image'])} images"
        raise ValueError(f"{path}: holds {counts}; say which by the modality, audio or image")
    chosen = modality or (present[0] if present else None)
    if chosen is None or not kinds.get(chosen):
        suffixes = ", ".join(sorted({file.suffix or "no suffix" for file in files})) or "none"
        wanted = {"audio": SOUNDS, "image": IMAGES}.get(chosen or "", (*SOUNDS, *IMAGES))
        raise ValueError(
            f"{path}: holds no {' or '.join(wanted)} file (its {len(files)} files have the suffixes: "
            f"{suffixes}); texts come from one file"
        )
    return kinds[chosen], chosen


def _column(path: Path, column: str | None) -> list[str]:
    # which columns there are is not known yet: a Parquet file is read whole where none is named
    named = [column] if column is not None else [] if path.suffix.lower() == ".parquet" else TEXT_COLUMNS
    table = read_table(path, named)
    names = ", ".join(table.column_names)
    if column is not None and column not in table.column_names:
        raise ValueError(f"{path}: no column {column!r}; there are {names}")
    if column is None:
        strings = [field.name for field in table.schema if is_text(field.type)]
        named = [name for name in strings if name.lower() in TEXT_COLUMNS]
        candidates = strings if len(strings) == 1 else named
        if len(candidates) != 1:
            raise ValueError(
                f"{path}: can not tell the column of texts; name one with --column among {names}"
            )
        column = candidates[0]
    texts = table.column(column)
    if not is_text(texts.type):
        raise ValueError(f"{path}: column {column!r} holds {texts.type}, not texts; there are {names}")
    values: list[str | None] = texts.to_pylist()
    if not values:
        raise ValueError(f"{path}: no rows below the header")
    if None in values:
        raise ValueError(
            f"{path}: column {column!r} is empty in row {values.index(None)} (counted from 0); fill it or "
            "drop the row"
        )
    return [value for value in values if value is not None]
