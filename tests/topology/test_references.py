"""The references themselves, against values worked out apart from them: who tests the tests?"""

import math

import numpy as np
import pytest

from tests.reference.entropy import entropy
from tests.reference.selection import (
    expected_features,
    neutralized,
    passes,
    recursive,
    relative_gains,
    shifted,
    single_pass,
)
from tests.reference.spanning import is_tree, kruskal_edges, prim_lengths
from tests.topology.clouds import KINDS

# barcode -> (n, C_1, C_2, ... up to the first below 1, i, Q rounded up) of every pass
TRACES = [
    (
        [10, 9, 8, *[1] * 7],
        [
            (10, [1.137641, 1.207563, 0.863825], 3, 2),
            (5, [1.063634, 1.063965], 2, 1),
            (4, [1.034575], 1, 1),
        ],
    ),
    ([10, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7], [(8, [0.850858], 1, 2)]),
    ([3, 1, 1, 1], [(4, [0.865403], 1, 2)]),
    ([4, 4, 4, 4, 1, 1], [(6, [1.041586, 1.075857, 1.184619], 3, 2), (5, [1.024380, 1.046504], 2, 2)]),
    (
        [2, 1.9, 1.8, 1.7, 1.2, 1.1, 1.1, 1, 1, 0.9, 0.9, 0.8],
        [(12, [1.041452, 1.045418, 1.050321, 1.005077, 0.993611], 5, 5)],
    ),
    ([10, 9, 8, 7.5, *[5] * 12], [(16, [1.034243, 1.028107, 1.026708, 0.992100], 4, 7)]),
]


@pytest.mark.parametrize(("bars", "trace"), TRACES)
def test_the_passes_of_the_worked_examples(bars, trace):
    found = passes(tuple(bars))
    assert [(turn.n, turn.i, math.ceil(turn.expected)) for turn in found] == [
        (n, i, expected) for n, _, i, expected in trace
    ]
    for turn, (_, ratios, _, _) in zip(found, trace, strict=True):
        assert turn.ratios == pytest.approx(ratios, abs=1.1e-6)


@pytest.mark.parametrize(
    ("n", "alpha", "expected"), [(10, 0.1, 1.7316), (8, 0.07, 1.1197), (4, 1 / 3, 1.2958), (12, 0.4, 4.2172)]
)
def test_the_expected_number_of_features(n, alpha, expected):
    assert expected_features(n, alpha) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("alpha", "n", "formula", "integer"),
    [(0.1, 10, 1.7316, 2), (0.5, 42, 16.2244, 16), (0.3, 20, 6.1711, 6), (0.8, 42, 19.4406, 19)],
)
def test_the_expected_number_is_where_the_entropy_of_two_lengths_is_least(alpha, n, formula, integer):
    two_lengths = [entropy([1.0] * q + [alpha] * (n - q)) for q in range(1, n)]
    assert 1 + int(np.argmin(two_lengths)) == integer
    assert expected_features(n, alpha) == pytest.approx(formula, abs=5e-5)

    def derivative(q):  # of the entropy ln S - (n - q) alpha ln alpha / S with S = q + (n - q) alpha, in q
        h = 1e-4

        def at(q):
            total = q + (n - q) * alpha
            return math.log(total) - (n - q) * alpha * math.log(alpha) / total

        return (at(q + h) - at(q - h)) / (2 * h)

    assert derivative(expected_features(n, alpha)) == pytest.approx(0, abs=1e-8)


def test_neutralization_by_hand():
    """R_1 = (2, 2) has entropy ln 2 and sum 4, so the first bar becomes 4 / 2 = 2."""
    assert neutralized([9.0, 2.0, 2.0], 1) == pytest.approx([2, 2, 2])
    assert neutralized([9.0, 2.0, 2.0], 0) == [9, 2, 2]


def test_neutralization_finds_the_value_of_most_entropy():
    """The neutral value maximizes the entropy of i equal bars beside the tail, which is ln(i + e^h)."""
    rest, i = [3.0, 1.0, 0.5], 2
    filler = neutralized([9.0, 8.0, *rest], i)[0]
    best = entropy([filler] * i + rest)
    assert best == pytest.approx(math.log(i + math.exp(entropy(rest))), abs=1e-12)
    assert all(entropy([filler * f] * i + rest) < best for f in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_relative_gains_of_the_worked_examples():
    gains = relative_gains((10, 9, 8, *[1] * 7))
    assert gains == pytest.approx([0.108010, 0.197595, 0.694395, *[0] * 7], abs=6e-7)
    gains = relative_gains((10, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7))
    assert gains[:2] == pytest.approx([0.970956, 0.008995], abs=6e-7)


@pytest.mark.parametrize("seed", range(20))
def test_relative_gains_share_out_the_whole(seed):
    bars = tuple(np.random.default_rng(seed).exponential(size=4 + 2 * seed).tolist())
    gains = relative_gains(bars)
    assert math.fsum(gains) == pytest.approx(1, abs=1e-12)
    assert all(gain > -1e-12 for gain in gains)


def test_the_rules_mark_the_longest_bars_in_any_order():
    bars = [1, 9, 1, 10, 1, 1, 8, 1, 1, 1]
    assert [j for j, kept in enumerate(recursive(bars)) if kept] == [1, 3]
    assert [j for j, kept in enumerate(shifted(bars)) if kept] == [3]
    assert [j for j, kept in enumerate(single_pass(bars)) if kept] == [0, 1, 3, 6]  # the first of the ones


@pytest.mark.parametrize("kind", KINDS)
def test_prim_and_kruskal_find_the_same_tree(kind):
    """Two algorithms that share nothing, and a check of trees that refuses a cycle and a gap."""
    points = KINDS[kind](np.random.default_rng(0), 25, 3)
    edges = kruskal_edges(points)
    lengths = sorted(math.dist(points[u], points[v]) for u, v in edges)
    assert prim_lengths(points) == pytest.approx(lengths, rel=1e-12, abs=1e-15)
    assert is_tree(edges, 25)
    assert not is_tree([*edges, (0, 24)], 25)
    assert not is_tree(edges[:-1], 25)
