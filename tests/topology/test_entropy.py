"""Persistent entropy against worked values, the formula in plain Python, and numerical gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from conescope.topology import persistent_entropy, relative_persistent_entropy
from conescope.topology.entropy import entropy_of_shares
from tests.reference import entropy as reference

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]

# bars, E, E / ln n, dE / dl, worked out by hand for the documentation
TABLE = [
    ([1, 1, 1, 1], 1.386294, 1.0, [0, 0, 0, 0]),
    ([0.1, 0.1, 0.1, 3.7], 0.348780, 0.251592, [0.835025, 0.835025, 0.835025, -0.067705]),
    ([1, 2, 4], 0.955700, 0.869916, [0.141459, 0.042438, -0.056583]),
    ([3, 1, 1, 1], 1.242453, 0.896241, [-0.091551, 0.091551, 0.091551, 0.091551]),
    ([4, 2, 1, 1], 1.213008, 0.875, [-0.064983, 0.021661, 0.108304, 0.108304]),
]

lengths = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=0, max_size=40)


def tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def gradient_of(bars):
    bars = bars.clone().requires_grad_()
    return torch.autograd.grad(persistent_entropy(bars), bars)[0]


# ---- values


@pytest.mark.parametrize(("bars", "entropy", "relative", "gradient"), TABLE)
def test_worked_values(bars, entropy, relative, gradient):
    bars = tensor(bars)
    assert persistent_entropy(bars).item() == pytest.approx(entropy, abs=6e-7)
    assert relative_persistent_entropy(bars).item() == pytest.approx(relative, abs=6e-7)
    assert gradient_of(bars).tolist() == pytest.approx(gradient, abs=6e-7)


def test_halves_quarters_and_eighths():
    """p = 1/2, 1/4, 1/8, 1/8: E = (1/2 + 2/4 + 3/8 + 3/8) ln 2 = 1.75 ln 2."""
    assert persistent_entropy(tensor([4, 2, 1, 1])).item() == pytest.approx(1.75 * math.log(2), rel=1e-15)


@settings(max_examples=200, deadline=None)
@given(lengths.filter(any))
def test_is_the_formula(values):
    assert persistent_entropy(tensor(values)).item() == pytest.approx(
        reference.entropy(values), rel=1e-12, abs=1e-12
    )


@settings(max_examples=200, deadline=None)
@given(lengths.filter(any))
def test_the_gradient_is_its_formula(values):
    expected = tensor(reference.gradient(values))
    assert_close(gradient_of(tensor(values)), expected, rtol=1e-9, atol=1e-12 / sum(values))


@settings(max_examples=100, deadline=None)
@given(lengths)
def test_lies_between_zero_and_the_logarithm_of_the_number_of_positive_bars(values):
    positive = sum(value > 0 for value in values)
    entropy = persistent_entropy(tensor(values)).item()
    assert -1e-12 <= entropy <= math.log(max(positive, 1)) + 1e-12
    assert -1e-12 <= relative_persistent_entropy(tensor(values)).item() <= 1 + 1e-12


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_equal_bars_reach_the_bound(count, unit):
    bars = torch.full((count,), unit, dtype=torch.float64)
    assert persistent_entropy(bars).item() == pytest.approx(math.log(count), abs=1e-12)
    assert relative_persistent_entropy(bars).item() == pytest.approx(float(count > 1), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(lengths, st.floats(1e-6, 1e6), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_unit_matters(values, unit, random):
    shuffled = [unit * value for value in values]
    random.shuffle(shuffled)
    for function in (persistent_entropy, relative_persistent_entropy):
        assert_close(function(tensor(shuffled)), function(tensor(values)), rtol=1e-10, atol=1e-12)


# ---- bars of length zero, and few bars


@settings(max_examples=50, deadline=None)
@given(lengths.filter(any), st.integers(1, 9))
def test_zero_bars_have_no_share_but_count_in_the_relative_form(values, zeros):
    padded = tensor(values + [0.0] * zeros)
    assert_close(persistent_entropy(padded), persistent_entropy(tensor(values)), rtol=1e-12, atol=1e-12)
    expected = reference.entropy(values) / math.log(len(values) + zeros)
    assert relative_persistent_entropy(padded).item() == pytest.approx(expected, rel=1e-11, abs=1e-12)


def test_one_zero_among_four():
    """E({1, 1, 1, 0}) = ln 3, over ln 4."""
    bars = tensor([1, 1, 0, 1])
    assert persistent_entropy(bars).item() == pytest.approx(math.log(3))
    assert relative_persistent_entropy(bars).item() == pytest.approx(math.log(3) / math.log(4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bars", [[], [0.0], [0.0, 0.0, 0.0], [5.0], [0.0, 5.0]])
def test_with_fewer_than_two_positive_bars_both_are_zero(bars, dtype):
    bars = tensor(bars, dtype).requires_grad_()
    for function in (persistent_entropy, relative_persistent_entropy):
        entropy = function(bars)
        assert entropy.item() == 0
        (gradient,) = torch.autograd.grad(entropy, bars)
        assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=torch.finfo(dtype).eps)


# ---- gradient


def test_gradient():
    bars = tensor([0.3, 1.0, 2.0, 4.0, 0.7]).requires_grad_()
    for function in (persistent_entropy, relative_persistent_entropy, entropy_of_shares):
        assert torch.autograd.gradcheck(function, bars)
        assert torch.autograd.gradgradcheck(function, bars)
    batch = torch.stack([bars.detach(), bars.detach().flip(0) ** 2]).requires_grad_()
    assert torch.autograd.gradcheck(persistent_entropy, batch)


@settings(max_examples=100, deadline=None)
@given(lengths.filter(any))
def test_scaling_all_bars_is_not_a_direction(values):
    """E is scale free, so sum l dE/dl = 0 (Euler); and it pulls up exactly the bars below S e^-E."""
    gradient = gradient_of(tensor(values))
    assert (tensor(values) * gradient).sum().item() == pytest.approx(0, abs=1e-11)
    total, entropy = math.fsum(values), reference.entropy(values)
    for value, slope in zip(values, gradient.tolist(), strict=True):
        if value == 0:
            assert slope == 0
        elif abs(value * math.exp(entropy) / total - 1) > 1e-6:
            assert (slope > 0) == (value < total * math.exp(-entropy))


def test_zero_bars_get_no_gradient_and_do_not_change_that_of_others():
    gradient = gradient_of(tensor([0.0, 1.0, 0.0, 2.0, 4.0]))
    assert gradient[[0, 2]].tolist() == [0, 0]
    assert_close(gradient[[1, 3, 4]], gradient_of(tensor([1.0, 2.0, 4.0])))


def test_a_climb_evens_out_the_bars():
    """What the regularizer does: long bars shrink, short bars grow, until all are equal."""
    bars = tensor([1.0, 2.0, 4.0, 0.2])
    for _ in range(300):
        bars = bars + 0.5 * gradient_of(bars)
    assert_close(bars / bars.mean(), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-3)


# ---- number types, batches


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [persistent_entropy, relative_persistent_entropy, entropy_of_shares])
@pytest.mark.parametrize("count", [3, 300, 700, 2000])
def test_number_type_in_is_number_type_out(function, dtype, count):
    """Rounded once: computed in float32 at least, as float16 overflows and bfloat16 loses digits."""
    bars = torch.full((count,), 100.0, dtype=dtype, requires_grad=True)
    result = function(bars)
    assert result.dtype == dtype
    expected = 1 if function is relative_persistent_entropy else math.log(count)
    accuracy = 1e-12 if dtype == torch.float64 else 1e-6
    once = torch.finfo(dtype).eps * (1 if function is relative_persistent_entropy else 0.5)  # and a division
    assert result.item() == pytest.approx(expected, rel=once + accuracy)
    assert torch.autograd.grad(result, bars)[0].dtype == dtype


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(0, 20), st.integers(0, 2**31))
def test_a_batch_is_its_rows_one_by_one(rows, bars, seed):
    generator = torch.Generator().manual_seed(seed)
    batch = torch.rand(rows, bars, generator=generator, dtype=torch.float64)
    batch *= torch.rand(rows, bars, generator=generator) < 0.7
    for function in (persistent_entropy, relative_persistent_entropy, entropy_of_shares):
        assert function(batch).shape == (rows,)
        for row, entropy in zip(batch, function(batch), strict=True):
            assert_close(entropy, function(row), rtol=1e-12, atol=1e-12)


def test_a_barcode_padded_with_zeros_keeps_its_entropy():
    batch = tensor([[1, 2, 4, 0, 0], [3, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
    expected = [TABLE[2][1], TABLE[3][1], 0]
    assert persistent_entropy(batch).tolist() == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize(
    ("bars", "dtype", "entropy"),
    [
        ([1e-30, 1e30], torch.float32, 0),  # the share of the first, 1e-60, is 0 in float32
        ([3e38, 3e38], torch.float32, math.log(2)),  # the total is too large for float32
        ([5e-324, 10], torch.float64, 0),
    ],
)
def test_bars_at_the_ends_of_the_number_range(bars, dtype, entropy):
    assert persistent_entropy(tensor(bars, dtype)).item() == pytest.approx(entropy, abs=1e-6)
    assert gradient_of(tensor(bars, dtype)).isfinite().all()


# ---- errors


@pytest.mark.parametrize("function", [persistent_entropy, relative_persistent_entropy])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_length_that_can_not_be_one_is_named(function, value):
    with pytest.raises(ValueError, match=rf"finite and not negative, but the one at \(2,\) is {value}"):
        function(torch.tensor([1.0, 2.0, value, 3.0]))
    with pytest.raises(ValueError, match=rf"the one at \(1, 0\) is {value}"):
        function(torch.tensor([[1.0, 2.0], [value, 3.0]]))


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("function", [persistent_entropy, relative_persistent_entropy])
def test_lengths_must_be_an_axis_of_floating_point_numbers(function):
    with pytest.raises(TypeError, match=r"floating point, got torch\.int64"):
        function(torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="got a single number"):
        function(torch.tensor(1.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_an_accelerator():
    bars = tensor([4, 2, 1, 1]).cuda()
    assert persistent_entropy(bars).device.type == "cuda"
    assert persistent_entropy(bars).item() == pytest.approx(1.75 * math.log(2))
