"""Scans: one pass over any shards is one pass in memory, also when stopped, and when shards are broken."""

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from conescope.scale import scan as module
from conescope.scale import shards as shards_module
from conescope.scale.moments import SINGLE_RESOLUTION
from conescope.scale.sample import FINGERPRINT_ROWS, draw, fingerprint
from conescope.scale.sample import merge as merge_samples
from conescope.scale.scan import DOUBLE_WORK, scan
from conescope.scale.shards import Shard, open_shards, shard_of
from conescope.scale.state import load, load_parts, merge, numbered, state_of
from tests.scale.test_state import exactly_equal

D = 3
ROW = 4 * D  # bytes of a row of float32


def cloud(n=20, seed=0, dtype="float32"):
    return (np.random.default_rng(seed).normal(size=(n, D)) + 1).astype(dtype)


def words(n, seed=0):
    return [("a", "b", "ä ö", "")[i % 3 + (seed % 2 if i % 5 == 0 else 0)] for i in range(n)]


def write(path, points, labels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, points)
    elif path.suffix == ".parquet":
        columns = {"x": pa.array(list(points), pa.list_(pa.from_numpy_dtype(points.dtype)))}
        pq.write_table(pa.table(columns | ({} if labels is None else {"y": labels})), path, row_group_size=7)
    elif path.suffix == ".jsonl":
        rows = [{"x": row} for row in points.tolist()]
        for row, label in zip(rows, labels or [], strict=labels is not None):
            row["y"] = label
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        save_file({"x": torch.from_numpy(points).bfloat16()}, path)
    return path


@pytest.fixture
def block_rows(monkeypatch):
    """Set how many rows of float32 a block has."""

    def set_rows(rows):
        for size in ("BYTES", "UNCOPIED"):
            monkeypatch.setattr(shards_module, size, rows * ROW)

    set_rows(4)
    return set_rows


@pytest.fixture
def read(monkeypatch):
    """All that is read beyond the heads of shards, as (shard, first row, rows)."""
    found = []
    blocks = Shard.blocks

    def noted(shard, start=0, rows=None):
        for block in blocks(shard, start, rows):
            if rows != FINGERPRINT_ROWS:
                found.append((shard.name, start, len(block.points)))
                start += len(block.points)
            yield block

    monkeypatch.setattr(Shard, "blocks", noted)
    return found


@pytest.fixture
def eager(monkeypatch):
    """Save after every block."""
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)


def folder(path, sizes=(9, 14, 6)):
    for at, n in enumerate(sizes):
        write(path / f"{at}.npy", cloud(n, seed=at))
    return open_shards(path)


def points_of(shards):
    return [torch.cat([block.points for block in shard.blocks()]) for shard in shards]


def assert_moments_of(state, clouds, rtol=1e-12):
    """Compare with NumPy on all points at once."""
    rows = torch.cat([points.double() for points in clouds]).numpy()
    norms = np.linalg.norm(rows, axis=1)
    found, close = state.moments, np.testing.assert_allclose
    assert state.n == len(rows)
    close(found.mean, rows.mean(axis=0), rtol=rtol)
    close(found.direction_sum, (rows / norms[:, None]).sum(axis=0), rtol=rtol)
    close(found.norm_mean, norms.mean(), rtol=rtol)
    close(found.norm_scatter, ((norms - norms.mean()) ** 2).sum(), rtol=rtol)
    close(found.norm_range, (norms.min(), norms.max()), rtol=rtol)
    if found.scatter is not None:
        scatter = np.cov(rows.T, ddof=0) * len(rows)
        close(found.scatter, scatter, rtol=0, atol=rtol * scatter.max())
        close(found.direction_square_sum, ((rows / norms[:, None]) ** 2).sum(axis=0), rtol=rtol)


def assert_sample_of(state, clouds, **options):
    """Compare with the draw from each shard as a whole."""
    expected = merge_samples(*(draw(points, shard=fingerprint(points), **options) for points in clouds))
    assert np.array_equal(state.sample.keys, expected.keys)
    assert torch.equal(state.sample.rows, expected.rows)
    assert torch.equal(state.sample.points, expected.points)


# one pass


@pytest.mark.parametrize("rows", [1, 4, 1000])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", [2, 10, 2**62])
def test_a_scan_is_one_pass_in_memory(tmp_path, block_rows, rows, order, sample):
    block_rows(rows)
    write(tmp_path / "a.npy", cloud(90, 1))
    write(tmp_path / "deep" / "b.parquet", cloud(20, 2, "float64"))
    write(tmp_path / "deep" / "er" / "c.jsonl", cloud(15, 3))
    write(tmp_path / "one.npy", cloud(1, 4))
    write(tmp_path / "z.safetensors", cloud(12, 5))
    shards = open_shards(tmp_path)
    assert len(shards) == 5
    state, failed = scan(shards, order=order, sample=sample, seed=6)
    assert failed == {}
    assert (state.moments.scatter is None) == (order == 1)
    assert_moments_of(state, points_of(shards))
    assert_sample_of(state, points_of(shards), capacity=sample, seed=6)
    assert [(record.name, record.rows, record.complete) for record in state.shards] == [
        ("a.npy", 90, True),
        ("deep/b.parquet", 20, True),
        ("deep/er/c.jsonl", 15, True),
        ("one.npy", 1, True),
        ("z.safetensors", 12, True),
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 59), max_size=6), rows=st.integers(1, 60), data=st.data())
def test_any_shards_in_any_order_and_blocks_of_any_size(block_rows, cuts, rows, data):
    points = torch.from_numpy(cloud(60, dtype="float64"))
    block_rows(2 * rows)
    edges = [0, *sorted(set(cuts)), 60]
    shards = [shard_of(points[a:b], name=f"{a}") for a, b in pairwise(edges)]
    state, failed = scan(data.draw(st.permutations(shards)), sample=7)
    assert failed == {}
    assert_moments_of(state, [points])
    assert_sample_of(state, points_of(shards), capacity=7)


def test_points_in_memory_and_in_a_file_give_one_state(tmp_path):
    points = cloud(200)
    state, _ = scan(open_shards(write(tmp_path / "x.npy", points)), sample=50, seed=3)
    rows = torch.from_numpy(points)
    here = state_of(rows, capacity=50, seed=3, shard=fingerprint(rows))
    assert exactly_equal(state.moments, here.moments)
    assert exactly_equal(state.sample, here.sample)


def test_moving_and_renaming_changes_nothing(tmp_path):
    folder(tmp_path / "one")
    (tmp_path / "other" / "deep").mkdir(parents=True)
    for at in range(3):
        shutil.copy(tmp_path / "one" / f"{at}.npy", tmp_path / "other" / "deep" / f"x{at}.npy")
    one, other = (scan(open_shards(tmp_path / name), sample=8).state for name in ("one", "other"))
    assert exactly_equal(one.moments, other.moments)
    assert exactly_equal(one.sample, other.sample)


def test_states_of_shards_merge_to_the_state_of_all(tmp_path):
    shards = folder(tmp_path)
    states = [scan([shard], sample=8).state for shard in shards]
    whole = scan(shards, sample=8).state
    for some in (states, states[::-1]):
        found = reduce(merge, some)
        assert_moments_of(found, points_of(shards))
        assert exactly_equal(found.sample, whole.sample)


def test_the_stored_type_is_kept_in_the_sample(tmp_path):
    write(tmp_path / "z.safetensors", cloud(12))
    assert scan(open_shards(tmp_path)).state.sample.points.dtype == torch.bfloat16


# labels


@pytest.mark.parametrize("rows", [1, 4, 1000])
@pytest.mark.parametrize("kind", ["text", "numbers"])
def test_classes_are_matched_by_name(tmp_path, block_rows, rows, kind):
    block_rows(rows)
    known = {"a": 5, "b": -7, "ä ö": 0, "": 2**40}
    labels = {at: words(n, at) for at, n in enumerate((9, 14, 6))}
    if kind == "numbers":
        labels = {at: [known[word] for word in some] for at, some in labels.items()}
    for at, suffix in enumerate((".parquet", ".jsonl", ".parquet")):
        write(tmp_path / f"{2 - at}{suffix}", cloud(len(labels[at]), at), labels[at])
    shards = open_shards(tmp_path, labels="y")
    state, failed = scan(shards, labels=True, sample=11)
    assert failed == {}
    points = torch.cat([points.double() for points in points_of(shards)])
    named = [label for shard in shards for block in shard.blocks() for label in block.labels]
    numbers, names = numbered(named)
    assert state.classes == names  # in the order in which they appear
    whole = state_of(points, numbers, names).moments.classes
    found = state.moments.classes
    assert torch.equal(found.counts, whole.counts)
    assert torch.equal(found.direction_counts, whole.direction_counts)
    torch.testing.assert_close(found.means, whole.means, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.direction_sums, whole.direction_sums, rtol=1e-12, atol=1e-12)
    assert len(state.sample) == 11
    for point, label in zip(state.sample.points.double(), state.sample.labels.tolist(), strict=True):
        rows_here = (points == point).all(dim=1).nonzero()
        assert len(rows_here) == 1
        assert named[rows_here.item()] == state.classes[label]


def test_labels_that_are_not_asked_for_are_left(tmp_path):
    write(tmp_path / "x.parquet", cloud(9), words(9))
    state, _ = scan(open_shards(tmp_path, labels="y"))
    assert state.classes is state.moments.classes is state.sample.labels is None


def test_shard_without_labels_is_named(tmp_path):
    write(tmp_path / "a.npy", cloud(5, 1))
    write(tmp_path / "b.parquet", cloud(9, 2), words(9))
    shards = [*open_shards(tmp_path / "a.npy"), *open_shards(tmp_path / "b.parquet", labels="y")]
    state, failed = scan(shards, labels=True)
    assert failed == {"a.npy": "a.npy has no labels; say where they are when opening it"}
    assert state.n == 9


def test_labels_of_another_kind_are_named(tmp_path):
    write(tmp_path / "a.parquet", cloud(5, 1), [1, 2, 1, 2, 1])
    write(tmp_path / "b.parquet", cloud(5, 2), list("12121"))
    state, failed = scan(open_shards(tmp_path, labels="y"), labels=True)
    assert list(failed) == ["b.parquet"]
    assert "numbers in one state and text in the other" in failed["b.parquet"]
    assert state.classes == (1, 2)


# stopping and going on


class Stopped(KeyboardInterrupt):
    pass


def stop_after(blocks):
    """What to call after every block, to be interrupted after some."""
    count = 0

    def advance(rows, total, shard):
        nonlocal count
        count += 1
        if count == blocks:
            raise Stopped

    return advance


def stopped(shards, path, after, **options):
    with pytest.raises(Stopped):
        scan(shards, path=path, advance=stop_after(after), **options)


BLOCKS = 3 + 4 + 2  # of 9, 14 and 6 rows, 4 at a time


@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("after", range(1, BLOCKS + 1))
def test_a_scan_that_is_stopped_goes_on(tmp_path, block_rows, read, after, labeled):
    options = {"sample": 8, "labels": labeled}
    for at, n in enumerate((9, 14, 6)):
        write(tmp_path / f"{at}.parquet", cloud(n, at), words(n, at))
    shards = open_shards(tmp_path, labels="y" if labeled else None)
    whole = scan(shards, **options).state
    assert len(read) == BLOCKS
    everything = read.copy()
    read.clear()
    path = tmp_path / "x.state"
    stopped(shards, path, after, **options)
    assert read == everything[:after]
    seen = []
    state, failed = scan(shards, path=path, advance=lambda *told: seen.append(told), **options)
    assert failed == {}
    assert exactly_equal(state, whole)
    assert exactly_equal(load(path)[0], whole)
    assert load_parts(path).unfinished is None
    assert read == everything  # nothing twice
    assert seen[-1][:2] == (29, 29)


@pytest.mark.usefixtures("eager")
def test_stopped_after_every_block(tmp_path, block_rows, read):
    shards = folder(tmp_path)
    whole = scan(shards, sample=8).state
    everything = read.copy()
    path = tmp_path / "x.state"

    def stop_once_read(*told):
        if read:
            raise Stopped

    for blocks in range(1, BLOCKS + 1):
        read.clear()
        with pytest.raises(Stopped):
            scan(shards, path=path, sample=8, advance=stop_once_read)
        assert read == everything[blocks - 1 : blocks]
    read.clear()
    assert exactly_equal(scan(shards, path=path, sample=8).state, whole)
    assert read == []


@pytest.mark.usefixtures("eager")
def test_a_scan_that_is_killed_goes_on(tmp_path, block_rows, read):
    shards = folder(tmp_path)
    whole = scan(shards, sample=8).state
    read.clear()
    script = """
        import os, signal, sys
        import safetensors.torch
        from conescope.scale import open_shards, scan as scan_module, shards as shards_module

        shards_module.UNCOPIED, scan_module.CHECKPOINT_SECONDS = 4 * 12, -1.0
        write, saves = safetensors.torch.save_file, []
        def killed(tensors, path, metadata):
            write(tensors, path, metadata=metadata)
            saves.append(path)
            if len(saves) == 6:
                os.truncate(path, 100)
                os.kill(os.getpid(), signal.SIGKILL)
        safetensors.torch.save_file = killed
        scan_module.scan(open_shards(sys.argv[1]), sample=8, path=sys.argv[2])
    """
    path = tmp_path / "x.state"
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script), tmp_path, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    left = load_parts(path)
    assert (left.state.n, left.unfinished.n) == (9, 8)
    state, failed = scan(open_shards(tmp_path), sample=8, path=path)
    assert failed == {}
    assert read[0] == ("1.npy", 8, 4)
    assert exactly_equal(state, whole)
    assert exactly_equal(load(path)[0], whole)


def test_going_on_with_blocks_of_another_size(tmp_path, block_rows):
    shards = folder(tmp_path)
    stopped(shards, tmp_path / "x.state", 5, sample=8)
    block_rows(3)
    state, _ = scan(shards, path=tmp_path / "x.state", sample=8)
    assert_moments_of(state, points_of(shards))
    assert_sample_of(state, points_of(shards), capacity=8)


@pytest.mark.parametrize(("seconds", "saves"), [(-1.0, BLOCKS + 1), (1e9, 1)])
def test_the_state_is_saved_when_it_is_due(tmp_path, block_rows, monkeypatch, seconds, saves):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", seconds)
    rows = []
    monkeypatch.setattr(
        module,
        "save",
        lambda state, path, notes, *, unfinished: rows.append(
            (state.n if state else 0) + (unfinished.n if unfinished else 0)
        ),
    )
    scan(folder(tmp_path), path=tmp_path / "x.state")
    assert len(rows) == saves
    assert rows == sorted(rows)
    assert rows[-1] == 29


def test_a_state_that_was_stopped_holds_what_was_read(tmp_path, block_rows):
    shards = folder(tmp_path)
    stopped(shards, tmp_path / "x.state", 4)
    state, _ = load(tmp_path / "x.state")
    assert [(record.rows, record.complete) for record in state.shards] == [(9, True), (4, False)]
    one, other, _ = points_of(shards)
    assert_moments_of(state, [one, other[:4]])
    whole = scan(shards[2:]).state
    with pytest.raises(ValueError, match=r"1\.npy was read to row 4 only"):
        merge(state, whole)


def test_a_shard_that_was_begun_is_read_first(tmp_path, block_rows, read):
    shards = folder(tmp_path)
    stopped(shards, tmp_path / "x.state", 4, sample=8)
    write(tmp_path / "+.npy", cloud(5, 9))  # sorted before all others
    read.clear()
    state, _ = scan(open_shards(tmp_path), path=tmp_path / "x.state", sample=8)
    assert [(name, first) for name, first, _ in read[:4]] == [
        ("1.npy", 4),
        ("1.npy", 8),
        ("1.npy", 12),
        ("+.npy", 0),
    ]
    assert_moments_of(state, points_of(open_shards(tmp_path)))
    assert_sample_of(state, points_of(open_shards(tmp_path)), capacity=8)


def test_a_shard_that_was_begun_and_is_not_asked_for_again_does_not_count(tmp_path, block_rows):
    shards = folder(tmp_path)
    stopped(shards, tmp_path / "x.state", 4, sample=8)
    state, _ = scan([shards[0], shards[2]], path=tmp_path / "x.state", sample=8)
    assert exactly_equal(state, scan([shards[0], shards[2]], sample=8).state)
    assert exactly_equal(load(tmp_path / "x.state")[0], state)


def test_a_shard_is_added_to_a_finished_state(tmp_path, block_rows, read):
    shards = folder(tmp_path)
    path = tmp_path / "x.state"
    scan(shards[:2], path=path, sample=8)
    read.clear()
    told = []
    state, _ = scan(shards, path=path, sample=8, advance=lambda *what: told.append(what))
    assert {name for name, _, _ in read} == {"2.npy"}
    assert exactly_equal(state, scan(shards, sample=8).state)
    assert told == [
        (9, 29, "0.npy"),
        (23, 29, "1.npy"),
        (27, 29, "2.npy"),
        (29, 29, "2.npy"),
    ]
    read.clear()
    assert exactly_equal(scan(shards, path=path, sample=8).state, state)
    assert read == []
    alone, _ = scan(shards[:1], path=path, sample=8)  # what a state holds it keeps
    assert exactly_equal(alone, state)


# what does not go together


@pytest.mark.parametrize("change", ["first row", "fewer rows", "more rows", "gone", "cut off", "not npy"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_shard_that_changed_is_refused(tmp_path, block_rows, change, begun):
    shards = folder(tmp_path)
    path = tmp_path / "x.state"
    if begun:
        stopped(shards, path, 4)
    else:
        scan(shards, path=path)
    before = load_parts(path)
    other = cloud(14, seed=1)
    if change == "first row":
        other[0, 0] += 1e-3
    file = write(tmp_path / "1.npy", {"fewer rows": other[:3], "more rows": cloud(15, 1)}.get(change, other))
    if change == "more rows":
        assert (cloud(15, 1)[:14] == cloud(14, 1)).all()
    if change == "gone":
        file.unlink()
    if change == "cut off":
        file.write_bytes(file.read_bytes()[:-1])
    if change == "not npy":
        file.write_text("x" * 200)
    if begun and change in ("gone", "cut off", "not npy"):  # what was read of it is let go
        state, failed = scan(shards, path=path)
        assert list(failed) == ["1.npy"]
        assert exactly_equal(state, scan([shards[0], shards[2]]).state)
        return
    with pytest.raises(ValueError, match=r"^1\.npy (has changed|was scanned, and can not be read any more)"):
        scan(shards, path=path)
    assert exactly_equal(load_parts(path), before)


@pytest.mark.parametrize("begun", [False, True])
def test_a_file_that_grew(tmp_path, block_rows, begun):
    path, shards = tmp_path / "x.state", open_shards(write(tmp_path / "x.npy", cloud(80)))
    if begun:
        stopped(shards, path, 4, sample=8)
    else:
        scan(shards, path=path, sample=8)
    write(tmp_path / "x.npy", cloud(90))
    assert (cloud(90)[:80] == cloud(80)).all()
    if not begun:  # its last rows would never be read
        with pytest.raises(ValueError, match=r"x\.npy has changed since it was scanned"):
            scan(shards, path=path, sample=8)
        return
    state, _ = scan(shards, path=path, sample=8)
    assert exactly_equal(state, scan(shards, sample=8).state)


def test_a_text_file_that_grew_is_refused(tmp_path):
    file = write(tmp_path / "x.jsonl", cloud(100))
    shards = open_shards(file)
    state, _ = scan(shards, path=tmp_path / "x.state")
    assert exactly_equal(scan(shards, path=tmp_path / "x.state").state, state)
    with file.open("a") as more:
        more.write(json.dumps({"x": [1.0, 2.0, 3.0]}) + "\n")
    with pytest.raises(ValueError, match=r"x\.jsonl has changed since it was scanned"):
        scan(shards, path=tmp_path / "x.state")


@pytest.mark.parametrize("other", [{"order": 1}, {"sample": 9}, {"seed": 1}, {"labels": True}])
@pytest.mark.parametrize("begun", [False, True])
def test_other_settings_are_refused(tmp_path, block_rows, other, begun):
    shards, path = folder(tmp_path), tmp_path / "x.state"
    how = {"order": 2, "sample": 8, "seed": 0, "labels": False}
    if begun:
        stopped(shards, path, 1, **how)
    else:
        scan(shards, path=path, **how)
    (name, value) = next(iter(other.items()))
    with pytest.raises(ValueError, match=rf"x\.state was made with .*{name} {how[name]}.*{name} {value}"):
        scan(shards, path=path, **how | other)
    scan(shards, path=path, precision="single", **how)  # which may change: the result says so


def test_a_file_that_is_no_state_is_refused_and_kept(tmp_path):
    shards = folder(tmp_path / "shards")
    file = write(tmp_path / "x.npy", cloud())
    content = file.read_bytes()
    with pytest.raises(ValueError, match=r"x\.npy can not be read as a state"):
        scan(shards, path=file)
    assert file.read_bytes() == content


def test_every_shard_counts_once(tmp_path):
    shards = folder(tmp_path)
    state, _ = scan(shards, path=tmp_path / "x.state")
    shutil.copy(tmp_path / "1.npy", tmp_path / "copy.npy")
    for path in (None, tmp_path / "x.state"):
        found, failed = scan(open_shards(tmp_path), path=path)
        assert list(failed) == ["copy.npy"]
        assert "copy.npy begins like 1.npy and is as long" in failed["copy.npy"]
        assert exactly_equal(found, state)
    (tmp_path / "copy.npy").unlink()
    (tmp_path / "1.npy").rename(tmp_path / "renamed.npy")
    found, failed = scan(open_shards(tmp_path), path=tmp_path / "x.state")
    assert "renamed.npy begins like 1.npy and is as long" in failed["renamed.npy"]
    assert exactly_equal(found, state)


def test_shards_of_one_name_in_states_of_two_folders(tmp_path):
    for at, name in enumerate(("one", "other")):
        write(tmp_path / name / "x.npy", cloud(9, at))
        scan(open_shards(tmp_path / name), path=tmp_path / f"{name}.state")
    both = merge(load(tmp_path / "one.state")[0], load(tmp_path / "other.state")[0])
    from conescope.scale.state import save

    save(both, tmp_path / "both.state", load(tmp_path / "one.state")[1])
    for name in ("one", "other"):
        state, _ = scan(open_shards(tmp_path / name), path=tmp_path / "both.state")
        assert exactly_equal(state, both)


def test_shards_need_names_of_their_own():
    points = torch.from_numpy(cloud())
    with pytest.raises(ValueError, match="a name of its own, but 2 are 'points'"):
        scan([shard_of(points), shard_of(points, name="x"), shard_of(points + 1)])


# shards that can not be read


def broken(path, kind):
    points = cloud(14, 7)
    if kind == "cut off":
        write(path, points)
        path.write_bytes(path.read_bytes()[:-5])
    elif kind == "NaN in the second block":
        points[5, 1] = np.nan
        write(path, points)
    elif kind == "infinity in the last row":
        points[13, 0] = -np.inf
        write(path, points)
    elif kind == "of other dimensions":
        write(path, points[:, :2])
    elif kind == "no rows":
        write(path, points[:0])
    elif kind == "not npy":
        path.write_text("hello")
    elif kind == "empty file":
        path.touch()
    elif kind == "whole numbers":
        write(path, points.astype(int))
    return path


BROKEN = {
    "cut off": "ends before its last row",
    "NaN in the second block": "the first in row 5;",
    "infinity in the last row": "the first in row 13;",
    "of other dimensions": "holds points of 2 dimensions, and those before of 3",
    "no rows": "holds no points",
    "not npy": "is not an npy file",
    "empty file": "is empty",
    "whole numbers": "convert with",
}


PLACES = [
    (kind, place)
    for kind in BROKEN
    for place in ("first", "between", "last")
    if (kind, place) != ("of other dimensions", "first")  # then the others are of other dimensions
]


@pytest.mark.parametrize(("kind", "place"), PLACES)
@pytest.mark.usefixtures("eager")
def test_a_broken_shard_is_named_and_the_rest_is_as_if_it_were_not_there(tmp_path, block_rows, kind, place):
    shards = folder(tmp_path)
    whole = scan(shards, sample=8).state
    name = {"first": "+.npy", "between": "1-.npy", "last": "x.npy"}[place]
    broken(tmp_path / name, kind)
    path = tmp_path / "x.state"
    state, failed = scan(open_shards(tmp_path), sample=8, path=path)
    assert list(failed) == [name]
    assert BROKEN[kind] in failed[name]
    assert "\n" not in failed[name]
    assert exactly_equal(state, whole)
    assert exactly_equal(load(path)[0], whole)
    write(tmp_path / name, cloud(14, 7))  # repaired, it is read, and nothing else
    state, failed = scan(open_shards(tmp_path), sample=8, path=path)
    assert failed == {}
    assert_moments_of(state, points_of(open_shards(tmp_path)))
    assert_sample_of(state, points_of(open_shards(tmp_path)), capacity=8)


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6])
def test_stopped_within_a_shard_that_turns_out_to_be_broken(tmp_path, block_rows, after):
    shards = folder(tmp_path)
    whole = scan(shards, sample=8).state
    broken(tmp_path / "0-.npy", "infinity in the last row")  # after its third block
    path = tmp_path / "x.state"
    stopped(open_shards(tmp_path), path, after, sample=8)
    state, failed = scan(open_shards(tmp_path), sample=8, path=path)
    assert list(failed) == ["0-.npy"]
    assert exactly_equal(state, whole)
    assert exactly_equal(load(path)[0], whole)


def test_the_others_are_read_if_the_first_is_of_other_dimensions(tmp_path):
    folder(tmp_path)
    broken(tmp_path / "+.npy", "of other dimensions")
    state, failed = scan(open_shards(tmp_path))
    assert (state.n, state.d) == (14, 2)
    assert sorted(failed) == ["0.npy", "1.npy", "2.npy"]
    assert "0.npy holds points of 3 dimensions, and those before of 2" in failed["0.npy"]


@pytest.mark.usefixtures("eager")
def test_nothing_but_a_broken_shard(tmp_path, block_rows):
    shard = open_shards(broken(tmp_path / "x.npy", "NaN in the second block"))
    path = tmp_path / "x.state"
    state, failed = scan(shard, path=path)
    assert state is None
    assert list(failed) == ["x.npy"]
    assert not path.exists()  # although the first block was in it


def test_a_broken_line_of_text(tmp_path, block_rows):
    block_rows(8)  # of float64
    write(tmp_path / "a.jsonl", cloud(9))
    with (tmp_path / "a.jsonl").open("a") as more:
        more.write('{"x": [1, 2]}\n')
    write(tmp_path / "b.jsonl", cloud(7, 1))
    state, failed = scan(open_shards(tmp_path))
    assert "'x' in row 9" in failed["a.jsonl"]
    assert state.n == 7


def test_no_shard_at_all(tmp_path):
    assert scan([], path=tmp_path / "x.state") == (None, {})
    assert not (tmp_path / "x.state").exists()


@pytest.mark.parametrize("problem", [ValueError("of the caller"), OSError("broken pipe")])
def test_what_the_caller_raises_is_not_taken_for_a_broken_shard(tmp_path, problem):
    def advance(rows, total, shard):
        raise problem

    with pytest.raises(type(problem), match=str(problem)):
        scan(folder(tmp_path), advance=advance)


@pytest.mark.usefixtures("eager")
def test_a_full_disk_is_not_taken_for_a_broken_shard(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("no space left on device")

    shards = folder(tmp_path)
    monkeypatch.setattr(module, "save", full)
    with pytest.raises(OSError, match="no space left"):
        scan(shards, path=tmp_path / "x.state")


# what is told, and how exactly it is computed


def test_rows_are_told_after_every_block(tmp_path, block_rows):
    shards = folder(tmp_path, (9, 5))
    told = []
    scan(shards, advance=lambda *what: told.append(what))
    names = ["0.npy"] * 3 + ["1.npy"] * 2
    assert told == [(rows, 14, name) for rows, name in zip([4, 8, 9, 13, 14], names, strict=True)]
    write(tmp_path / "2.jsonl", cloud(3, 5))
    told.clear()
    scan(open_shards(tmp_path), advance=lambda *what: told.append(what))
    assert told[-1] == (17, None, "2.jsonl")  # lines are not counted before they are read


@pytest.mark.parametrize(("work", "single"), [(23 * D * D, False), (23 * D * D - 1, True)])
def test_precision_goes_by_the_work_of_all_shards(tmp_path, monkeypatch, work, single):
    monkeypatch.setattr(module, "DOUBLE_WORK", work)
    shards = folder(tmp_path, (9, 14))
    write(tmp_path / "x.npy", cloud(30)[:, 0])
    assert (scan(shards).state.moments.resolution == SINGLE_RESOLUTION) == single
    found, failed = scan(open_shards(tmp_path))  # what can not be read is no work
    assert list(failed) == ["x.npy"]
    assert (found.moments.resolution == SINGLE_RESOLUTION) == single
    for precision in ("single", "double"):
        found = scan(shards, precision=precision).state.moments
        assert (found.resolution == SINGLE_RESOLUTION) == (precision == "single")
    assert 1e9 < DOUBLE_WORK < 1e11  # a scatter in double takes well under a second


def test_single_precision_stays_within_its_resolution(tmp_path, block_rows):
    block_rows(100)
    write(tmp_path / "x.npy", cloud(1000) * 100)
    shards = open_shards(tmp_path)
    state, _ = scan(shards, precision="single")
    assert_moments_of(state, points_of(shards), rtol=2e-6)


MEMORY = """
import sys, threading
from pathlib import Path

from conescope.scale import open_shards
from conescope.scale.scan import scan

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

scan(open_shards(sys.argv[1]), order=int(sys.argv[3]), precision="single")  # libraries make their room
before, most, done = anonymous(), [0], threading.Event()

def watch():
    while not done.wait(0.002):
        most[0] = max(most[0], anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
state, failed = scan(open_shards(sys.argv[2]), order=int(sys.argv[3]))
done.set()
watcher.join()
print(state.n, most[0] - before)
"""


STATUS = Path("/proc/self/status")


@pytest.mark.skipif(
    not STATUS.exists() or "RssAnon" not in STATUS.read_text(),
    reason="this system does not tell anonymous memory",
)
@pytest.mark.parametrize("order", [1, 2])
def test_memory_does_not_grow_with_the_file(tmp_path, order):
    n, d = 100_000, 768
    array = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (n, d))
    rng = np.random.default_rng(0)
    for start in range(0, n, 10_000):
        array[start : start + 10_000] = rng.random((10_000, d), dtype=np.float32)
    del array
    assert (tmp_path / "x.npy").stat().st_size > 300e6
    small = write(tmp_path / "small.npy", cloud(100))
    ended = subprocess.run(
        [sys.executable, "-c", MEMORY, small, tmp_path / "x.npy", str(order)],
        check=True,
        capture_output=True,
        text=True,
    )
    rows, extra = map(int, ended.stdout.split())
    assert rows == n
    assert 4e6 < extra < 150e6  # the sample alone is 12 MB
