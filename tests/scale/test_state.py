"""States: what is saved is what is loaded, to the bit, and parts merge to the state of the whole."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import fields, replace
from functools import reduce
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from conescope.scale.moments import ClassMoments, Moments
from conescope.scale.state import (
    SCHEMA,
    ShardRecord,
    State,
    load,
    load_parts,
    merge,
    numbered,
    save,
    state_of,
)


def cloud(n=50, d=4, seed=0, dtype=torch.float32):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def exactly_equal(one, other):
    """Whether two values are the same to the bit, of the same types, field by field."""
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and (one.dtype, one.shape) == (other.dtype, other.shape)
        return same and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, tuple):
        same = isinstance(other, tuple) and len(one) == len(other)
        return same and all(map(exactly_equal, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            exactly_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    return type(one) is type(other) and one == other


RECORDS = (
    ShardRecord("a/é 1.npy", fingerprint=2**64 - 1, rows=30, complete=True),
    ShardRecord("b.jsonl", fingerprint=0, rows=20, complete=True, size=2**40),
)


def example(kind):
    points, labels = cloud(), torch.arange(50) % 3
    made = {
        "order 2": lambda: state_of(points, capacity=10, seed=-3),
        "order 1": lambda: state_of(points, order=1, precision="single", capacity=80, seed=2**70),
        "all in the sample": lambda: state_of(points, capacity=2**62),
        "one point": lambda: state_of(points[:1].double()),
        "classes": lambda: state_of(points, labels, ("", "naïve 文\n\"'", "a"), capacity=10),
        "classes of numbers": lambda: state_of(points, labels, (-1, 2**60, 0)),
        "classes without names": lambda: state_of(points, labels, order=1),
        "bfloat16": lambda: state_of(points.bfloat16(), labels, (0, 1, 2, 3), capacity=7),
        "float16": lambda: state_of(points.half(), capacity=7),
        "zero vectors": lambda: state_of(torch.zeros(5, 3), order=1),
        "large numbers": lambda: state_of(points.double() * 1e130, capacity=5),
    }
    return replace(made[kind](), shards=RECORDS)


KINDS = [
    "order 2",
    "order 1",
    "all in the sample",
    "one point",
    "classes",
    "classes of numbers",
    "classes without names",
    "bfloat16",
    "float16",
    "zero vectors",
    "large numbers",
]


# files


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_to_the_bit(tmp_path, kind):
    state = example(kind)
    notes = {"settings": {"order": 2, "seed": -3}, "é": [1.5, None, "x"]}
    save(state, tmp_path / "deep" / "x.state", notes)
    loaded, found = load(tmp_path / "deep" / "x.state")
    assert exactly_equal(loaded, state)
    assert found == notes
    assert load_parts(tmp_path / "deep" / "x.state").unfinished is None
    assert (loaded.n, loaded.d) == (state.moments.n, state.moments.d)


def test_the_comparison_of_these_tests_sees_every_field():
    state = example("classes")
    assert exactly_equal(state, example("classes"))
    changed = [replace(state, classes=("", "b", "a")), replace(state, shards=RECORDS[:1])]
    for part, kind in (("moments", Moments), ("sample", type(state.sample))):
        for field in fields(kind):
            value = getattr(getattr(state, part), field.name)
            if isinstance(value, ClassMoments):
                other = replace(value, means=value.means + 1e-12)
            elif isinstance(value, tuple):
                other = (value[0], value[1] + 1e-12)
            else:
                other = value + np.ones((), dtype=value.dtype) if isinstance(value, np.ndarray) else value + 1
            changed.append(replace(state, **{part: replace(getattr(state, part), **{field.name: other})}))
    assert len(changed) == 2 + len(fields(Moments)) + len(fields(type(state.sample)))
    for other in changed:
        assert not exactly_equal(state, other)


def test_a_state_does_not_hold_on_to_its_file(tmp_path):
    state, file = example("order 2"), tmp_path / "x.state"
    save(state, file)
    loaded, _ = load(file)
    content = file.read_bytes()
    with file.open("r+b") as handle:  # in place, as no scan does
        handle.write(bytes(len(content)))
    assert exactly_equal(loaded, state)


def test_tensors_are_kept_on_the_cpu_without_gradients(tmp_path):
    points = cloud(dtype=torch.float64).requires_grad_()
    state = state_of(points)
    assert state.moments.mean.requires_grad
    save(state, tmp_path / "x.state")
    loaded, _ = load(tmp_path / "x.state")
    assert torch.equal(loaded.moments.scatter, state.moments.scatter.detach())
    assert not loaded.moments.mean.requires_grad


def test_state_and_unfinished_shard_side_by_side(tmp_path):
    file = tmp_path / "x.state"
    records = ShardRecord("a", 1, 30, True), ShardRecord("b", 2, 20, False)
    labels, names = torch.arange(50) % 4, ("p", "q", "r", "s")
    done = replace(state_of(cloud()[:30], labels[:30], names, shard=1), shards=records[:1])
    part = replace(state_of(cloud()[30:], labels[30:], ("q", "r", "s", "t"), shard=2), shards=records[1:])
    save(done, file, {"a": 1}, unfinished=part)
    saved = load_parts(file)
    assert exactly_equal(saved.state, done)
    assert exactly_equal(saved.unfinished, part)
    assert saved.notes == {"a": 1}
    both, _ = load(file)
    assert both.n == 50
    assert both.shards == records
    assert set(both.classes) == set("pqrst")
    torch.testing.assert_close(both.moments.mean, cloud().double().mean(dim=0), rtol=1e-12, atol=1e-15)
    save(None, file, unfinished=part)
    assert load_parts(file).state is None
    assert exactly_equal(load(file)[0], part)


def test_a_shard_is_not_counted_and_unfinished_at_once(tmp_path):
    # a scan may be stopped between counting a shard and forgetting that it was in it
    done = replace(state_of(cloud()), shards=(ShardRecord("a", 1, 50, True),))
    part = replace(state_of(cloud()[:20]), shards=(ShardRecord("a", 1, 20, False),))
    save(done, tmp_path / "x.state", unfinished=part)
    assert load_parts(tmp_path / "x.state").unfinished is None
    assert load(tmp_path / "x.state")[0].n == 50


def rewritten(file, change):
    """Write the file again with its header, which `change` gets as parsed JSON, and tensors changed."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as content:
        header = json.loads(content.metadata()["conescope"])
        tensors = {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118
    header = change(header, tensors) or header
    save_file(tensors, file, metadata={"conescope": json.dumps(header)})


def without_tensor(name):
    def change(header, tensors):
        del tensors[f"state.{name}"]

    return change


def without_key(*path):
    def change(header, tensors):
        for key in path[:-1]:
            header = header[key]
        del header[path[-1]]

    return change


def as_schema(schema):
    def change(header, tensors):
        header["schema"] = schema

    return change


NAMES = [
    "mean",
    "direction_sum",
    "norm_mean",
    "norm_scatter",
    "scatter",
    "direction_square_sum",
    "sample.points",
    "sample.keys",
    "sample.rows",
    "sample.labels",
    "classes.counts",
    "classes.means",
    "classes.direction_counts",
    "classes.direction_sums",
]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *((without_tensor(name), f"is not a whole state: 'state.{name}' is missing") for name in NAMES),
        (without_key("state"), "is not a whole state: 'state' is missing"),
        (without_key("notes"), "is not a whole state: 'notes' is missing"),
        (without_key("state", "resolution"), "is not a whole state: 'resolution' is missing"),
        (without_key("state", "shards", 0, "fingerprint"), "is not a whole state: .*'fingerprint'"),
        (as_schema("conescope.state/99"), f"version, {SCHEMA}; it has the schema conescope.state/99"),
        (as_schema(None), "is another file of tensors"),
        (lambda header, tensors: ["no", "object"], "is another file of tensors"),
    ],
)
def test_states_that_are_not_whole_are_refused(tmp_path, change, message):
    file = tmp_path / "x.state"
    save(example("classes"), file)
    rewritten(file, lambda header, tensors: None)
    assert exactly_equal(load(file)[0], example("classes"))  # rewriting alone breaks nothing
    rewritten(file, change)
    with pytest.raises(ValueError, match=message) as refused:
        load(file)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_tensor_of_a_state_was_taken_away_above(tmp_path):
    from safetensors import safe_open

    save(example("classes"), tmp_path / "x.state")
    with safe_open(tmp_path / "x.state", framework="pt") as content:
        assert sorted(content.keys()) == sorted(f"state.{name}" for name in NAMES)


@pytest.mark.parametrize(
    "kind", ["npy", "tensors", "empty", "text", "cut off", "cut in its header", "folder"]
)
def test_other_files_are_refused(tmp_path, kind):
    file = tmp_path / "x.state"
    save(example("order 2"), file)
    whole = file.read_bytes()
    if kind == "npy":
        with file.open("wb") as handle:
            np.save(handle, np.zeros((3, 2)))
    elif kind == "tensors":
        save_file({"x": torch.zeros(3)}, file)
    elif kind == "folder":
        file.unlink()
        file.mkdir()
    else:
        content = {"empty": b"", "text": b"n = 3\n" * 9, "cut off": whole[:-1]}
        file.write_bytes(content.get(kind, whole[:40]))
    with pytest.raises(ValueError, match=r"x\.state (can not be read as|is not) a state") as refused:
        load(file)
    assert "\n" not in str(refused.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*x\.state"):
        load(tmp_path / "x.state")


@pytest.mark.parametrize("moment", ["while the tensors are written", "before the file is put in place"])
def test_a_failure_while_saving_leaves_the_earlier_state(tmp_path, monkeypatch, moment):
    file = tmp_path / "x.state"
    save(example("order 1"), file)
    whole = file.read_bytes()

    def fail(*arguments, **options):
        raise OSError("no space left on device")

    if moment == "while the tensors are written":
        monkeypatch.setattr("safetensors.torch.save_file", fail)
    else:
        monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        save(example("order 2"), file)
    assert file.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["x.state"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system can not kill")
def test_a_process_killed_while_saving_leaves_the_earlier_state(tmp_path):
    file = tmp_path / "x.state"
    save(example("order 1"), file)
    whole = file.read_bytes()
    script = """
        import os, signal, sys
        import safetensors.torch, torch
        from conescope.scale.state import save, state_of

        write = safetensors.torch.save_file
        def killed(tensors, path, metadata):
            write(tensors, path, metadata=metadata)
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        safetensors.torch.save_file = killed
        save(state_of(torch.ones(3, 2)), sys.argv[1])
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script), file], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert file.read_bytes() == whole
    leftover = [path for path in tmp_path.iterdir() if path != file]
    assert len(leftover) == 1  # what a killed process can not take away
    assert leftover[0].name.startswith(".")  # hidden, so that no folder of shards shows it
    save(example("order 2"), file)
    assert exactly_equal(load(file)[0], example("order 2"))


def test_the_file_has_the_rights_of_any_other(tmp_path):
    save(example("order 1"), tmp_path / "x.state")
    (tmp_path / "other").touch()
    assert (tmp_path / "x.state").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert os.access(tmp_path / "x.state", os.R_OK)


# merging


def assert_state_of(found, points, names, **options):
    """Compare with the state of all points at once; classes by their names."""
    whole = state_of(
        points, *(numbered(names) if names is not None else (None, None)), capacity=30, shard=1, **options
    )
    for field in ("mean", "scatter", "direction_sum", "direction_square_sum", "norm_mean", "norm_scatter"):
        one, other = getattr(found.moments, field), getattr(whole.moments, field)
        if other is None:
            assert one is None
            continue
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert found.moments.n == whole.moments.n == len(points)
    assert found.moments.norm_range == whole.moments.norm_range
    assert np.array_equal(found.sample.keys, whole.sample.keys)
    assert torch.equal(found.sample.points, whole.sample.points)
    assert torch.equal(found.sample.rows, whole.sample.rows)
    if names is None:
        assert found.classes is found.sample.labels is None
        return
    assert sorted(found.classes) == sorted(whole.classes)
    place = [found.classes.index(name) for name in whole.classes]
    for field in fields(ClassMoments):
        one, other = (getattr(state.moments.classes, field.name) for state in (found, whole))
        torch.testing.assert_close(one[place], other, rtol=1e-12, atol=1e-12)
    said = [found.classes[label] for label in found.sample.labels.tolist()]
    assert said == [names[row] for row in found.sample.rows.tolist()]


CUTS = [0, 9, 10, 40, 70]
NAMES_OF_CLASSES = (list("xyx") * 3 + ["z"] + list("zyxw") * 15)[:70]  # the cuts meet them in other orders


@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_merged_in_any_order(labeled, order):
    points = cloud(70, dtype=torch.float64) + 2
    names = NAMES_OF_CLASSES if labeled else None
    parts = []
    for a, b in pairwise(CUTS):
        numbers, known = numbered(names[a:b]) if labeled else (None, None)
        parts.append(state_of(points[a:b], numbers, known, order=order, capacity=30, shard=1, first=a))
    if labeled:
        assert [part.classes for part in parts] == [("x", "y"), ("z",), tuple("zyxw"), tuple("xwzy")]
    for some in permutations(parts):
        assert_state_of(reduce(merge, some), points, names, order=order)
    one, two, three, four = parts
    assert_state_of(merge(merge(four, two), merge(one, three)), points, names, order=order)


def test_classes_no_part_has_in_common():
    points = cloud(20, dtype=torch.float64)
    names = ["a"] * 8 + ["b"] * 12
    parts = [state_of(points[a:b], *numbered(names[a:b]), first=a) for a, b in ((0, 8), (8, 20))]
    found = merge(*parts)
    assert found.classes == ("a", "b")
    assert found.moments.classes.counts.tolist() == [8, 12]
    torch.testing.assert_close(found.moments.classes.means[1], points[8:].mean(dim=0))
    assert merge(*parts[::-1]).classes == ("b", "a")


def test_merged_records_are_those_of_both():
    one, other = (
        replace(state_of(cloud(seed=seed), seed=0, shard=seed), shards=(record,))
        for seed, record in enumerate(RECORDS)
    )
    assert merge(one, other).shards == RECORDS
    assert merge(other, one).shards == RECORDS[::-1]


def counted(*record, labeled=False, **options):
    points = cloud()
    labels = torch.zeros(len(points), dtype=torch.int64) if labeled else None
    return replace(state_of(points, labels, **options), shards=(ShardRecord(*record),))


@pytest.mark.parametrize(
    ("record", "options", "message"),
    [
        (("copy.npy", 7, 50, True), {}, "(copy|x).npy begins like (copy|x).npy and is as long"),
        (("x.npy", 7, 50, True), {}, "x.npy begins like x.npy and is as long"),
        (("y.npy", 8, 20, False), {}, "y.npy was read to row 20 only"),
        (("y.npy", 8, 50, True), {"labeled": True}, "with and without labels"),
        (("y.npy", 8, 50, True), {"order": 1}, "order 1 and 2"),
        (("y.npy", 8, 50, True), {"seed": 1}, "samples must be drawn alike"),
        (("y.npy", 8, 50, True), {"capacity": 5}, "samples must be drawn alike"),
    ],
)
def test_what_can_not_be_merged(record, options, message):
    one, other = counted("x.npy", 7, 50, True), counted(*record, **options)
    for pair in ((one, other), (other, one)):
        with pytest.raises(ValueError, match=message):
            merge(*pair)


def test_like_shards_that_are_not_the_same_are_merged():
    one = counted("x.npy", 7, 50, True)
    assert merge(one, counted("x.npy", 8, 50, True, shard=8)).n == 100  # of another folder
    assert merge(one, counted("y.npy", 7, 51, True)).n == 100  # longer


def test_labels_of_text_and_of_numbers_are_not_mixed():
    text = state_of(cloud(3), torch.tensor([0, 1, 0]), ("0", "1"))
    numbers = state_of(cloud(3), torch.tensor([0, 1, 0]), (0, 1))
    for pair in ((text, numbers), (numbers, text)):
        with pytest.raises(ValueError, match="numbers in one state and text in the other"):
            merge(*pair)


# numbers of classes


def test_classes_are_numbered_as_they_appear():
    numbers, names = numbered(["b", "a", "b", "", "a"])
    assert numbers.tolist() == [0, 1, 0, 2, 1]
    assert names == ("b", "a", "")
    numbers, names = numbered(["c", "a"], known=("b", "a"))
    assert numbers.tolist() == [2, 1]
    assert names == ("b", "a", "c")
    assert numbered([], known=(1, 0))[1] == (1, 0)


def test_labels_without_names_are_named_by_their_numbers():
    state = state_of(cloud(5), torch.tensor([3, 0, 3, 1, 0]))
    assert state.classes == (0, 1, 2, 3)
    assert state.moments.classes.counts.tolist() == [2, 1, 0, 2]
    assert isinstance(state, State)
