"""Tables of texts: TSV, CSV, JSON lines and Parquet, read by pyarrow, with errors that name the file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conescope._optional import require

TABLES = (".tsv", ".csv", ".jsonl", ".ndjson", ".parquet")


def read_table(path: Path, texts: Sequence[str]) -> Any:
    """Return a file as a pyarrow table; columns of these names are read as strings, not as numbers.

    TSV is read without quoting, as text corpora are written; CSV with double quotes. What is missing in them
    is an empty string. Of Parquet, only these columns are read if it has them all.

    Raises:
        ValueError: if the file can not be read.
        ImportError: if pyarrow is missing.
    """
    require("pyarrow", extra="hf")
    import pyarrow

    try:
        return _parsed(path, texts)
    except (pyarrow.ArrowException, UnicodeDecodeError) as problem:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise ValueError(f"{path}: not readable as {path.suffix[1:]}: {reason}") from problem


def is_text(kind: Any) -> bool:
    """Return whether a column of this pyarrow type holds strings."""
    import pyarrow

    kind = plain_type(kind)
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def plain_type(kind: Any) -> Any:
    """Return the type of the values, of a column that may hold them by number."""
    import pyarrow

    return kind.value_type if pyarrow.types.is_dictionary(kind) else kind


def _parsed(path: Path, texts: Sequence[str]) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        from pyarrow import parquet

        present = set(parquet.read_schema(path).names)
        wanted = list(texts) if texts and present.issuperset(texts) else None
        return parquet.read_table(path, columns=wanted)
    if suffix in (".jsonl", ".ndjson"):
        from pyarrow import json

        return json.read_json(path)
    import pyarrow
    from pyarrow import csv

    tabs = suffix == ".tsv"
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(
            delimiter="\t" if tabs else ",", quote_char=False if tabs else '"', newlines_in_values=not tabs
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(texts, pyarrow.string()), strings_can_be_null=False
        ),
    )
