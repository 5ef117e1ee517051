"""The rules against worked examples, and against the text turned into lists and loops."""

import functools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.topology import RULES, select_bars, selection
from conescope.topology.selection import _expected_share, check_rule
from tests.reference import selection as reference

ALL = [*RULES, None]

# barcode -> what each rule keeps
WORKED = [
    ([10, 9, 8, *[1] * 7], [10, 9], [10, 9, 8, 1], [10]),
    ([10, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7], [10, 1.3], [10, 1.3], [10]),
    ([3, 1, 1, 1], [3, 1], [3, 1], [3]),
    ([4, 4, 4, 4, 1, 1], [4, 4, 4], [4, 4, 4, 4], [4, 4]),
    (
        [2, 1.9, 1.8, 1.7, 1.2, 1.1, 1.1, 1, 1, 0.9, 0.9, 0.8],
        [2, 1.9, 1.8, 1.7, 1.2, 1.1],
        [2, 1.9, 1.8, 1.7, 1.2, 1.1],
        [2, 1.9, 1.8, 1.7, 1.2],
    ),
    ([10, 9, 8, 7.5, *[5] * 12], [10, 9, 8, 7.5, 5], [10, 9, 8, 7.5, 5], [10, 9, 8, 7.5]),
]


def uniform(rng, n):
    return rng.uniform(0.01, 1, n)


def gaussian_cloud(rng, n):
    """Bars of a Gaussian cloud in many dimensions: nearly equal."""
    return 37 + rng.normal(size=n) * rng.choice([0.1, 0.5, 2])


def exponential(rng, n):
    return rng.exponential(size=n)


def two_levels(rng, n):
    long = rng.random(n) < rng.uniform(0.05, 0.6)
    return np.where(long, rng.uniform(1.2, 20), 1) * (1 + 0.02 * rng.random(n))


def power_law(rng, n):
    return (1 + rng.pareto(rng.uniform(0.5, 3), n)) * 1e-3


def rounded(rng, n):
    """Few different values: ties everywhere, as with duplicates or points on a grid."""
    return rng.integers(1, 6, n).astype(float)


SHAPES = [uniform, gaussian_cloud, exponential, two_levels, power_law, rounded]


@functools.cache
def barcodes(shape):
    """700 barcodes of 4 to 60 bars in any order, with up to three zeros, padded with zeros to one batch."""
    rng = np.random.default_rng(SHAPES.index(shape))
    batch = np.zeros((700, 60))
    for row in batch:
        n = int(4 * 15.2 ** rng.random())
        row[:n] = shape(rng, n)
        row[: rng.integers(0, 4) * (n > 8)] = 0
        row[:n] = rng.permutation(row[:n])
    return batch


def kept(bars, rule):
    """The lengths that are kept, longest first."""
    bars = torch.tensor(bars, dtype=torch.float64)
    return sorted(bars[select_bars(bars, rule)].tolist(), reverse=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rule", [*RULES, None])
def test_a_bound_on_the_bars_of_all_rows_changes_nothing(monkeypatch, shape, rule):
    """Where rows have room for far more bars than there are, only lists that may be met are looked at."""
    lengths = torch.from_numpy(barcodes(shape)[:80])
    expected = selection.features(lengths, rule)
    count = int((lengths > 0).sum())
    monkeypatch.setattr(selection, "LISTS_AT_ONCE", 100)
    for most in (count, count + 7, lengths.numel()):
        assert torch.equal(selection.features(lengths, rule, most), expected)


# ---- worked examples


@pytest.mark.parametrize(("bars", "recursive", "single_pass", "shifted"), WORKED)
def test_worked_examples(bars, recursive, single_pass, shifted):
    assert kept(bars, "recursive") == recursive
    assert kept(bars, "single_pass") == single_pass
    assert kept(bars, "shifted") == shifted
    assert kept(bars, None) == bars


def test_worked_examples_of_relative_entropy():
    """10, 9, 8, then ones: 0.108 > 1/10, but 0.198 < 2/10. 10 and then 1.3: 0.971 > 1/8, but 0.009 < 2/8."""
    assert kept([10, 9, 8, *[1] * 7], "relative_entropy") == [10]
    assert kept([10, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7], "relative_entropy") == [10]


def test_relative_entropy_may_keep_nothing():
    """4, 4, 4, 4, 1, 1: taking away one of four long bars gains 0.024 of the room, less than 1/6."""
    assert kept([4, 4, 4, 4, 1, 1], "relative_entropy") == []


def test_relative_entropy_needs_more_than_its_threshold():
    """3, 1, 1, 1: without the 3 all are equal, a gain of 1 > 1/4; nothing is left to gain after that."""
    assert kept([3, 1, 1, 1], "relative_entropy") == [3]


# ---- the reference


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_agrees_with_the_text_on_random_barcodes(shape, rule):
    batch = barcodes(shape)
    expected = [getattr(reference, rule)(bars) for bars in batch.tolist()]
    wrong = np.flatnonzero(
        (select_bars(torch.from_numpy(batch), rule).numpy() != np.array(expected)).any(axis=1)
    )
    assert not len(wrong), f"{len(wrong)} of 700 differ, the first is {batch[wrong[0]].tolist()}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_shifted_is_recursive_with_one_bar_fewer(shape):
    batch = torch.from_numpy(barcodes(shape))
    recursive, shifted = select_bars(batch, "recursive"), select_bars(batch, "shifted")
    assert (shifted & ~recursive).sum() == 0
    spared = (batch == 0).sum(dim=1).eq(57) | (batch.max(dim=1).values == first_positive_minimum(batch))
    assert torch.equal((recursive & ~shifted).sum(dim=1), (~spared).long())


def first_positive_minimum(batch):
    return batch.masked_fill(batch == 0, math.inf).min(dim=1).values


@pytest.mark.parametrize("n", [150, 257, 300])
def test_agrees_with_the_text_on_long_barcodes(n):
    bars = two_levels(np.random.default_rng(n), n)
    for rule in RULES:
        assert select_bars(torch.from_numpy(bars), rule).tolist() == getattr(reference, rule)(bars.tolist())


@pytest.mark.parametrize("t", [2, 3, 5, 6, 7, 10])
@pytest.mark.parametrize("copies", [1, 2, 3, 7])
def test_a_ratio_of_exactly_one_is_no_fall(t, copies):
    """T = t^2 and x = (t, .., t, 1, .., 1) with t^2 ones: a bar of length t is what it is replaced by.

    Behind those bars lie the ones and T, with P = 2 t^2, h = ln P - t^2 ln(t^2) / P = ln P - ln t, hence
    l' = P / e^h = t. So C_i = 1 for all of them, whatever the rounding of the sums says, and the first fall
    is at the first 1, which is below its l'.
    """
    bars = [float(t * t), *[float(t)] * copies, *[1.0] * (t * t)]
    assert kept(bars, "single_pass") == bars[: copies + 2]


# ---- order, unit, batch


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("shape", SHAPES[:5], ids=lambda shape: shape.__name__)
def test_the_mask_follows_the_order_of_the_input(shape, rule):
    batch = torch.from_numpy(barcodes(shape)[:100])
    order = torch.rand(batch.shape, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
    shuffled = select_bars(batch.gather(1, order), rule)
    assert torch.equal(shuffled, select_bars(batch, rule).gather(1, order))


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("unit", [2.0**-30, 1e-6, 7.0, 2.0**40])
def test_the_unit_does_not_matter(rule, unit):
    for shape in (uniform, gaussian_cloud, exponential, two_levels):
        batch = torch.from_numpy(barcodes(shape)[:60])
        assert torch.equal(select_bars(batch * unit, rule), select_bars(batch, rule))


@pytest.mark.parametrize("rule", ALL)
def test_a_batch_is_its_rows_one_by_one_and_padding_does_not_count(rule):
    for shape in SHAPES:
        batch = barcodes(shape)[:25]
        together = select_bars(torch.from_numpy(batch), rule)
        for row, mask in zip(batch, together, strict=True):
            width = int(np.flatnonzero(row)[-1]) + 1
            alone = select_bars(torch.from_numpy(row[:width]), rule)
            assert torch.equal(mask[:width], alone)
            assert not mask[width:].any()


@pytest.mark.parametrize("rule", ALL)
def test_more_than_one_batch_axis(rule):
    batch = torch.from_numpy(barcodes(two_levels)[:12])
    assert torch.equal(select_bars(batch.reshape(3, 4, 60), rule).reshape(12, 60), select_bars(batch, rule))


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_number_type_is_no_more_than_a_rounding_of_the_bars(rule, dtype):
    batch = torch.from_numpy(barcodes(two_levels)[:100]).to(dtype)
    assert torch.equal(select_bars(batch, rule), select_bars(batch.double(), rule))


def test_the_first_of_equal_bars_are_kept():
    bars = torch.tensor([1.0, 8, 1, 9, 1, 10, 1, 1, 1, 1])
    assert select_bars(bars, "single_pass").nonzero()[:, 0].tolist() == [0, 1, 3, 5]
    bars = torch.tensor([1.0, 4, 1, 4, 4, 4])
    assert select_bars(bars, "recursive").nonzero()[:, 0].tolist() == [1, 3, 4]
    assert select_bars(bars, "shifted").nonzero()[:, 0].tolist() == [1, 3]


# ---- what is decided where the published code stops with an error or returns NaN


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (3, 0), (0, 5), (2, 5)])
def test_no_positive_bar_keeps_nothing(rule, shape):
    mask = select_bars(torch.zeros(shape), rule)
    assert torch.equal(mask, torch.zeros(shape, dtype=torch.bool))


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("bars", [[5], [2, 1], [3, 1, 1], [1, 100, 3]])
@pytest.mark.parametrize("zeros", [0, 1, 5])
def test_three_positive_bars_or_fewer_are_all_kept(rule, bars, zeros):
    mask = select_bars(torch.tensor([0.0] * zeros + [float(bar) for bar in bars]), rule)
    assert mask.tolist() == [False] * zeros + [True] * len(bars)


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("value", [1e-6, 0.1, 1.0, 3e5])
@pytest.mark.parametrize("count", [4, 5, 17, 300])
def test_equal_bars_are_all_kept(rule, value, count):
    bars = torch.full((count + 2,), value, dtype=torch.float64)
    bars[:2] = 0
    assert select_bars(bars, rule).tolist() == [False] * 2 + [True] * count
    assert select_bars(bars.float(), rule).tolist() == [False] * 2 + [True] * count


@pytest.mark.parametrize("rule", ALL)
def test_zero_bars_are_never_kept_and_do_not_count(rule):
    """4, 4, 4, 4, 0, 1, 1 gives NaN in the published code; here it is 4, 4, 4, 4, 1, 1."""
    with_zero, without = [4, 4, 4, 4, 0, 1, 1], [4, 4, 4, 4, 1, 1]
    assert kept(with_zero, rule) == kept(without, rule)
    for bars, _, _, _ in WORKED:
        assert kept([0, *bars, 0, 0, 0, 0], rule) == kept(bars, rule)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), max_size=30))
def test_what_holds_for_every_barcode(values):
    """Only positive bars, always the longest ones, at least one by the rules that keep T."""
    bars = torch.tensor(values, dtype=torch.float64)
    for rule in ALL:
        mask = select_bars(bars, rule)
        assert not (mask & (bars == 0)).any()
        if mask.any() and not mask.all():
            assert bars[mask].min() >= bars[~mask].max()
        if rule != "relative_entropy":
            assert bool(mask.any()) == bool((bars > 0).any())
    assert torch.equal(select_bars(bars, None), bars > 0)
    single, recursive = select_bars(bars, "single_pass"), select_bars(bars, "recursive")
    assert not (recursive & ~single).any()  # the recursion only ever drops bars


def test_selection_has_no_gradient_and_leaves_the_input():
    bars = torch.tensor([10.0, 9, 8, 1, 1, 1], requires_grad=True)
    for rule in ALL:
        assert not select_bars(bars, rule).requires_grad
    assert bars.tolist() == [10, 9, 8, 1, 1, 1]


# ---- Q


def test_the_expected_share_in_many_digits():
    """Q / n = alpha (alpha - 1 - ln alpha) / (alpha - 1)^2, with 60 digits where doubles cancel."""
    alphas = [1e-9, 0.01, 0.1, 0.5, 0.9, 0.998, 0.9989, 0.9991, 0.9999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-12]
    found = _expected_share(torch.tensor(alphas, dtype=torch.float64)).tolist()
    with localcontext() as context:
        context.prec = 60
        for alpha, share in zip(map(Decimal, alphas), found, strict=True):
            exact = alpha * (alpha - 1 - alpha.ln()) / (alpha - 1) ** 2
            assert share == pytest.approx(float(exact), rel=1e-9)
    assert _expected_share(torch.ones(1, dtype=torch.float64)).item() == 0.5


# ---- errors


@pytest.mark.usefixtures("without_shape_checks")
def test_an_unknown_rule_is_answered_with_the_names():
    message = (
        "selection must be one of recursive, single_pass, shifted, relative_entropy or None for all bars, "
        "got 'best'"
    )
    with pytest.raises(ValueError, match=message):
        select_bars(torch.ones(5), "best")
    with pytest.raises(ValueError, match=message):
        check_rule("best")
    for rule in ALL:
        check_rule(rule)


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_length_that_can_not_be_one_is_named(rule, value):
    with pytest.raises(ValueError, match=rf"finite and not negative, but the one at \(1,\) is {value}"):
        select_bars(torch.tensor([1.0, value, 3.0, 4.0, 5.0]), rule)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("rule", ALL)
def test_the_same_on_an_accelerator(rule):
    batch = torch.from_numpy(barcodes(two_levels))
    assert torch.equal(select_bars(batch.cuda(), rule).cpu(), select_bars(batch, rule))


@pytest.mark.parametrize("rule", ["recursive", "single_pass", "shifted"])
@settings(max_examples=30, deadline=None)
@given(st.integers(4, 60), st.floats(0.1, 6), st.integers(0, 2**31))
def test_following_the_recursion_equals_reading_its_table(rule, n, power, seed):
    """Long barcodes are selected step by step."""
    bars = torch.from_numpy(np.random.default_rng(seed).random((3, n)) ** power)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "LONG", 10**9)
        table = select_bars(bars, rule)
        patch.setattr(selection, "LONG", 0)
        assert torch.equal(select_bars(bars, rule), table)
