"""Distances of barcodes by hand, against all pairings, SciPy's assignment, gudhi and Hera; gradients."""

import itertools
import math
import sys

import gudhi.hera
import gudhi.wasserstein
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch.testing import assert_close

from conescope.topology.diagrams import bottleneck_distance, total_persistence, wasserstein_distance

seeds = st.integers(0, 2**31)
ORDERS = [1.0, 2.0, 3.5]
NORMS = [1.0, 2.0, 3.0, math.inf]


def bars(*rows, dtype=torch.float64):
    return torch.tensor(rows, dtype=dtype).reshape(-1, 2)


def random_bars(n, seed, infinite=0):
    rng = np.random.default_rng(seed)
    births = rng.random(n + infinite)
    deaths = births + rng.exponential(0.3, n + infinite)
    deaths[n:] = math.inf
    return torch.from_numpy(rng.permutation(np.stack([births, deaths], axis=1)))


def norm(vector, p):
    return float(np.max(np.abs(vector)) if math.isinf(p) else np.sum(np.abs(vector) ** p) ** (1 / p))


def augmented_costs(one, other, p):
    """Every bar, and for every bar of the other barcode a place on the diagonal to go to."""
    one, other = one.tolist(), other.tolist()
    costs = np.zeros((len(one) + len(other), len(other) + len(one)))
    for i, a in enumerate(one):
        costs[i, len(other) :] = norm(np.subtract(a, np.mean(a)), p)
        for j, b in enumerate(other):
            costs[i, j] = norm(np.subtract(a, b), p)
    for j, b in enumerate(other):
        costs[len(one) :, j] = norm(np.subtract(b, np.mean(b)), p)
    return costs


def by_assignment(one, other, order, p):
    costs = augmented_costs(one, other, p) ** order
    return float(costs[linear_sum_assignment(costs)].sum() ** (1 / order))


# ---- total persistence


def test_total_persistence_by_hand():
    """Lengths 1, 2, 0 and one without end."""
    barcode = bars([0, 1], [1, 3], [2, 2], [0, math.inf])
    assert total_persistence(barcode).item() == 3
    assert total_persistence(barcode, power=2.0).item() == 5
    assert total_persistence(barcode, power=0.5).item() == pytest.approx(1 + math.sqrt(2))
    assert total_persistence(barcode, power=0.0).item() == 2
    assert total_persistence(bars()).item() == 0
    assert total_persistence(bars([3, math.inf])).item() == 0


def test_a_batch_is_its_barcodes_one_by_one():
    batch = torch.stack([random_bars(7, seed, infinite=2) for seed in range(6)])
    expected = torch.stack([total_persistence(barcode, power=1.5) for barcode in batch])
    assert_close(total_persistence(batch, power=1.5), expected)
    assert_close(total_persistence(batch.reshape(2, 3, 9, 2), power=1.5), expected.reshape(2, 3))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_gradient_of_total_persistence(power):
    """d (death - birth)^p = p (death - birth)^(p - 1); nothing at length zero and at infinity."""
    barcode = bars([0, 4], [1, 2], [2, 2], [0, math.inf]).requires_grad_()
    (gradient,) = torch.autograd.grad(total_persistence(barcode, power=power), barcode)
    slope = power * 4 ** (power - 1)
    assert_close(gradient, bars([-slope, slope], [-power, power], [0, 0], [0, 0]))
    finite = random_bars(6, 0).requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: total_persistence(rows, power=power), finite)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_total_persistence_keeps_the_number_type(dtype):
    barcode = random_bars(300, 1).to(dtype)
    total = total_persistence(barcode)
    assert total.dtype == dtype
    exact = (barcode[:, 1].double() - barcode[:, 0].double()).sum()
    assert_close(total.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-4)


# ---- Wasserstein distance


def test_wasserstein_by_hand():
    """(0, 4) goes to (0, 5), a move of 1; (1, 2) to the diagonal at (1.5, 1.5), 1/2 in both directions."""
    one, other = bars([0, 4], [1, 2]), bars([0, 5])
    assert wasserstein_distance(one, other).item() == 1.5
    assert wasserstein_distance(one, other, order=2.0).item() == pytest.approx(math.sqrt(1.25))
    assert wasserstein_distance(one, other, internal_p=2.0).item() == pytest.approx(1 + math.sqrt(0.5))
    assert wasserstein_distance(one, other, internal_p=1.0).item() == 2
    assert wasserstein_distance(one, other, order=2.0, internal_p=2.0).item() == pytest.approx(math.sqrt(1.5))


def test_two_bars_far_apart_go_to_the_diagonal():
    """Moving (0, 1) to (10, 11) costs 10, both to the diagonal 1/2 + 1/2."""
    assert wasserstein_distance(bars([0, 1]), bars([10, 11])).item() == 1
    assert bottleneck_distance(bars([0, 1]), bars([10, 11])).item() == 0.5


@pytest.mark.parametrize("infinite", [0, 2])
def test_one_barcode_without_finite_bars(infinite):
    """All of the other goes to the diagonal: half its total persistence."""
    empty, full = random_bars(0, 0, infinite), random_bars(5, 1, infinite)
    empty[:, 0] = full[full[:, 1].isinf(), 0]
    half = total_persistence(full) / 2
    assert_close(wasserstein_distance(empty, full), half)
    assert_close(wasserstein_distance(full, empty), half)
    longest = (full[:, 1] - full[:, 0])[full[:, 1].isfinite()].max() / 2
    assert_close(bottleneck_distance(full, empty), longest)
    assert wasserstein_distance(empty, empty).item() == bottleneck_distance(empty, empty).item() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from(ORDERS), st.sampled_from(NORMS), seeds)
def test_the_best_of_all_pairings(n, m, order, p, seed):
    one, other = random_bars(n, seed), random_bars(m, seed + 1)
    costs = augmented_costs(one, other, p)
    rows = range(n + m)
    best = min(sum(costs[rows, list(to)] ** order) for to in itertools.permutations(rows)) ** (1 / order)
    assert wasserstein_distance(one, other, order=order, internal_p=p).item() == pytest.approx(best)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(ORDERS), st.sampled_from(NORMS), seeds)
def test_agrees_with_an_assignment(n, m, order, p, seed):
    one, other = random_bars(n, seed), random_bars(m, seed + 1)
    expected = by_assignment(one, other, order, p)
    assert wasserstein_distance(one, other, order=order, internal_p=p).item() == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 15), st.integers(0, 15), st.sampled_from(ORDERS), st.sampled_from([-300, -40, 40]), seeds
)
def test_the_unit_does_not_matter(n, m, order, exponent, seed):
    """Powers of costs leave the range of every tolerance, and of float64: the pairing stays the same."""
    one, other, unit = random_bars(n, seed, 1), random_bars(m, seed + 1, 1), 2.0**exponent
    expected = wasserstein_distance(one, other, order=order).item()
    assert wasserstein_distance(unit * one, unit * other, order=order).item() == pytest.approx(
        unit * expected, rel=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.sampled_from([1.0, 2.0]), seeds)
def test_agrees_with_gudhi_with_infinite_bars(n, m, infinite, order, seed):
    one, other = random_bars(n, seed, infinite), random_bars(m, seed + 1, infinite)
    expected = gudhi.wasserstein.wasserstein_distance(one.numpy(), other.numpy(), order=order)
    assert wasserstein_distance(one, other, order=order).item() == pytest.approx(expected)


def test_infinite_bars_pair_in_the_order_of_their_births():
    one = bars([5, math.inf], [0, math.inf], [1, 3])
    other = bars([1, math.inf], [1, 3], [8, math.inf])
    assert wasserstein_distance(one, other).item() == 4  # 0 to 1, 5 to 8
    assert wasserstein_distance(one, other, order=2.0).item() == pytest.approx(math.sqrt(10))
    assert bottleneck_distance(one, other).item() == 3


def test_different_numbers_of_infinite_bars_are_infinitely_far_apart():
    one, other = bars([0, math.inf], [1, 3]).requires_grad_(), bars([1, 3])
    for distance in (wasserstein_distance, bottleneck_distance):
        assert distance(one, other).item() == distance(other, one).item() == math.inf
        assert not distance(one, other).requires_grad


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.sampled_from(ORDERS), seeds)
def test_it_is_a_metric(n, m, k, order, seed):
    a, b, c = random_bars(n, seed, 1), random_bars(m, seed + 1, 1), random_bars(k, seed + 2, 1)

    def far(one, other):
        return wasserstein_distance(one, other, order=order, internal_p=2.0).item()

    assert far(a, b) == pytest.approx(far(b, a))
    assert far(a, c) <= far(a, b) + far(b, c) + 1e-12
    on_the_diagonal = bars([0.3, 0.3], [7, 7])
    assert far(a, torch.cat([on_the_diagonal, a.flip(0)])) == 0
    assert far(a, torch.cat([a, bars([50, 52])])) == pytest.approx(math.sqrt(2))
    assert far(3 * a, 3 * b) == pytest.approx(3 * far(a, b))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("p", NORMS)
def test_gradient_of_wasserstein(order, p):
    one, other = random_bars(6, 3).requires_grad_(), random_bars(9, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: wasserstein_distance(a, b, order=order, internal_p=p), (one, other)
    )


def test_gradient_of_infinite_bars_goes_to_their_births():
    one = bars([5, math.inf], [0, math.inf], [1, 3]).requires_grad_()
    other = bars([1, math.inf], [8, math.inf]).requires_grad_()
    gradients = torch.autograd.grad(wasserstein_distance(one, other), [one, other])
    # 0 to 1 and 5 to 8: both births want to grow; the finite bar to shrink from both ends, half of its length
    assert_close(gradients[0], bars([-1, 0], [-1, 0], [-0.5, 0.5]))
    assert_close(gradients[1], bars([1, 0], [1, 0]))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("p", NORMS)
def test_the_gradient_between_equal_barcodes_is_finite(order, p):
    """Distance zero has a corner; the gradient there is taken as zero."""
    one = random_bars(4, 5, infinite=1)
    one = torch.cat([one, bars([1, 1])]).requires_grad_()
    distance = wasserstein_distance(one, one.detach().clone(), order=order, internal_p=p)
    assert distance.item() == 0
    (gradient,) = torch.autograd.grad(distance, one)
    assert torch.equal(gradient, torch.zeros_like(one))


def test_descent_along_the_gradient_reaches_the_other_barcode():
    one, other = bars([0, 1], [0.2, 0.9], [0.5, 0.7]).requires_grad_(), bars([0.1, 1.4], [0.3, 0.6])
    before = wasserstein_distance(one, other, order=2.0, internal_p=2.0).item()
    optimizer = torch.optim.SGD([one], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        wasserstein_distance(one, other, order=2.0, internal_p=2.0).square().backward()
        optimizer.step()
    assert wasserstein_distance(one, other, order=2.0, internal_p=2.0).item() < 1e-6 * before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_distances_keep_the_number_type(dtype):
    one, other = random_bars(20, 6, 1).to(dtype), random_bars(15, 7, 1).to(dtype)
    for distance in (wasserstein_distance, bottleneck_distance):
        found = distance(one, other)
        assert found.dtype == dtype
        assert distance(one, other.double()).dtype == torch.float64
        assert_close(
            found.double(), distance(one.double(), other.double()), rtol=torch.finfo(dtype).eps, atol=0
        )


# ---- bottleneck distance


def test_bottleneck_by_hand():
    assert bottleneck_distance(bars([0, 4], [1, 2]), bars([0, 5])).item() == 1
    assert bottleneck_distance(bars([0, 4], [1, 9]), bars([0, 5])).item() == 4  # (1, 9) to (5, 5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), seeds)
def test_bottleneck_is_the_best_of_all_pairings(n, m, seed):
    one, other = random_bars(n, seed), random_bars(m, seed + 1)
    costs = augmented_costs(one, other, math.inf)
    rows = range(n + m)
    best = min(max(costs[rows, list(to)], default=0.0) for to in itertools.permutations(rows))
    assert bottleneck_distance(one, other).item() == pytest.approx(best, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3), seeds)
def test_wasserstein_goes_down_to_bottleneck_as_the_order_grows(n, m, infinite, seed):
    """Between the greatest cost and that times the number of costs to the power 1 / q."""
    one, other = random_bars(n, seed, infinite), random_bars(m, seed + 1, infinite)
    bottleneck = bottleneck_distance(one, other).item()
    for order in (1.0, 4.0):
        distance = wasserstein_distance(one, other, order=order).item()
        assert distance >= bottleneck * (1 - 1e-9)
    wide = wasserstein_distance(one, other, order=20.0).item()
    assert bottleneck * (1 - 1e-9) <= wide <= bottleneck * (n + m + infinite) ** (1 / 20) * (1 + 1e-9)


# ---- errors


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("function", [total_persistence, wasserstein_distance, bottleneck_distance])
@pytest.mark.parametrize(
    ("barcode", "error", "message"),
    [
        (bars([0, 1], [2, 1]), ValueError, r"row 1 is \(2, 1\); columns are birth and death"),
        (bars([0, 1], [0, math.nan]), ValueError, r"row 1 is \(0, nan\)"),
        (bars([math.inf, math.inf]), ValueError, r"row 0 is \(inf, inf\)"),
        (bars([-math.inf, 0]), ValueError, r"row 0 is \(-inf, 0\)"),
        (torch.zeros(3), ValueError, r"shape \(rows, 2\).*got \(3,\)"),
        (torch.zeros(3, 3), ValueError, r"shape \(rows, 2\).*got \(3, 3\)"),
        (torch.zeros(3, 2, dtype=torch.int64), TypeError, r"floating point, got torch.int64"),
    ],
)
def test_what_is_no_barcode_is_refused(function, barcode, error, message):
    fine = bars([0, 1])
    calls = [(barcode,)] if function is total_persistence else [(barcode, fine), (fine, barcode)]
    for call in calls:
        with pytest.raises(error, match=message):
            function(*call)


@pytest.mark.usefixtures("without_shape_checks")
def test_exponents_out_of_range_and_batches_are_refused():
    one = bars([0, 1])
    with pytest.raises(ValueError, match=r"power must be 0 or more and finite, got -1\.0"):
        total_persistence(one, power=-1.0)
    with pytest.raises(ValueError, match=r"order must be 1 or more and finite, got inf; see bottleneck"):
        wasserstein_distance(one, one, order=math.inf)
    with pytest.raises(ValueError, match=r"order must be 1 or more and finite, got 0.5"):
        wasserstein_distance(one, one, order=0.5)
    with pytest.raises(ValueError, match=r"internal_p is the exponent of a norm, 1 or more, got 0.5"):
        wasserstein_distance(one, one, internal_p=0.5)
    with pytest.raises(ValueError, match=r"shape \(rows, 2\), rows .* got \(1, 1, 2\)"):
        wasserstein_distance(one[None], one)


class NotInstalled:
    """Answers for a package as an import does where it is missing."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("package", "function"),
    [("gudhi", bottleneck_distance)],
)
def test_a_missing_package_is_named_with_its_extra(package, function, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(package), *sys.meta_path])
    with pytest.raises(ImportError, match=rf"the package {package}: pip install 'conescope\[topology\]'"):
        function(bars([0, 1]), bars([0, 2]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_an_accelerator():
    one, other = random_bars(20, 8, 1), random_bars(25, 9, 1)
    for distance in (wasserstein_distance, bottleneck_distance):
        found = distance(one.cuda(), other.cuda())
        assert found.is_cuda
        assert_close(found.cpu(), distance(one, other))
