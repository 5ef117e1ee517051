"""`conescope barcode` as a user meets it."""

import json

import numpy as np
import pytest

from conescope.cli import main
from conescope.report import barcode_html
from conescope.results import Barcode
from conescope.survey.barcode import barcode

HOSTILE = "[red]x [link=y]\x1b[31m</script>"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["barcode", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def on_a_line(*bars, name="x.npy"):
    """Save points whose bars these are, and return them."""
    points = np.cumsum([0.0, *bars])[:, None]
    np.save(name, points)
    return points


def test_json_is_the_barcode_and_nothing_else(run):
    points = on_a_line(1, 4, 2)
    with open("ids.txt", "w") as file:
        file.write("a\nb\nc\nd\n")
    code, out, err = run("x.npy", "--ids", "ids.txt", "--json", "-o", "bars.html")
    assert (code, err) == (0, "")
    assert Barcode.model_validate_json(out) == barcode(points, ["a", "b", "c", "d"], title="x.npy")
    said = json.loads(out)
    assert said["schema_version"] == "conescope.barcode/1"
    assert (said["n"], said["d"], said["ids"]) == (4, 1, ["a", "b", "c", "d"])
    assert (said["edges"], said["lengths"]) == ([[0, 1], [2, 3], [1, 2]], [1, 2, 4])
    assert {rule["kept"] for rule in said["rules"]} == {3}
    with open("bars.html") as file:
        assert file.read() == barcode_html(Barcode.model_validate_json(out))


def test_the_terminal_has_the_numbers_by_hand(run):
    on_a_line(1, 9, 1, 1, 10, 1, 1, 8, 1, 1, 0)
    code, out, err = run("x.npy", "-o", "bars.html")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "x.npy: 12 points in 1 dimensions"
    assert lines[1] == "11 bars, 1 of length zero"
    assert lines[2] == "longest 10, median 1, total 34"
    assert lines[3] == "entropy 0.6918, relative 0.9980: of the 2 bars that recursive keeps"
    assert lines[4] == "█▇▇▂▂▂▂▂▂▂▁"  # 9 and 8 of 10 are 6 of 7 steps; 1 of 10 is one
    table = [line.split() for line in lines[8:18]]
    assert table[0] == ["10", "*", "█" * 10, "row", "4", "row", "5"]
    assert table[1] == ["9", "*", "█" * 9, "row", "1", "row", "2"]
    assert table[2] == ["8", "█" * 8, "row", "7", "row", "8"]
    assert [row[0] for row in table[3:]] == ["1"] * 7
    assert lines[18] == "* counts under the rule recursive"
    assert lines[-1] == "Report: bars.html"
    _, out, _ = run("x.npy", "--selection", "none")
    assert "of the 10 bars of positive length" in out
    _, out, _ = run("x.npy", "--selection", "shifted")
    assert "entropy 0, relative 0: of the 1 bar that shifted keeps" in out


def test_eighty_columns_whatever_the_ids(run):
    on_a_line(1, 2, 3)
    with open("ids.txt", "w") as file:
        file.write("\n".join([HOSTILE * 9, "word " * 100, "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 90, "", ""]))
    code, out, err = run("x.npy", "--ids", "ids.txt")
    assert (code, err) == (0, "")
    from rich.cells import cell_len

    assert max(map(cell_len, out.splitlines())) == 80
    assert "\x1b" not in out
    assert "[red]x [link=y]" in out
    assert "row 3" in out  # for the text that is empty


def test_an_ascii_terminal_gets_ascii(run, monkeypatch):
    import io
    import sys

    on_a_line(1, 2, 4)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit):
        main(["barcode", "x.npy"])
    stream.flush()
    assert "#" * 10 in stream.buffer.getvalue().decode("ascii")


def test_a_sample_says_so(run):
    on_a_line(*range(1, 40))
    code, out, _ = run("x.npy", "--sample", 5, "--seed", 2)
    assert code == 0
    assert out.splitlines()[0] == "x.npy: 5 points in 1 dimensions (drawn from 40)"
    _, out, _ = run("x.npy", "--sample", 5, "--seed", 2, "--json")
    assert json.loads(out)["sampled_from"] == 40


def test_one_point(run):
    np.save("x.npy", np.ones((1, 3)))
    code, out, _ = run("x.npy", "-o", "bars.html")
    assert code == 0
    assert "0 bars" in out
    assert "note: n = 1: bars join points, and there are fewer than two" in out
    code, out, _ = run("x.npy", "--json")
    assert (json.loads(out)["edges"], json.loads(out)["lengths"]) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npy"], "none.npy"),
        (["empty.npy"], "empty.npy holds no points: its shape is (0, 3)"),
        (["nan.npy"], "the first in row 3"),
        (["x.npy", "--ids", "three.txt"], "there are 4 points, but three.txt has 3"),
        (["x.npy", "--ids", "none.txt"], "there is no file none.txt to read ids from"),
        (["x.npy", "--selection", "best"], "--selection must be one of recursive, single_pass, shifted"),
        (["x.npy", "--sample", "1"], "--sample"),
        (["x.npy", "--ids", "bytes.txt"], "bytes.txt must be text in UTF-8, one id a line"),
    ],
)
def test_bad_input_is_exit_code_2_and_leaves_no_page(run, tmp_path, arguments, message):
    on_a_line(1, 4, 2)
    np.save("empty.npy", np.ones((0, 3)))
    broken = np.ones((5, 3))
    broken[3, 1] = np.nan
    np.save("nan.npy", broken)
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    code, out, err = run(*arguments, "-o", "bars.html")
    assert (code, out) == (2, "")
    assert message in err
    if "--sample" not in arguments:  # answered by typer, in its own way
        assert (err.count("\n"), err[:11]) == (1, "conescope: ")
    assert not (tmp_path / "bars.html").exists()
