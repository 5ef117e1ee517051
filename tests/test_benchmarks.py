"""The benchmarks run at tiny sizes, and arms that are compared return the same. No time is asserted."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import clouds, files, measures, nearest, persistence, profiles, record, regularizers, timing
from benchmarks.limits import Limit, share
from benchmarks.record import Agreement, Record, Row, Spent
from benchmarks.timing import Timed

from conescope.measures import MEASURES, mean_cosine
from conescope.topology import compiled
from tests.topology.loops import REAL


@pytest.fixture(scope="module", autouse=True)
def without_pauses_and_with_numba():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "PAUSE", 0)
        patch.setattr(compiled, "compiled", REAL)
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("measures") / "measures.json"
    assert measures.main(["--quick", "-o", str(path)]) == 0
    return Record.model_validate_json(path.read_bytes())


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    assert files.main(["--quick", "--dir", str(folder), "-o", str(folder / "out" / "files.json")]) == 0
    assert list(folder.iterdir()) == [folder / "out"]  # the points are deleted
    return Record.model_validate_json((folder / "out" / "files.json").read_bytes())


ROOT = Path(__file__).parents[1]


def of(found, benchmark):
    return [row for row in found.rows if row.benchmark == benchmark]


def test_every_benchmark_is_there_with_its_targets(measured):
    assert {row.benchmark for row in measured.rows} == set(measures.BENCHMARKS)
    targets = {
        name: {(row.least, row.most) for row in of(measured, name)} - {(None, None)}
        for name in measures.BENCHMARKS
    }
    assert targets == {
        "limits": set(),
        "mean_cosine": {(100, None)},
        "moments": {(None, 1.2)},
        "neighbors": {(1.5, None)},
        "rows": set(),
        "command": {(None, 10), (None, 0.5)},
    }


def test_files_have_their_targets(read):
    assert [(row.least, row.most) for row in read.rows if (row.least, row.most) != (None, None)] == [
        (8, None),
        (70, None),
        (None, 300),
        (None, 300),
    ]


@pytest.fixture(scope="module")
def persistent(tmp_path_factory):
    path = tmp_path_factory.mktemp("persistence") / "persistence.json"
    # a Python that has scikit-learn and SciPy; what else could be compared with is not among them
    cases = {name: case._replace(peers=dict.fromkeys(PEERS)) for name, case in persistence.QUICK.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(persistence, "QUICK", {name: cases[name] for name in ("64", "4096")})
        assert persistence.main(["--quick", "--peers", sys.executable, "-o", str(path)]) == 0
    return Record.model_validate_json(path.read_bytes())


PEERS = (persistence.HDBSCAN, persistence.LINKAGE)


def test_persistence_is_compared_with_peers_and_with_one_product(persistent):
    compared = [row for row in persistent.rows if row.agreements]
    assert len(compared) == 2 * 2 * (len(PEERS) + 1)  # two sizes, two kinds of points; compiled besides
    assert all(pair.holds for row in compared for pair in row.agreements)
    assert {row.unit for row in persistent.rows} == {"times faster", "times as long", "MB"}
    assert set(persistent.machine["peers"]) >= {"torch", "scikit-learn", "scipy"}


def test_persistence_has_the_targets_that_were_set():
    targets = {
        name: (*case.peers.values(), case.passes, case.most) for name, case in persistence.CASES.items()
    }
    assert targets == {
        "classes": (10, None, None),
        "batch": (None, None, None),
        "64": (1.5, None, None, None),
        "256": (3, None, None),
        "1024": (5, None, None, None),
        "4096": (5, 2, None, None),
        "20000": (45, 15, 3, None),
        "100000": (None, 25),
        "1000000": (None, None),
    }


def test_a_peer_that_ends_is_told(tmp_path):
    peers = persistence.Peers(sys.executable)
    with pytest.raises(RuntimeError, match="nobody ended with 1"):
        peers.ask(peer="nobody", file=str(tmp_path / "none.npy"), calls=1)
    peers.close()


def test_a_peer_that_ends_is_asked_again_with_other_kernels(tmp_path):
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'test "$OPENBLAS_CORETYPE" = Haswell || exit 11\n'
        'while read line; do echo \'{"seconds": [1.0], "total": 2.0}\'; done\n'
    )
    python.chmod(0o755)
    peers = persistence.Peers(str(python))
    assert peers.ask(peer="linkage", file="points.npy", calls=1) == {"seconds": [1.0], "total": 2.0}
    assert peers.plain == {"linkage"}
    peers.close()


def test_compared_arms_agree(measured, read):
    compared = {
        name: [pair for row in of(measured, name) for pair in row.agreements] for name in measures.BENCHMARKS
    }
    assert {name: len(pairs) for name, pairs in compared.items()} == {
        "limits": 0,
        "mean_cosine": 3,
        "moments": 4,
        "neighbors": 5,
        "rows": 0,
        "command": 1,
    }
    pairs = [pair for found in (measured, read) for row in found.rows for pair in row.agreements]
    assert len(pairs) == 13 + 3
    assert all(pair.difference <= pair.tolerance <= 1e-2 for pair in pairs)


def test_every_measure_is_timed_at_every_size(measured):
    grid = [(row.what, (row.n, row.d)) for row in of(measured, "rows")]
    assert sorted(grid) == sorted((name, size) for name in MEASURES for size in measures.QUICK.grid)


def test_numbers_are_those_of_the_seconds(measured):
    for row in of(measured, "rows"):
        assert row.value == pytest.approx(1e3 * row.seconds["function"].median)
    for row in measured.rows:
        assert math.isfinite(row.value)
        assert row.value > 0
        assert row.met is None  # tiny sizes are not judged
        assert all(0 < spent.least <= spent.median for spent in row.seconds.values())


def test_a_record_tells_machine_and_versions_and_no_path(measured, read, tmp_path):
    for found in (measured, read):
        assert {"processor", "cores", "threads", "memory_gib", "load_before"} <= set(found.machine)
        assert {"commit", "python", "torch", "numpy", "scikit-learn"} <= set(found.versions)
        assert found.quick
        text = found.model_dump_json()
        assert "/" not in text.replace("GB/s", "").replace("GFLOP/s", "").replace("benchmark/1", "")
    assert measured.command == "python -m benchmarks.measures --quick"


def test_a_cloud_is_what_it_promises():
    points = clouds.Law(8).draw(20_000)
    assert points.dtype == torch.float32
    torch.testing.assert_close(points.var(dim=0), 1 / torch.arange(1.0, 9), rtol=0.05, atol=0)
    shared = points.mean(dim=0).square().sum() / points.square().sum(dim=1).mean()
    assert shared.item() == pytest.approx(clouds.SHARED, abs=0.01)
    some = clouds.cloud(500, 768)
    assert 0.5 < mean_cosine(some.points).item() < 0.7
    assert torch.equal(some.points, clouds.cloud(500, 768).points)
    assert set(some.labels.tolist()) == set(range(clouds.CLASSES))


def test_a_written_file_is_the_cloud(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DRAWN", 8192)
    files.write_points(tmp_path / "points.npy", 20_000, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["points.npy"]
    expected = clouds.Law(3).draw(20_000).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "points.npy"), expected)


def test_a_file_that_is_there_is_used_and_left(tmp_path):
    with files.points_file(50, 4, tmp_path, keep=True) as path:
        before = path.stat().st_mtime_ns
    with files.points_file(50, 4, tmp_path, keep=False) as path:
        assert path.stat().st_mtime_ns == before
    assert path.exists()
    with files.points_file(60, 4, tmp_path, keep=False) as path:
        assert path.exists()
    assert not path.exists()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        files.main(["--rows", str(10**15), "--dir", str(tmp_path)])
    assert stopped.value.code == 2
    assert "GB are free" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_arms_take_turns():
    order = []
    arms = {name: lambda name=name: order.append(name) or name for name in "abc"}
    times, values = timing.in_turns(arms, 2)
    assert "".join(order) == "abc" + "abc" + "bca"  # to warm up, then a round that begins with each
    assert values == {"a": "a", "b": "b", "c": "c"}
    assert [len(timed.seconds) for timed in times.values()] == [2, 2, 2]


def test_a_quotient_is_taken_within_rounds():
    ours, theirs = Timed((1.0, 10.0, 2.0)), Timed((3.0, 20.0, 8.0))
    assert timing.quotient(theirs, ours) == 3  # of 3, 2 and 4
    assert ours.median == 2


def test_a_share_is_of_what_the_machine_does_in_the_same_time():
    limit = Limit(lambda: None, amount=100.0)
    # 100 in 2 s is 50 a second; 30 in 1 s is 60 % of that
    assert share(30.0, Timed((1.0,)), limit, Timed((2.0,))) == pytest.approx(60)


def test_a_budget_bounds_the_repeats():
    calls = []
    assert len(timing.within(lambda: calls.append(0), 4, 10.0).seconds) == 4
    assert len(calls) == 5  # the first one warms up
    assert len(timing.within(lambda: time.sleep(0.02), 4, 0.01).seconds) == 1


@pytest.mark.parametrize(
    ("value", "bound", "met"),
    [
        (100.0, {"least": 100}, True),
        (99.0, {"least": 100}, False),
        (1.2, {"most": 1.2}, True),
        (1.3, {"most": 1.2}, False),
        (math.nan, {"most": 1.2}, False),
        (1.0, {}, None),
    ],
)
def test_a_target_is_met_or_not(value, bound, met):
    assert Row(benchmark="x", what="x", value=value, unit="s", **bound).judged().met is met


def test_values_that_differ_end_with_code_1(tmp_path, capsys):
    wrong = Agreement.of("a, b", 1.0, 1.5, 1e-3)
    assert wrong.difference == pytest.approx(1 / 3)
    row = Row(benchmark="x", what="speed", value=1.0, unit="s", agreements=(wrong,))
    hardware = {"processor": "p", "threads": 1, "cores": 1, "memory_gib": 1, "load_before": 0.0}
    path = tmp_path / "new" / "x.json"
    assert record.finish("x", [row], hardware, quick=False, path=path) == 1
    captured = capsys.readouterr()
    assert "disagreement: speed: a, b differ by 3.3e-01" in captured.err
    assert json.loads(path.read_text())["rows"][0]["agreements"][0]["between"] == "a, b"
    assert not Agreement(between="a, b", difference=math.nan, tolerance=1.0).holds


def test_faiss_distances_leave_the_point_itself_out():
    pytest.importorskip("faiss")
    line = np.array([[0.0], [1.0], [3.0], [3.0], [3.0]], dtype=np.float32)  # three points coincide
    np.testing.assert_array_equal(nearest.flat_distances(line, 2), [[1, 3], [1, 2], [0, 0], [0, 0], [0, 0]])


def test_peak_memory_sees_what_comes_and_goes():
    """In a process of its own, whose memory nobody else gives back."""
    if record.machine.anonymous_bytes() is None:
        pytest.skip("the system does not tell")
    code = (
        "import time, numpy as np\n"
        "from benchmarks.machine import anonymous_bytes\n"
        "from benchmarks.memory import Peak\n"
        "before = anonymous_bytes()\n"
        "with Peak() as peak:\n"
        "    block = np.ones(40 << 17)\n"  # 40 MiB
        "    time.sleep(0.1)\n"
        "    del block\n"
        "print(peak.bytes - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert 38 << 20 <= int(run.stdout) <= 80 << 20


ROW = Row(
    benchmark="mean_cosine",
    what="mean cosine",
    value=123.4,
    unit="times faster",
    least=100,
    met=True,
    seconds={
        "ours": Spent(median=0.0021, least=0.002, repeats=3),
        "theirs": Spent(median=2, least=1, repeats=3),
    },
)
CELL = Row(benchmark="rows", what="isoscore", value=1.234, unit="ms", n=10, d=2)
SAMPLE = Record(
    command="python -m benchmarks.measures",
    quick=False,
    date="2026-01-02",
    machine={"processor": "p", "threads": 2, "cores": 2, "memory_gib": 24, "load_before": 0.1},
    versions={"commit": "0123456789abcdef with changes", "torch": "2", "numpy": "2"},
    rows=(ROW, CELL),
)


def test_tables(capsys):
    lines = record.render(SAMPLE).splitlines()
    assert "| mean cosine | 123 times faster | at least 100 | met | ours 2.1 ms; theirs 2 s |" in lines
    assert "| `isoscore` | 1.23 |" in lines
    assert "commit 0123456789ab with changes, 2026-01-02" in lines[0]
    record.show(SAMPLE)
    printed = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in printed) <= 80
    assert next(line for line in printed if "123 times" in line).split()[-1] == "met"


def test_the_readme_holds_the_results():
    text = record.README.read_text()
    assert record.with_section(text, record.section()) == text  # else run python -m benchmarks.record
    with pytest.raises(ValueError, match="must have the marks"):
        record.with_section("no marks", "table")


def test_a_profile_returns_what_hidden_states_give(tmp_path):
    path = tmp_path / "profiles.json"
    assert profiles.main(["--quick", "-o", str(path)]) == 0  # not 0 where they disagree
    cost, other = Record.model_validate_json(path.read_bytes()).rows
    assert cost.most == 10
    assert len(cost.agreements) == 7  # a layer each
    assert other.seconds


def test_regularizers_have_their_targets(tmp_path):
    path = tmp_path / "regularizers.json"
    assert regularizers.main(["--quick", "-o", str(path)]) == 0
    *found, step = Record.model_validate_json(path.read_bytes()).rows
    assert {row.most for row in found if "PersistentEntropy" in row.what} == {0.5}
    assert {row.most for row in found if "PersistentEntropy" not in row.what} == {1.0}
    assert all(row.value > 0 for row in found)
    assert step.what == regularizers.STEP
