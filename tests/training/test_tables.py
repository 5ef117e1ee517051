import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from conescope.training.tables import read_labelled

ROWS = [('He said "go', "NA", 1), ("b, c", "null", 0), ("d", "", 1), ("é", "x", 0)]


def write(path, rows=ROWS):
    texts, pairs, labels = zip(*rows, strict=True)
    if path.suffix == ".tsv":
        path.write_text("s\tt\ty\n" + "".join(f"{a}\t{b}\t{c}\n" for a, b, c in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        quoted = (",".join('"' + str(v).replace('"', '""') + '"' for v in row) for row in rows)
        path.write_text("s,t,y\n" + "\n".join(quoted) + "\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps({"s": a, "t": b, "y": c}) + "\n" for a, b, c in rows), encoding="utf-8"
        )
    else:
        parquet.write_table(pa.table({"s": texts, "t": pairs, "y": labels}), path)
    return path


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_texts(tmp_path, suffix):
    path = write(tmp_path / f"data{suffix}")
    train, dev, classes = read_labelled(path, path, text="s", text_pair="t", label="y")
    assert train == dev
    assert train.texts == tuple(row[0] for row in ROWS)
    assert train.pairs == tuple(row[1] for row in ROWS)
    assert train.labels == (1, 0, 1, 0)
    assert classes == ("0", "1")


def test_whole_numbers_are_ordered_as_numbers(tmp_path):
    path = write(tmp_path / "data.tsv", [("a", "", n) for n in (10, 9, 2, 10, 9, 2)])
    assert read_labelled(path, path, text="s", text_pair=None, label="y")[2] == ("2", "9", "10")


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (ROWS, {"text": "nope"}, r"no column 'nope'; there are s, t, y"),
        (ROWS[:2] + ROWS[:1], {}, r"class '0' has one example"),
        ([ROWS[0]] * 3, {}, r"two classes or more are needed, found 1"),
        ([("a", "b", f"{n}.5") for n in range(60)], {}, r"60 different values in 60 rows"),
        ([], {}, r"no rows below the header"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, rows, arguments, message):
    path = tmp_path / "data.tsv"
    path.write_text("s\tt\ty\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    with pytest.raises(ValueError, match=message):
        read_labelled(path, path, **({"text": "s", "text_pair": None, "label": "y"} | arguments))


def test_a_held_out_class_that_was_never_trained_is_named(tmp_path):
    train, dev = (
        write(tmp_path / "train.tsv"),
        write(tmp_path / "dev.tsv", [*ROWS, ("a", "", 7), ("b", "", 7)]),
    )
    with pytest.raises(ValueError, match=r"label '7' does not occur in .*train\.tsv, which has 0, 1"):
        read_labelled(train, dev, text="s", text_pair=None, label="y")


def test_empty_cells_and_scores_are_named(tmp_path):
    path = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"s": ["a", None], "y": [0.5, 1.5]}), path)
    with pytest.raises(ValueError, match="column 's' is empty in row 1"):
        read_labelled(path, path, text="s", text_pair=None, label="y")
    parquet.write_table(pa.table({"s": ["a", "b"], "y": [0.5, 1.5]}), path)
    with pytest.raises(ValueError, match="column 'y' holds double"):
        read_labelled(path, path, text="s", text_pair=None, label="y")


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_labelled(tmp_path / "a.tsv", tmp_path / "a.tsv", text="s", text_pair=None, label="y")
    other = tmp_path / "data.xlsx"
    other.write_text("x")
    with pytest.raises(ValueError, match=r"expected a file named \*\.tsv"):
        read_labelled(other, other, text="s", text_pair=None, label="y")
    broken = tmp_path / "data.jsonl"
    broken.write_text("{not json\n")
    with pytest.raises(ValueError, match="not readable as jsonl"):
        read_labelled(broken, broken, text="s", text_pair=None, label="y")
