import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses.topological import TopologicalLoss, topological_loss
from tests.reference import losses_topological as reference


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def line(*coordinates):
    return torch.tensor(coordinates, dtype=torch.float64)[:, None]


def test_value_by_hand():
    # the same edges in both trees, of lengths 1, 2 and 2, 1: (1 + 1) / 2 for each tree
    assert topological_loss(line(0, 2, 3), reference=line(0, 1, 3)).item() == pytest.approx(2)
    # X has the edges 01, 12 (1, 2 there; 3, 2 in Z), Z the edges 02, 12 (3, 2 in X; 1, 2): (4 + 4) / 2
    points, kept = line(0, 3, 1), line(0, 1, 3)
    assert topological_loss(points, reference=kept).item() == pytest.approx(4)
    # twice the points: 6, 4 in place of 3, 2 and 2, 4 in place of 1, 2: (25 + 4 + 1 + 4) / 2
    assert topological_loss(points, reference=kept, scale=2.0).item() == pytest.approx(17)
    # both means are over 1, 2, 3, 2, so the ratio is 1
    assert topological_loss(7 * points, reference=kept, scale="means").item() == pytest.approx(4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 25), st.integers(1, 6), st.integers(1, 6))
def test_matches_the_paper_edge_by_edge(seed, n, d, other):
    rng = np.random.default_rng(seed)
    points, kept = rng.normal(size=(n, d)), 3 * rng.normal(size=(n, other))
    one, two = torch.from_numpy(points), torch.from_numpy(kept)
    found = topological_loss(one, reference=two, scale=1.7).item()
    assert found == pytest.approx(reference.topological(points, kept, 1.7))
    ratio = reference.ratio_of_means(points, kept)
    found = topological_loss(one, reference=two, scale="means").item()
    assert found == pytest.approx(reference.topological(points, kept, ratio))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(1, 6))
def test_isometric_spaces_have_loss_zero(seed, n, d):
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.normal(size=(n, d)))
    assert topological_loss(points, reference=points) == 0
    moved = points @ torch.from_numpy(np.linalg.qr(rng.normal(size=(d, d)))[0]) + torch.from_numpy(
        rng.normal(size=d)
    )
    assert topological_loss(moved, reference=points).item() == pytest.approx(0, abs=1e-20)
    larger = topological_loss(5 * moved, reference=points, scale="means").item()
    assert larger == pytest.approx(0, abs=1e-20)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_the_loss_is_symmetric_and_with_the_ratio_blind_to_scale(seed, factor):
    rng = np.random.default_rng(seed)
    points, kept = (torch.from_numpy(rng.normal(size=(12, 3))) for _ in range(2))
    torch.testing.assert_close(
        topological_loss(points, reference=kept), topological_loss(kept, reference=points)
    )
    torch.testing.assert_close(
        topological_loss(factor * points, reference=kept, scale="means"),
        topological_loss(points, reference=kept, scale="means"),
    )


@pytest.mark.parametrize("scale", [0.8, "means"])
def test_gradient(scale):
    points, kept = cloud(9, 3).requires_grad_(), cloud(9, 5, seed=1)
    assert torch.autograd.gradcheck(lambda p: topological_loss(p, reference=kept, scale=scale), points)


def test_gradient_of_the_scale():
    points, kept = cloud(9, 3), cloud(9, 5, seed=1)
    scale = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: topological_loss(points, reference=kept, scale=s), scale)


def test_the_reference_gets_no_gradient():
    points, kept = cloud(6, 3).requires_grad_(), cloud(6, 3, seed=1).requires_grad_()
    topological_loss(points, reference=kept).backward()
    assert kept.grad is None
    assert points.grad.abs().sum() > 0


@pytest.mark.parametrize("scale", [1.0, "means"])
def test_a_collapse_is_finite_and_has_gradient_zero(scale):
    points, kept = torch.ones(3, 4, requires_grad=True), line(0, 1, 3).float()
    loss = topological_loss(points, reference=kept, scale=scale)
    loss.backward()
    # (1 + 4) / 2 for the edges of X's tree; at ties the first edges are taken: 01 and 02 of lengths 1 and 3
    assert loss.item() == pytest.approx(2.5 + 5)
    assert points.grad.eq(0).all()


def test_the_least_difference_opens_a_collapse():
    points = (1e-4 * cloud(8, 3)).requires_grad_()
    kept = cloud(8, 3, seed=1)
    before = topological_loss(points, reference=kept)
    before.backward()
    little = topological_loss(points.detach() - 1e-8 * points.grad, reference=kept) - before.detach()
    torch.testing.assert_close(little, -1e-8 * points.grad.square().sum(), rtol=1e-3, atol=0)
    moved = points.detach() - 1e-2 * points.grad
    assert torch.pdist(moved).mean() > 10 * torch.pdist(points.detach()).mean()


def test_copies_do_not_spoil_it():
    points = torch.cat([cloud(5, 3), cloud(2, 3)]).requires_grad_()
    loss = topological_loss(points, reference=cloud(7, 3, seed=1))
    loss.backward()
    assert loss.isfinite()
    assert points.grad.isfinite().all()
    assert points.grad[2:5].abs().amax(dim=1).gt(0).all()


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("scale", [1.0, "means"])
def test_fewer_than_two_points_give_zero_and_no_gradient(count, scale):
    points = torch.ones(count, 3, requires_grad=True)
    loss = topological_loss(points, reference=torch.ones(count, 2), scale=scale)
    loss.backward()
    assert loss == 0
    assert points.grad.eq(0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_a_value_that_is_not_finite_makes_the_loss_nan(bad, which):
    clouds = [cloud(6, 3), cloud(6, 3, seed=1)]
    clouds[which][4, 1] = bad
    assert topological_loss(clouds[0], reference=clouds[1]).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_is_computed_in_float32_under_autocast(dtype):
    points, kept = cloud(24, 8).to(dtype), cloud(24, 5, seed=1).to(dtype)
    expected = topological_loss(points.double(), reference=kept.double()).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = topological_loss(points, reference=kept)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_module_equals_function_for_points_given_with_the_call_or_by_a_function():
    points, kept, labels = cloud(12, 4), cloud(12, 2, seed=1), torch.arange(12) % 3
    expected = 0.3 * topological_loss(points, reference=kept, scale=0.7)
    module = TopologicalLoss(weight=0.3, scale=0.7)
    torch.testing.assert_close(module(points, labels, kept), expected)
    assert repr(module) == "TopologicalLoss(weight=0.3, scale=0.7)"
    module = TopologicalLoss(
        weight=0.3, reference=lambda same: same @ torch.ones(4, 1).double(), scale="means"
    )
    expected = 0.3 * topological_loss(points, reference=points.sum(dim=1, keepdim=True), scale="means")
    torch.testing.assert_close(module(points, labels), expected)


def test_a_learned_scale_finds_the_ratio_of_two_similar_spaces():
    kept = cloud(10, 3)
    module = TopologicalLoss(scale="learned")
    assert module(kept, None, kept) == 0  # it begins at 1
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        module(kept / 2, None, kept).backward()
        optimizer.step()
    assert module.log_scale.exp().item() == pytest.approx(2, rel=1e-3)


@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named():
    points = cloud(4, 2)
    with pytest.raises(ValueError, match="expected 4 rows, got 3"):
        topological_loss(points, reference=points[:3])
    with pytest.raises(ValueError, match="give reference points with the call"):
        TopologicalLoss()(points)
    for scale in (0.0, math.inf, "mean"):
        with pytest.raises(ValueError, match='scale must be positive, "means"'):
            topological_loss(points, reference=points, scale=scale)
        with pytest.raises(ValueError, match='scale must be positive, "means"'):
            TopologicalLoss(scale=scale)


@pytest.mark.parametrize("size", [1.0, 1e-18, 1e-25, 1e-30, 1e-42])
def test_gradients_are_finite_for_the_smallest_clouds(size):
    points = (size * cloud(10, 3).float()).requires_grad_()
    loss = topological_loss(points, reference=cloud(10, 4).float(), scale="means")
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(points.grad).all()
