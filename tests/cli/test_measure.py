"""`conescope measure` as a user meets it: every number, every reason, and nothing else on stdout."""

import os
import pty
import subprocess
import sys
from itertools import cycle, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conescope
from conescope.cli import main
from conescope.cli.measure import show
from conescope.cli.reading import plain
from conescope.cli.tables import number, range_text
from conescope.measures import FAMILIES, MEASURES
from conescope.results import Finding, MeasuredValue, Measurement

FEW = ["--measure", "mean_cosine", "--measure", "isoscore", "--measure", "hubness"]
HOSTILE = "[red]x [link=y]\x1b[31m\n.npy"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["measure", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def rows(n=40, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype("float32")


def measured(out):
    return Measurement.model_validate_json(out)


def agree(one, other):
    """Whether two measurements have the same values, intervals and nulls, to rounding."""
    assert one.names() == other.names()
    for name in one.names():
        for field in ("value", "low", "high", "isotropic"):
            here, there = (getattr(found.measured(name), field) for found in (one, other))
            assert (here is None) == (there is None)
            assert here is None or here == pytest.approx(there, rel=1e-9, abs=1e-12)


# what is read


def test_json_is_the_measurement_and_nothing_else(run):
    np.save("x.npy", rows())
    code, out, err = run("x.npy", "--json")
    assert (code, err) == (0, "")
    assert measured(out) == conescope.measure(rows())


def test_options_reach_the_measure(run):
    np.save("x.npy", rows())
    np.save("y.npy", np.arange(40) % 2)
    names = ["anisotropy_1_within_class", "persistent_entropy"]
    options = ["--measure", names[0], "--measure", names[1], "--sample", 10, "--seed", 7]
    _, out, _ = run("x.npy", "--labels", "y.npy", "--json", *options)
    assert measured(out) == conescope.measure(rows(), np.arange(40) % 2, names, sample=10, seed=7)


def test_quick_leaves_out_intervals_and_the_gaussian_cloud(run):
    np.save("x.npy", rows())
    code, out, _ = run("x.npy", "--quick", "--json")
    assert code == 0
    assert measured(out) == conescope.measure(rows(), intervals=False, null=False)
    _, out, _ = run("x.npy", "--quick", *FEW)
    assert out.splitlines()[1].split() == ["measure", "value", "isotropic", "healthy"]  # no intervals


def npz():
    np.savez("x.npz", emb=rows(), other=np.arange(3.0))
    return ["x.npz"]


def folder():
    os.makedirs("shards/deep")
    np.save("shards/b.npy", rows()[:10])
    np.save("shards/deep/a.npy", rows()[10:])
    return ["shards"]


def pattern():
    folder()
    return ["shards/**/*.npy"]


def two_files():
    folder()
    return ["shards/b.npy", "shards/deep/a.npy"]


def state():
    folder()
    with pytest.raises(SystemExit):
        main(["scan", "shards", "-o", "x.state"])
    return ["x.state"]


@pytest.mark.parametrize("files", [npz, folder, pattern, two_files, state])
def test_the_same_points_in_other_places(run, capsys, files):
    where = files()
    capsys.readouterr()
    code, out, err = run(*where, *FEW, "--json")
    assert (code, err) == (0, "")
    agree(measured(out), conescope.measure(rows(), measures=FEW[1::2]))
    assert measured(out).n == 40


def test_column_and_labels_of_a_table(run):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"a": list(rows()), "b": list(rows() + 1), "y": ["m", "n"] * 20}
    pq.write_table(pa.table(columns), "x.parquet")
    code, out, _ = run("x.parquet", "--column", "b", "--labels", "y", "--json")
    assert code == 0
    assert measured(out) == conescope.measure(rows() + 1, ["m", "n"] * 20)
    code, out, err = run("x.parquet", "--json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "'a'" in err or "a, b" in err  # the candidates are named


def test_partners(run):
    np.save("x.npy", rows())
    np.save("p.npy", rows(seed=1))
    _, out, _ = run("x.npy", "--partners", "p.npy", "--measure", "alignment", "--json")
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows().astype(float), rows(seed=1))]
    by_hand = np.square(units[0] - units[1]).sum(axis=1).mean()
    assert measured(out).value("alignment") == pytest.approx(by_hand, rel=1e-6)


def test_a_state_brings_its_own_labels(run, capsys):
    np.savez("x.npz", emb=rows(), y=np.arange(40) % 2)
    with pytest.raises(SystemExit):
        main(["scan", "x.npz", "--labels", "y", "-o", "x.state"])
    capsys.readouterr()
    _, out, _ = run("x.state", "--json", "--quick")
    expected = conescope.measure(rows(), np.arange(40) % 2, intervals=False, null=False)
    agree(measured(out), expected)
    assert "class_separation" in measured(out).names()


# the table


@given(st.floats(-1e300, 1e300))
def test_numbers_are_short_and_as_near_as_that_allows(value):
    text = number(value)
    assert len(text) <= 9
    assert float(text) == pytest.approx(value, rel=0.05, abs=0)  # two digits, at the worst
    if 1e-3 <= abs(value) < 1e4:
        assert float(text) == pytest.approx(value, abs=0.05)
    if "." not in text and "e" not in text:
        assert float(text) == value  # what looks whole is whole
    assert text != "-0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.59191, "0.5919"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.99999999, "1.0000"),
        (5.0, "5"),
        (0.00021249, "0.000212"),
        (-0.00021249, "-0.000212"),
        (-9999.99999, "-10000.0"),
        (123456.78, "123456.8"),
        (1e-300, "1e-300"),
        (-1.234e-300, "-1.2e-300"),
        (1e12, "1e+12"),
        (1.5e6 + 0.25, "1.5e+06"),
        (None, ""),
    ],
)
def test_numbers_by_hand(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        (None, ""),
        ((None, 0.4), "<= 0.4"),
        ((60.0, None), ">= 60"),
        ((60.0, float("inf")), ">= 60"),
        ((0.15, 0.99), "0.15 to 0.99"),
        ((None, None), ""),
    ],
)
def test_healthy_ranges(ends, text):
    assert range_text(ends) == text


def extremes():
    """All measures, with the numbers that need the most room, and every kind of neighbor for each."""
    part = "on 2048 of 1000000000000 points, seed 0"
    values = cycle([1e-300, -1.234e-300, 1e12, -1e12, -0.0, None, -9999.99999, 123456.789, -5.0, 1 / 3])
    healthy = cycle([None, (None, -0.5), (0.125, 0.875), (1234.0, None)])
    return Measurement(
        n=10**12,
        d=10**6,
        sampled=2048,
        values=tuple(
            MeasuredValue(
                name=name,
                value=value,
                note="no two points differ" if value is None else part if MEASURES[name].sampled else "",
                low=value if value is None else next(values),
                high=value if value is None else next(values),
                isotropic=next(values),
                healthy=next(healthy),
            )
            for name, value in zip(MEASURES, values, strict=False)
        ),
        notes=("a long note " * 20,),
        findings=(
            Finding(level="look", title="t", evidence="e " * 90, cause="c " * 90, fix="f", verify="v"),
        ),
    )


def cells_of(lines, name):
    """The cells of the row of a measure, whose name may go on in the next line."""
    table = [[cell.rstrip("*") for cell in line.split()] or [""] for line in lines]
    for cells, following in pairwise(table):
        if name in (cells[0], cells[0] + following[0]):
            return cells[1:]
    raise AssertionError(f"no row for {name}")


@pytest.mark.parametrize("columns", [80, 130, 200])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    found = extremes()
    show(found, "x" * 100)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
    for value in found.values:
        expected = ["undefined" if value.value is None else number(value.value)]
        expected += [number(end) for end in (value.low, value.high) if value.low is not None]
        expected += [number(value.isotropic)] if value.isotropic is not None else []
        assert cells_of(lines, value.name)[: len(expected)] == expected
    text = " ".join(" ".join(lines).split())
    assert ("norm" in text and "not centered; 1: all points in one direction" in text) == (columns >= 130)


def test_table(run):
    np.save("x.npy", rows(60, 12))
    code, out, _ = run("x.npy", "--sample", 50)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "x.npy: 60 points in 12 dimensions"
    assert max(map(len, lines)) <= 80
    found = conescope.measure(rows(60, 12), sample=50)
    table = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ") and line.split()}
    sampled = {name for name in found.names() if MEASURES[name].sampled}
    assert 0 < len(sampled) < len(found.names())
    for name in found.names():
        value = found.measured(name)
        starred = name in sampled and value.value is not None
        cells = table[f"{name}*" if starred else name]
        assert cells[0] == ("undefined" if value.value is None else number(value.value))
        if value.low is not None:
            assert cells[1:3] == [number(value.low), number(value.high)]
        after = 1 if value.low is None else 3
        assert value.isotropic is None or cells[after] == number(value.isotropic)
    assert table["mean_cosine"][-2:] == ["<=", "0.35"]  # healthy
    assert table["isoscore"][-1] == f"{58 / 72:.4f}"  # (n - 2) / (n + d)
    assert float(table["persistent_entropy*"][-1]) == pytest.approx(np.log(49), abs=1e-4)  # of the 50
    assert "* on 50 of 60 points, seed 0" in lines
    families = [line.strip() for line in lines if line.strip() in FAMILIES]
    assert families == list(FAMILIES)


def test_nothing_is_starred_when_all_points_are_looked_at(run):
    np.save("x.npy", rows())
    _, out, _ = run("x.npy", *FEW)
    assert "hubness " in out
    assert "*" not in out


def test_what_is_undefined_and_why(run):
    np.save("x.npy", np.ones((10, 3)))
    code, out, _ = run("x.npy")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("  isoscore "))
    assert line.split()[1] == "undefined"
    text = " ".join(out.split())
    for value in conescope.measure(np.ones((10, 3))).values:
        if value.value is None:
            assert value.note in text
    assert "isoscore, isoscore_star are undefined: no two points differ, or there is one dimension" in text
    assert "collapsed: all points coincide" in text
    assert "nan" not in out.lower().replace("dominan", "")


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (
            rows(200, 8) + 3,
            ["narrow cone: random pairs", "likely cause:", "smallest fix: subtract", "verify:"],
        ),
        (rows(20, 128), ["too few points: n = 20 for d = 128", "note: n = 20 < d = 128"]),
        (rows(200, 8), ["nothing stands out", "leave this model alone"]),
    ],
    ids=["cone", "few", "healthy"],
)
def test_the_verdict_is_told_with_cause_fix_and_check(run, points, words):
    np.save("x.npy", points)
    _, out, _ = run("x.npy", "--measure", "mean_cosine", "--quick")
    text = " ".join(out.split())
    assert [word for word in words if word not in text] == []
    for finding in conescope.measure(points, measures=["mean_cosine"], intervals=False, null=False).findings:
        for said in (finding.title, finding.evidence, finding.cause, finding.fix, finding.verify):
            assert " ".join(said.split()) in text


# what others named


def test_names_from_the_user_are_neither_markup_nor_commands_to_the_terminal(run):
    np.save(HOSTILE, rows())
    code, out, _ = run(HOSTILE, "--measure", "mean_cosine", "--quick")
    assert code == 0
    assert out.startswith(r"[red]x [link=y]\x1b[31m\n.npy: 40 points in 6 dimensions")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 点.npy", "größe 点.npy"),
        ("a\x1b[2J\r\n\tb", r"a\x1b[2J\r\n\tb"),
        ("a\u202egpj.npy", r"a\u202egpj.npy"),  # writes from right to left
        ("a\udcff", r"a\udcff"),  # a byte of a file name that is no UTF-8
    ],
)
def test_plain(text, shown):
    assert plain(text) == shown
    assert plain(text).encode()


def test_many_files_have_a_short_title(run):
    for number_of in range(6):
        np.save(f"{number_of}.npy", rows(seed=number_of))
    _, out, _ = run(*(f"{number_of}.npy" for number_of in range(6)), "--measure", "mean_cosine", "--quick")
    assert out.startswith("0.npy, 1.npy, 2.npy and 3 more: 240 points in 6 dimensions\n")


# what goes wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npy"], "there is no file none.npy"),
        (["x.npy", "--measure", "isoscor"], "no measure 'isoscor'; there are mean_cosine, "),
        (["none.npy", "--measure", "isoscor"], "no measure 'isoscor'"),  # told before anything is read
        (
            ["x.npy", "--measure", "class_separation"],
            "compares points within classes and needs labels",
        ),
        (["x.npy", "--measure", "alignment"], "needs partners"),
        (["x.npy", "--partners", "short.npy"], "expected (40, 6), got (3, 6)"),
        (["x.npy", "--column", "a"], "holds one array and no columns"),
        (["nan.npy"], "the first in row 3"),
        (["x.state", "--labels", "y"], "leave --labels out"),
        (["x.state", "--column", "y"], "leave --column out"),
        (["x.state", "--partners", "x.npy"], "leave --partners out"),
        (["x.state", "x.npy"], "some of the files are states, others hold points"),
        (["x.state", "--measure", "class_separation"], "needs labels"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_input_is_one_line(run, capsys, arguments, message):
    np.save("x.npy", rows())
    np.save("short.npy", rows()[:3])
    broken = rows()
    broken[3, 0] = np.nan
    np.save("nan.npy", broken)
    if "x.state" in arguments:
        with pytest.raises(SystemExit):
            main(["scan", "x.npy", "-o", "x.state"])
        capsys.readouterr()
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("conescope: ")
    assert message in err


@pytest.mark.parametrize("options", [["--sample", "1"], ["--seed", "-1"], ["--seed", str(2**32)]])
def test_numbers_out_of_range_are_refused(run, options):
    np.save("x.npy", rows())
    code, out, err = run("x.npy", *options)
    assert (code, out) == (2, "")
    assert options[0] in err
    assert "Traceback" not in err


def test_a_corrupt_file_alone(run):
    np.save("x.npy", rows())
    with open("x.npy", "r+b") as file:
        file.truncate(500)
    code, out, err = run("x.npy")
    assert (code, out) == (2, "")
    assert err == "conescope: x.npy ends before its last row; was it copied or written to the end?\n"


def spoiled():
    """A folder of three shards, of which the second is cut off."""
    os.mkdir("shards")
    for name, seed in zip("abc", range(3), strict=True):
        np.save(f"shards/{name}.npy", rows(seed=seed))
    with open("shards/b.npy", "r+b") as file:
        file.truncate(500)
    return conescope.measure(np.concatenate([rows(), rows(seed=2)]), measures=FEW[1::2])


def test_a_corrupt_shard_is_named_and_the_rest_is_shown():
    expected = spoiled()
    command = [sys.executable, "-m", "conescope", "measure", "shards", *FEW]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.startswith("shards: 80 points in 6 dimensions")
    for name in expected.names():
        line = next(line for line in done.stdout.splitlines() if line.startswith(f"  {name} "))
        assert line.split()[1] == number(expected.value(name))
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("conescope: the values leave out what could not be read: ")
    assert "b.npy ends before its last row" in done.stderr
    assert "a.npy" not in done.stderr


def test_a_corrupt_shard_and_json(run):
    expected = spoiled()
    code, out, err = run("shards", *FEW, "--json")
    assert (code, err.count("\n")) == (2, 1)
    agree(measured(out), expected)


def test_many_corrupt_shards_are_counted():
    from conescope.survey.reading import told

    failed = {f"{number_of}.npy": "is broken" for number_of in range(12)}
    text = told(failed)
    assert text.startswith("12 files could not be read: 0.npy: is broken; 1.npy: is broken; ")
    assert text.endswith("9.npy: is broken; and 2 more")
    assert told({"a.npy": "a.npy is broken", "b": "is too"}) == (
        "2 files could not be read: a.npy is broken; b: is too"
    )


# progress


def test_progress_is_shown_on_a_terminal_and_stdout_is_clean():
    np.save(HOSTILE, rows())
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "conescope", "measure", HOSTILE, "--measure", "isoscore", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, text=True) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other end closed
                break
            if not part:
                break
            seen += part
        out = process.stdout.read()
    os.close(leader)
    assert process.returncode == 0
    assert b"40/40" in seen  # rows
    assert b"measuring: " in seen
    assert HOSTILE.encode()[-12:] not in seen
    assert measured(out) == conescope.measure(rows(), measures="isoscore")


def test_no_progress_in_a_pipe():
    np.save("x.npy", rows())
    command = [sys.executable, "-m", "conescope", "measure", "x.npy", "--measure", "mean_cosine"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


# help


@pytest.mark.parametrize("command", ["", "measure", "check", "compare", "scan", "merge"])
def test_help_fits_and_loads_nothing_heavy(command):
    code = (
        "import sys\nfrom conescope.cli import main\ntry: main(sys.argv[1:])\n"
        "except SystemExit as stopped: assert not stopped.code\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pyarrow', 'conescope.results', 'conescope.survey'}\n"
        "print('loaded:', *sorted(heavy & set(sys.modules)))"  # typer itself loads pydantic
    )
    arguments = [sys.executable, "-c", code, *filter(None, [command]), "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    *lines, loaded = done.stdout.splitlines()
    assert loaded.split() == ["loaded:"]
    assert max(map(len, lines)) <= 80
    assert f"Usage: conescope {command}".strip() in done.stdout
    assert command in ("", "measure") or "For example: conescope " + command in done.stdout
