"""`conescope.compare`: what differs beyond noise, by hand, and everything that can be compared."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import conescope
from conescope.results import Comparison, MeasuredValue, Measurement
from conescope.survey.compare import comparison


def cloud(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def value(center, low=None, high=None, name="a"):
    return MeasuredValue(name=name, value=center, low=low, high=high)


def space(*values, n=100, d=10, **more):
    return Measurement(n=n, d=d, values=values, **more)


def compared(one, other):
    return comparison({"one": space(one), "other": space(other)}).difference("a", "other")


# the outcome


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        # half widths 3 and 4: noise of the difference is 5, the root of 9 + 16
        (value(0, -3, 3), value(4.999, 0.999, 8.999), "within noise"),
        (value(0, -3, 3), value(5.0, 1.0, 9.0), "within noise"),  # exactly on it
        (value(0, -3, 3), value(5.001, 1.001, 9.001), "higher"),
        (value(0, -3, 3), value(-5.001, -9.001, -1.001), "lower"),
        (value(0, -3, 3), value(-4.999, -8.999, -0.999), "within noise"),
        # intervals that overlap may still differ: 3 and 4 reach to 3 and 1.5
        (value(0, -3, 3), value(5.5, 1.5, 9.5), "higher"),
        # cut off at a bound of the measure: the longer side counts
        (value(1.0, 0.7, 1.0), value(0.55, 0.15, 0.95), "within noise"),  # 0.45 <= 0.5
        (value(1.0, 0.7, 1.0), value(0.45, 0.05, 0.85), "lower"),  # 0.55 > 0.5
        (value(0.0, 0.0, 0.3), value(0.45, 0.05, 0.85), "within noise"),
        # no interval on one side: a difference within the other one needs none
        (value(0, -3, 3), value(2.9), "within noise"),
        (value(0, -3, 3), value(3.1), "not known"),
        (value(3.1), value(0, -3, 3), "not known"),
        (value(1.0), value(2.0), "not known"),
        (value(2.0), value(2.0), "within noise"),
        (value(1.0, 1.0, 1.0), value(1.0 - 1e-12, 1.0 - 1e-12, 1.0 - 1e-12), "within noise"),  # rounding
        (value(1.0, 1.0, 1.0), value(1.0 - 1e-6, 1.0 - 1e-6, 1.0 - 1e-6), "lower"),
        # undefined
        (value(None), value(1.0, 0.0, 2.0), "not known"),
        (value(1.0, 0.0, 2.0), value(None), "not known"),
        (value(None), value(None), "not known"),
        (value(math.nan), value(1.0, 0.0, 2.0), "not known"),
        (value(math.inf), value(math.inf), "not known"),
    ],
)
def test_outcome(one, other, outcome):
    assert compared(one, other).outcome == outcome


def test_difference_and_its_interval():
    found = compared(value(1.0, -2.0, 4.0), value(11.0, 7.0, 15.0))
    assert (found.difference, found.low, found.high) == (10.0, 5.0, 15.0)
    bare = compared(value(1.0), value(11.0, 7.0, 15.0))
    assert (bare.difference, bare.low, bare.high) == (10.0, None, None)
    undefined = compared(value(None), value(1.0, 0.0, 2.0))
    assert (undefined.difference, undefined.low, undefined.high) == (None, None, None)


OPPOSITE = {"higher": "lower", "lower": "higher", "within noise": "within noise", "not known": "not known"}
WIDTHS = st.floats(0, 1e6)


@given(st.floats(-1e6, 1e6), WIDTHS, st.floats(-1e6, 1e6), WIDTHS)
def test_the_other_way_round_is_the_opposite(one, one_half, other, other_half):
    first, second = value(one, one - one_half, one + one_half), value(other, other - other_half, other)
    there, back = compared(first, second), compared(second, first)
    assert back.outcome == OPPOSITE[there.outcome]
    assert back.difference == -there.difference
    assert (back.low, back.high) == (-there.high, -there.low)


@given(st.floats(-1e6, 1e6), WIDTHS, st.floats(-1e6, 1e6), WIDTHS)
def test_beyond_noise_means_that_the_interval_leaves_zero_out(one, one_half, other, other_half):
    found = compared(
        value(one, one - one_half, one + one_half), value(other, other - other_half, other + other_half)
    )
    if found.outcome == "higher":
        assert found.low > 0
    if found.outcome == "lower":
        assert found.high < 0
    if found.outcome == "within noise" and abs(found.difference) > 1e-3:
        assert found.low <= 0 <= found.high


@pytest.mark.parametrize("errors", [(1.0, 1.0), (0.2, 3.0)])
def test_false_alarms_are_as_rare_as_the_intervals_promise(errors):
    """Two estimates of the same number, with their 95 % intervals, are told apart in 5 of 100 cases."""
    draws = np.random.default_rng(0).normal(scale=errors, size=(4000, 2))
    alarms = 0
    for centers in draws.tolist():
        one, other = (
            value(center, center - 1.96 * error, center + 1.96 * error)
            for center, error in zip(centers, errors, strict=True)
        )
        alarms += compared(one, other).outcome != "within noise"
    assert alarms / 4000 == pytest.approx(0.05, abs=0.0105)  # three standard deviations


# spaces of all kinds


def test_values_are_those_of_measure():
    clouds = {"plain": cloud(40, 5), "moved": cloud(40, 5, seed=1) + 1}
    measures = ["mean_cosine", "isoscore"]
    found = conescope.compare(*clouds.values(), names=list(clouds), measures=measures)
    assert found.spaces == {
        name: conescope.measure(points, None, measures) for name, points in clouds.items()
    }
    assert found.names() == tuple(measures)
    assert [measured.value for measured in found.measured("isoscore")] == [
        conescope.measure(points).value("isoscore") for points in clouds.values()
    ]
    assert found.difference("mean_cosine", "moved").outcome == "higher"
    with pytest.raises(KeyError, match="isoscore of plain was not compared; spaces are plain, moved"):
        found.difference("isoscore", "plain")


def test_three_spaces_are_compared_with_the_first():
    found = conescope.compare(cloud(30, 3), cloud(30, 3) + 2, cloud(30, 3) - 2, measures="mean_cosine")
    values = [measured.value for measured in found.measured("mean_cosine")]
    for number, name in ((1, "space 2"), (2, "space 3")):
        assert found.difference("mean_cosine", name).difference == values[number] - values[0]
    assert len(found.differences) == 2


def test_files_states_measurements_and_arrays_side_by_side(tmp_path):
    points = cloud(40, 5).numpy()
    np.save(tmp_path / "a.npy", points)
    measured = conescope.measure(points, measures=["mean_cosine", "isoscore"])
    (tmp_path / "a.json").write_text(measured.model_dump_json())
    state = conescope.scale.state_of(torch.from_numpy(points))
    conescope.scale.save(state, tmp_path / "a.state")
    spaces = [tmp_path / "a.npy", tmp_path / "a.state", tmp_path / "a.json", points, state, measured]
    found = conescope.compare(*spaces, measures=["isoscore", "mean_cosine"])
    assert list(found.spaces) == ["a.npy", "a.state", "a.json", "space 4", "space 5", "space 6"]
    assert found.names() == ("isoscore", "mean_cosine")
    for name in found.names():
        assert [m.value for m in found.measured(name)] == pytest.approx([measured.value(name)] * 6, rel=1e-9)
    assert {difference.outcome for difference in found.differences} == {"within noise"}
    assert found.notes == ()


def test_options_reach_the_measure(tmp_path):
    labels = np.arange(60) % 3
    np.savez(tmp_path / "a.npz", emb=cloud(60, 5).numpy(), y=labels, other=cloud(60, 4).numpy())
    measures = ["class_separation", "uniformity"]
    found = conescope.compare(
        tmp_path / "a.npz",
        tmp_path / "a.npz",
        names=["one", "two"],
        measures=measures,
        column="emb",
        labels="y",
        sample=30,
        seed=4,
        precision="double",
    )
    expected = conescope.measure(cloud(60, 5), labels, measures, sample=30, seed=4)
    assert found.spaces["one"].values == expected.values
    assert found.spaces["two"] == found.spaces["one"]


def test_a_state_brings_its_own_labels(tmp_path):
    points, labels = cloud(40, 5), torch.arange(40) % 2
    conescope.scale.save(conescope.scale.state_of(points, labels, (0, 1)), tmp_path / "a.state")
    np.savez(tmp_path / "b.npz", emb=points.numpy(), y=labels.numpy())
    found = conescope.compare(
        tmp_path / "a.state", tmp_path / "b.npz", labels="y", measures="class_separation"
    )
    one, other = found.measured("class_separation")
    assert one.value == pytest.approx(other.value, rel=1e-9)
    assert one.value == pytest.approx(conescope.measure(points, labels).value("class_separation"), rel=1e-9)


def test_the_same_points_twice_are_within_noise():
    found = conescope.compare(cloud(30, 4), cloud(30, 4))
    outcomes = {difference.outcome for difference in found.differences if difference.difference is not None}
    assert outcomes == {"within noise"}
    undefined = [difference.measure for difference in found.differences if difference.difference is None]
    assert all(found.spaces["space 1"].measured(name).value is None for name in undefined)
    assert len(undefined) < len(found.differences) / 4


def test_stage_hears_of_each_space_before_it_is_measured():
    heard = []
    conescope.compare(cloud(5, 2), cloud(5, 2), names=["a", "b"], measures="mean_cosine", stage=heard.append)
    assert heard == ["a", "b"]


# names


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["x/a.npy", "x/b.npy"], ["a.npy", "b.npy"]),
        (["x/a.npy", "y/a.npy"], ["x/a.npy", "y/a.npy"]),
        (["x/a.npy", "x/a.npy"], ["x/a.npy", "x/a.npy (2)"]),
        (["x/a.npy", "./x/a.npy", "x/a.npy"], ["x/a.npy", "x/a.npy (2)", "x/a.npy (3)"]),
        (["x/a.npy", "x/a.npy", "x/a.npy (2)"], ["x/a.npy", "x/a.npy (3)", "x/a.npy (2)"]),
        (["x", "y/"], ["x", "y"]),
        ([".", "x"], [".", "x"]),
        (["x/*.npy", "y/*.npy"], ["x/*.npy", "y/*.npy"]),
    ],
)
def test_names_of_files(tmp_path, monkeypatch, files, names):
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate(["x/a.npy", "x/b.npy", "y/a.npy"]):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        np.save(file, cloud(6, 2, seed=number).numpy())
    with open("x/a.npy (2)", "wb") as handle:
        np.save(handle, cloud(6, 2).numpy())
    (tmp_path / "x" / "a.npy (2)").unlink()
    if "x/a.npy (2)" in files:  # a name that is taken; it has no suffix of points, so a folder
        (tmp_path / "x" / "a.npy (2)").mkdir()
        np.save(tmp_path / "x" / "a.npy (2)" / "c.npy", cloud(6, 2).numpy())
    assert list(conescope.compare(*files, measures="mean_cosine").spaces) == names


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_names_must_fit(names):
    with pytest.raises(ValueError, match=f"names are different and one a space: 2 spaces, got {names[0]}"):
        conescope.compare(cloud(5, 2), cloud(5, 2), names=names)


# notes


def test_no_note_where_nothing_is_uneven():
    assert conescope.compare(cloud(30, 4), cloud(30, 4, seed=1), measures="isoscore").notes == ()


def test_notes_of_different_sizes():
    found = conescope.compare(
        cloud(25, 4), cloud(45, 30), cloud(200, 4), names=["a", "b", "c"], measures="isoscore", sample=40
    )
    sizes, dimensions = found.notes
    assert "looked at on 25 and 40 points" in sizes  # a has 25; 40 of the other two
    assert "give the smallest one as sample" in sizes
    assert "the spaces have 4 and 30 dimensions" in dimensions
    found = conescope.compare(cloud(25, 30), cloud(25, 30), names=["a", "b"], measures="isoscore")
    assert found.notes == ("fewer points than dimensions: a, b",)


def test_note_of_spaces_without_intervals():
    quick = conescope.measure(cloud(30, 4), measures="isoscore", intervals=False)
    found = conescope.compare(quick, cloud(30, 4, seed=1), names=["quick", "b"], measures="isoscore")
    assert [note for note in found.notes if "no intervals, so that noise is not known: quick;" in note]
    assert len(found.notes) == 1


def test_measures_that_not_all_spaces_have_are_left_out_and_told():
    spaces = {
        "a": space(value(1.0, 0, 2), value(2.0, 1, 3, name="b"), value(3.0, 2, 4, name="c")),
        "b": space(value(5.0, 4, 6, name="c"), value(1.0, 0, 2)),
        "c": space(value(1.0, 0, 2), value(1.0, 0, 2, name="d")),
    }
    found = comparison(spaces)
    assert found.names() == ("a",)
    assert found.notes == ("measured in some of the spaces only, and left out here: b, c, d",)


# what goes wrong


def test_nothing_in_common():
    with pytest.raises(ValueError, match="must have a measure in common: one has a; other has b"):
        comparison({"one": space(value(1.0)), "other": space(value(1.0, name="b"))})


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two(count):
    with pytest.raises(ValueError, match=f"two spaces or more, got {count}"):
        conescope.compare(*[cloud(5, 2)] * count)
    with pytest.raises(ValueError, match=f"two spaces or more, got {count}"):
        comparison({"a": space(value(1.0))} if count else {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[1, 2]", "file: Input should be an object"),
        (b"{}", "n: Field required"),
        (b'{"n": 1, "d": 1, "values": [], "schema_version": "conescope.measurement/99"}', "schema_version"),
        (b'{"n": 1, "d": 1, "values": [{"name": "a", "value": "x"}]}', "values.0.value"),
    ],
)
def test_json_that_is_no_measurement(tmp_path, content, problem):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match="is not a measurement of this version of conescope") as caught:
        conescope.compare(tmp_path / "a.json", cloud(5, 2), measures="mean_cosine")
    assert problem in str(caught.value)
    assert "make it with conescope measure --json" in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_json_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.json"):
        conescope.compare(tmp_path / "none.json", cloud(5, 2))


def test_a_measure_that_a_measurement_lacks():
    stored = space(value(1.0, 0, 2), value(1.0, 0, 2, name="b"))
    with pytest.raises(ValueError, match="space 1 was measured without isoscore; it has a, b"):
        conescope.compare(stored, cloud(20, 3), measures="isoscore")


# the result


def test_round_trip_as_json():
    found = conescope.compare(cloud(30, 4), cloud(25, 30), torch.ones(20, 3), names=["ä", "b", "c"])
    again = Comparison.model_validate_json(found.model_dump_json())
    assert again == found
    assert list(again.spaces) == ["ä", "b", "c"]  # the first one stays the first
    assert any(difference.outcome == "not known" for difference in again.differences)


def test_print():
    spaces = {
        "a": space(value(1.0, 0.5, 1.5), value(None, name="b")),
        "a long name that goes on and on": space(value(2.0, 1.9, 2.1), value(1.0, 0, 2, name="b"), d=7),
    }
    lines = str(comparison(spaces)).splitlines()
    assert lines[0].split("  ")[-1].strip() == "a long name that goes on and on"
    assert lines[1].split() == ["a", "1.0000", "2.0000", "higher"]
    assert lines[2].split() == ["b", "undefined", "1.0000", "not", "known"]
    assert lines[3].startswith("the spaces have 7 and 10 dimensions")
    assert len({len(line) for line in lines[:3]}) == 1
