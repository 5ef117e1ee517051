"""Labelled texts from TSV, CSV, JSON lines or Parquet, with errors that name file, column and row."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conescope.capture.tables import TABLES, is_text, plain_type, read_table


@dataclass(frozen=True)
class LabelledTexts:
    """One text, or a pair of texts, and a class number for each example."""

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)


def read_labelled(
    train: str | Path, dev: str | Path, *, text: str, text_pair: str | None, label: str
) -> tuple[LabelledTexts, LabelledTexts, tuple[str, ...]]:
    """Return the training set, the held-out set and the names of the classes, in their natural order.

    TSV is read without quoting, as text corpora are written; CSV with double quotes.

    Raises:
        FileNotFoundError, ValueError: naming what was found where, and what to do.
    """
    columns = [text, *([text_pair] if text_pair is not None else []), label]
    train_table, dev_table = _read_table(Path(train), columns), _read_table(Path(dev), columns)
    classes = _class_names(train_table[label], train)
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = sorted(set(dev_table[label]) - set(numbers))
    if unknown:
        raise ValueError(
            f"{dev}: label {unknown[0]!r} does not occur in {train}, which has {', '.join(classes)}"
        )

    def labelled(table: dict[str, list[str]]) -> LabelledTexts:
        pairs = tuple(table[text_pair]) if text_pair is not None else None
        return LabelledTexts(tuple(table[text]), pairs, tuple(numbers[name] for name in table[label]))

    return labelled(train_table), labelled(dev_table), classes


def _class_names(labels: list[str], path: str | Path) -> tuple[str, ...]:
    counts = Counter(labels)
    single = [name for name, count in counts.items() if count == 1]
    if len(counts) > max(20, len(labels) // 2):
        raise ValueError(
            f"{path}: the label column holds {len(counts)} different values in {len(labels)} rows; "
            "classes are expected, so is this a score or a text?"
        )
    if single:
        raise ValueError(
            f"{path}: class {single[0]!r} has one example; every class needs two or more, "
            "so add examples or drop the class"
        )
    if len(counts) < 2:
        raise ValueError(f"{path}: two classes or more are needed, found {len(counts)}: {', '.join(counts)}")
    whole = all(name.lstrip("-").isdigit() for name in counts)
    return tuple(sorted(counts, key=int if whole else None))


def _read_table(path: Path, columns: list[str]) -> dict[str, list[str]]:
    """Return the columns as lists of strings."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if path.suffix not in TABLES:
        raise ValueError(f"{path}: expected a file named {', '.join('*' + end for end in TABLES)}")
    table = read_table(path, columns)
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise ValueError(f"{path}: no column {missing[0]!r}; there are {', '.join(table.column_names)}")
    if table.num_rows == 0:
        raise ValueError(f"{path}: no rows below the header")
    return {column: _strings(table.column(column), path, column) for column in columns}


def _strings(column: Any, path: Path, name: str) -> list[str]:
    import pyarrow

    kind = plain_type(column.type)
    if not (is_text(kind) or pyarrow.types.is_integer(kind) or pyarrow.types.is_boolean(kind)):
        raise ValueError(f"{path}: column {name!r} holds {kind}; texts, integers or booleans are expected")
    values = column.to_pylist()
    if None in values:
        raise ValueError(
            f"{path}: column {name!r} is empty in row {values.index(None)}; fill it or drop the row"
        )
    return [str(value) for value in values]
