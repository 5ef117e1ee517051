"""The barcode of points wherever they are: values by hand, and every item where it belongs."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.cluster.hierarchy import linkage

from conescope.results import Barcode
from conescope.scale import save, state_of
from conescope.scale.scan import scan
from conescope.scale.shards import open_shards
from conescope.survey.barcode import barcode

LINE = torch.tensor([[0.0], [7.0], [1.0], [3.0]])  # bars 1, 2 and 4


def entropy(*lengths):
    total = sum(lengths)
    return -sum(length / total * math.log(length / total) for length in lengths)


def on_a_line(*bars):
    """Points whose bars these are: their gaps."""
    return torch.tensor([0.0, *bars], dtype=torch.float64).cumsum(dim=0)[:, None]


def cloud(n=30, d=5):
    return np.random.default_rng(0).normal(size=(n, d))


def test_points_on_a_line_by_hand():
    found = barcode(LINE, ["a", "b", "c", "d"])
    assert (found.n, found.d, found.lengths) == (4, 1, (1, 2, 4))
    assert found.edges == ((0, 2), (2, 3), (1, 3))
    assert found.longest(2) == [(4, 1, 3), (2, 2, 3)]
    assert found.longest(0) == []
    assert len(found.longest(9)) == 3
    assert [found.name(point) for point in found.edges[2]] == ["b", "d"]
    assert {rule.kept for rule in found.rules} == {3}  # three bars: all are kept, whatever the rule
    assert found.selected("none").entropy == pytest.approx(0.955700, abs=1e-6)
    assert found.selected("none").relative_entropy == pytest.approx(0.869916, abs=1e-6)


def test_what_each_rule_keeps_by_hand():
    found = barcode(on_a_line(1, 9, 1, 1, 10, 1, 1, 8, 1, 1, 0), selection="shifted")
    kept = {rule.rule: (rule.kept, rule.entropy) for rule in found.rules}
    assert kept == {
        "recursive": (2, pytest.approx(entropy(10, 9))),
        "single_pass": (4, pytest.approx(entropy(10, 9, 8, 1))),
        "shifted": (1, 0),
        "relative_entropy": (1, 0),
        "none": (10, pytest.approx(entropy(10, 9, 8, *[1] * 7))),  # the bar of length zero has no share
    }
    assert found.selected() == found.selected("shifted")
    assert found.selected("recursive").relative_entropy == pytest.approx(entropy(10, 9) / math.log(2))
    assert barcode(LINE, selection=None).selected().rule == "none"


def test_lengths_are_those_of_single_linkage_and_of_their_own_edges():
    points = cloud()
    found = barcode(points)
    np.testing.assert_allclose(found.lengths, linkage(points)[:, 2], rtol=1e-12)
    own = [math.dist(points[u], points[v]) for u, v in found.edges]
    np.testing.assert_allclose(found.lengths, own, rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_without_two_points_there_is_no_bar(n):
    found = barcode(torch.ones(n, 3), ["a"] * n)
    assert (found.n, found.d, found.edges, found.lengths) == (n, 3, (), ())
    assert all((rule.kept, rule.entropy, rule.relative_entropy) == (0, 0, 0) for rule in found.rules)
    assert found.notes == (f"n = {n}: bars join points, and there are fewer than two",)


def test_two_coincident_points_have_a_bar_that_no_rule_keeps():
    found = barcode(torch.ones(2, 3))
    assert (found.edges, found.lengths) == (((0, 1),), (0,))
    assert {rule.kept for rule in found.rules} == {0}


@pytest.mark.parametrize("kind", ["text", "npy", "column"])
def test_ids_of_files(tmp_path, kind):
    names = [f"item {number}" for number in range(30)]
    path, ids = tmp_path / "x.npy", tmp_path / f"ids.{'npy' if kind == 'npy' else 'txt'}"
    np.save(path, cloud())
    if kind == "text":
        ids.write_text("\n".join(names) + "\n")
    elif kind == "npy":
        np.save(ids, names)
    else:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        path, ids = tmp_path / "x.parquet", "name"
        pq.write_table(pa.table({"name": names, "emb": list(cloud())}), path)
    assert barcode(path, ids) == barcode(cloud(), names)


def test_a_line_of_a_text_may_be_empty_or_hold_a_line_separator(tmp_path):
    (tmp_path / "ids.txt").write_bytes("\ufeffone\u2028two\r\n\r\nlast".encode())
    found = barcode(LINE[:3], tmp_path / "ids.txt")
    assert found.ids == ("one\u2028two", "", "last")
    assert [found.name(point) for point in range(3)] == ["one two", "row 1", "last"]


def test_a_sample_keeps_rows_and_ids_together(tmp_path):
    points, names = cloud(200), [f"item {number}" for number in range(200)]
    found = barcode(points, names, sample=20, seed=3)
    assert (found.n, found.sampled_from, len(set(found.rows))) == (20, 200, 20)
    assert list(found.rows) == sorted(found.rows)
    assert found.ids == tuple(names[row] for row in found.rows)
    assert found.lengths == barcode(points[list(found.rows)]).lengths
    assert found != barcode(points, names, sample=20, seed=4)
    assert barcode(points, names, sample=200) == barcode(points, names)
    without = barcode(points, sample=20, seed=3)
    assert without.name(0) == f"row {found.rows[0]}"
    np.save(tmp_path / "x.npy", points)
    assert barcode(tmp_path / "x.npy", names, sample=20, seed=3) == found


def test_a_state_gives_the_bars_of_its_sample(tmp_path):
    np.save(tmp_path / "x.npy", cloud(200))
    scan(open_shards(tmp_path / "x.npy"), sample=20, path=tmp_path / "x.state")
    found = barcode(tmp_path / "x.state")
    assert (found.n, found.sampled_from) == (20, 200)
    assert found.lengths == barcode(cloud(200)[list(found.rows)]).lengths
    with pytest.raises(ValueError, match="a state keeps no ids"):
        barcode(tmp_path / "x.state", ["a"] * 20)


def test_a_state_of_points_in_memory_has_no_rows(tmp_path):
    save(state_of(torch.from_numpy(cloud(10))), tmp_path / "x.state")
    found = barcode(tmp_path / "x.state")
    assert (found.n, found.sampled_from, found.rows) == (10, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["a"] * 3}, "there are 4 points, but ids has 3"),
        ({"ids": "none.txt"}, "there is no file none.txt to read ids from"),
        ({"ids": "none"}, "a sequence or a file, and there is no file none"),
        ({"selection": "best"}, "selection must be one of recursive"),
        ({"sample": 1}, "at least 2, or None for all, got 1"),
        ({"column": "a"}, "an array has none"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_what_is_refused(options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        barcode(LINE, **options)


def test_json_round_trip_and_what_a_result_refuses():
    found = barcode(LINE, ["a", "b", "c", "d"], title="line")
    assert Barcode.model_validate_json(found.model_dump_json()) == found
    for change in (
        {"lengths": [1, 2]},
        {"lengths": [2, 1, 4]},
        {"lengths": [math.nan, 1, 4]},
        {"edges": [(0, 1), (1, 2), (2, 4)]},
        {"ids": ["a"]},
        {"rows": [0]},
        {"selection": "best"},
        {"schema_version": "conescope.barcode/9"},
        {"more": 1},
    ):
        with pytest.raises(ValidationError):
            Barcode.model_validate(found.model_dump() | change)
