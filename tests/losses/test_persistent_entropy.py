import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import PersistentEntropyLoss, persistent_entropy_loss
from conescope.topology import RULES
from tests.reference import persistent_entropy_loss as reference

RULES_AND_ALL = [*RULES, None]


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    # class 0 on a line has the bars 1, 2, 4 (E = 0.955700); class 1, a unit square, 1, 1, 1 (E = ln 3)
    points = torch.tensor(
        [[0.0, 0], [0, 1], [0, 3], [0, 7], [9, 0], [9, 1], [10, 0], [10, 1]], dtype=torch.float64
    )
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    terms = persistent_entropy_loss(points, labels, selection=None, min_points=4)
    assert terms.loss.item() == pytest.approx(-0.955700 - math.log(3), abs=1e-6)
    assert [int(count) for count in terms[1:]] == [6, 6, 2, 0]  # bars, kept, classes, skipped


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(RULES_AND_ALL), st.integers(2, 8))
def test_matches_the_paper_class_by_class(seed, rule, min_points):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(40, 6)) * rng.uniform(0.1, 3, 6)
    labels = rng.integers(0, 5, 40)
    found = persistent_entropy_loss(
        torch.from_numpy(points), torch.from_numpy(labels), selection=rule, min_points=min_points
    )
    assert found.loss.item() == pytest.approx(reference.loss(points, labels, rule, min_points), abs=1e-9)
    sizes = np.bincount(labels)
    assert found.classes_skipped == (sizes[sizes > 0] < min_points).sum()
    assert found.bars == (sizes[sizes >= min_points] - 1).sum()


@pytest.mark.parametrize("rule", RULES_AND_ALL)
def test_gradient(rule):
    points = cloud(14, 4).requires_grad_()
    labels = torch.tensor([0] * 8 + [1] * 6)
    assert torch.autograd.gradcheck(lambda p: persistent_entropy_loss(p, labels, selection=rule).loss, points)


def test_without_labels_all_points_are_one_class():
    points = cloud(12, 3)
    one = persistent_entropy_loss(points, torch.zeros(12, dtype=torch.int64)).loss
    torch.testing.assert_close(persistent_entropy_loss(points).loss, one)


def test_order_of_points_and_names_of_classes_do_not_matter():
    points, labels = cloud(30, 3), torch.arange(30) % 3
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    expected = persistent_entropy_loss(points, labels).loss
    torch.testing.assert_close(persistent_entropy_loss(points[order], labels[order] * 7 + 2).loss, expected)


def test_unlabelled_points_are_left_out():
    points, labels = cloud(20, 3), torch.arange(20) % 2
    with_extra = torch.cat([points, 100 * cloud(7, 3, seed=1)]), torch.cat([labels, torch.full((7,), -100)])
    found, expected = persistent_entropy_loss(*with_extra), persistent_entropy_loss(points, labels)
    torch.testing.assert_close(found.loss, expected.loss)
    assert (found.classes, found.classes_skipped) == (2, 0)


def test_small_classes_are_skipped_and_counted():
    points, labels = cloud(13, 3), torch.tensor([0] * 8 + [1] * 4 + [2])
    found = persistent_entropy_loss(points, labels)
    torch.testing.assert_close(found.loss, persistent_entropy_loss(points[:8]).loss)
    assert (found.classes, found.classes_skipped) == (1, 2)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_too_few_points_give_zero_and_no_gradient(count):
    points = cloud(count, 3).requires_grad_()
    found = persistent_entropy_loss(points)
    found.loss.backward()
    assert found.loss == 0
    assert points.grad.eq(0).all()


def test_collapsed_class_has_a_finite_loss_and_gradient():
    points = torch.ones(9, 3, dtype=torch.float64)
    points[8] += 1
    points.requires_grad_()
    loss = persistent_entropy_loss(points, selection=None).loss
    loss.backward()
    assert loss == 0  # one bar of positive length holds everything
    assert points.grad.isfinite().all()


def test_a_descent_step_evens_the_bars_out():
    points = cloud(20, 2).requires_grad_()
    before = persistent_entropy_loss(points, selection=None).loss
    before.backward()
    after = persistent_entropy_loss(points.detach() - 1e-3 * points.grad, selection=None).loss
    predicted = -1e-3 * points.grad.square().sum()
    torch.testing.assert_close(after - before.detach(), predicted, rtol=0.05, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_point_that_is_not_finite_makes_the_loss_nan(bad):
    points = cloud(12, 3)
    points[4, 1] = bad
    points.requires_grad_()
    loss = persistent_entropy_loss(points).loss
    assert loss.isnan()
    loss.backward()
    assert points.grad.isnan().any()  # a gradient scaler looks at gradients


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_is_computed_in_float32_under_autocast(dtype):
    points = cloud(24, 8).to(dtype)
    expected = persistent_entropy_loss(points.double(), selection=None).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = persistent_entropy_loss(points, selection=None).loss
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_module_equals_function_and_reports_its_counts():
    points, labels = cloud(30, 4), torch.arange(30) % 4
    module = PersistentEntropyLoss(weight=0.3, selection="single_pass", min_points=8)
    terms = persistent_entropy_loss(points, labels, selection="single_pass", min_points=8)
    torch.testing.assert_close(module(points, labels), 0.3 * terms.loss)
    assert module.observed == {
        "bars": terms.bars,
        "bars_kept": terms.bars_kept,
        "classes_skipped": terms.classes_skipped,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"selection": "best"}, "selection must be one of recursive, single_pass"),
        ({"min_points": 1}, "min_points must be at least 2"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"expected shape \(8,\)"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        persistent_entropy_loss(cloud(8, 2), **arguments)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(RULES_AND_ALL), st.integers(2, 8), st.integers(0, 60))
def test_labels_that_are_not_read_give_the_same(seed, rule, min_points, n):
    """As on an accelerator, and in a compiled graph: value, gradient and counts."""
    points = cloud(n, 4, seed).requires_grad_()
    labels = torch.randint(-1, 5, (n,), generator=torch.Generator().manual_seed(seed))
    settings = {"selection": rule, "min_points": min_points}
    expected = persistent_entropy_loss(points, labels, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        found = persistent_entropy_loss(points, labels, **settings)
    torch.testing.assert_close(tuple(found), tuple(expected))
    torch.testing.assert_close(*(torch.autograd.grad(each.loss, points)[0] for each in (found, expected)))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("label", [0, 1, -100])
def test_labels_that_are_not_read_hide_no_point_that_is_not_finite(monkeypatch, bad, label):
    points = cloud(12, 3)
    points[4, 1] = bad
    labels = torch.zeros(12, dtype=torch.int64)
    labels[4] = label
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    loss = persistent_entropy_loss(points.requires_grad_(), labels).loss
    assert loss.isnan()
    loss.backward()
    assert points.grad.isnan().any()


ONE_GRAPH = """
import torch
from conescope.losses import persistent_entropy_loss

points = torch.randn(24, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
labels = {labels}
value = lambda points: persistent_entropy_loss(points, labels).loss
found, expected = torch.compile(value, backend="aot_eager", fullgraph=True)(points), value(points)
torch.testing.assert_close(found, expected)
torch.testing.assert_close(*(torch.autograd.grad(each, points)[0] for each in (found, expected)))
assert found < 0
"""


@pytest.mark.parametrize("labels", ["None", "torch.arange(24) % 3"])
def test_it_compiles_as_one_graph(labels):
    """In a process of its own: the checks of shapes in tests are more than the compiler reads."""
    found = subprocess.run(
        [sys.executable, "-c", ONE_GRAPH.format(labels=labels)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu():
    points, labels = cloud(64, 32), torch.arange(64) % 3
    found = persistent_entropy_loss(points.cuda(), labels.cuda()).loss
    torch.testing.assert_close(found.cpu(), persistent_entropy_loss(points, labels).loss)
