import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import OrthogonalLoss, cosine_loss, orthogonal_loss
from tests.reference.losses_orthogonal import orthogonal_loss as reference

THREE = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)  # squared cosines 1/2, 1/2, 0


def test_values_by_hand():
    assert orthogonal_loss(THREE).item() == pytest.approx(1 / 3)
    assert orthogonal_loss(THREE, hinge=True) == 0  # 1/3 is below 1/d = 1/2
    assert orthogonal_loss(THREE, mean_weight=3.0).item() == pytest.approx(1 / 3 + 3 * 2 / 9)
    assert orthogonal_loss(torch.eye(5)) == 0
    opposite = torch.tensor([[1.0, 0.0, 0.0], [-4.0, 0.0, 0.0]])
    assert orthogonal_loss(opposite, hinge=True).item() == pytest.approx(2 / 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))
def test_matches_the_pairs(seed, count, hinge, mean_weight):
    points = np.random.default_rng(seed).normal(0.3, size=(count, 5))  # fewer and more points than dimensions
    found = orthogonal_loss(torch.from_numpy(points), hinge=hinge, mean_weight=mean_weight)
    assert found.item() == pytest.approx(reference(points, hinge, mean_weight), abs=1e-12)
    if not hinge and not mean_weight:
        assert max(0, (count - 5) / (5 * (count - 1))) - 1e-12 <= found <= 1 + 1e-12


@pytest.mark.parametrize("count", [1, 4, 30])
def test_matches_sentence_transformers(count):
    module = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    points = torch.randn(count, 6, generator=torch.Generator().manual_seed(count)) + 0.4
    oracle = module.GlobalOrthogonalRegularizationLoss(torch.nn.Identity())
    mean_term, second_term = oracle.compute_gor(points)
    torch.testing.assert_close(orthogonal_loss(points, hinge=True), second_term)
    torch.testing.assert_close(
        OrthogonalLoss(hinge=True, mean_weight=1.0)(points), mean_term + second_term, rtol=1e-5, atol=1e-7
    )
    assert count == 1 or second_term > 0


def test_the_frame_bound_is_reached_by_an_even_frame():
    cross = torch.cat([torch.eye(3), -torch.eye(3)]).double()  # n = 6, d = 3: (6 - 3) / (3 * 5)
    assert orthogonal_loss(cross).item() == pytest.approx(0.2)


def test_two_opposite_cones_are_seen_unlike_by_the_mean_cosine():
    cone = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0], [1.0, 0.0, 0.1]], dtype=torch.float64)
    both = torch.cat([cone, -cone])
    assert cosine_loss(both).item() == pytest.approx(-1 / 5)
    assert orthogonal_loss(both) > 0.97


def test_lengths_do_not_matter_and_zero_vectors_are_left_out():
    stretched = THREE * torch.tensor([[1e-9], [1.0], [1e9]])
    torch.testing.assert_close(orthogonal_loss(stretched), orthogonal_loss(THREE))
    for dim in (2, 9):  # by either product
        few = torch.nn.functional.pad(THREE, (0, dim - 2))
        with_zeros = torch.cat([few, torch.zeros(4, dim)])
        expected = orthogonal_loss(few, mean_weight=1.0)
        torch.testing.assert_close(orthogonal_loss(with_zeros, mean_weight=1.0), expected)
    assert orthogonal_loss(with_zeros[2:], mean_weight=1.0) == 0


def test_a_narrow_cone_is_opened_also_in_float32():
    noise = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    points = (torch.ones(8) + 1e-3 * noise).requires_grad_()
    loss = OrthogonalLoss()
    start = loss(points).item()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(loss(points), points)
        points = (points - 6 * gradient).detach().requires_grad_()
    assert start > 0.99999
    assert loss(points) < 1e-3


@pytest.mark.parametrize("mean_weight", [-0.1, math.nan, math.inf])
def test_a_bad_weight_of_the_mean_is_refused(mean_weight):
    with pytest.raises(ValueError, match="mean_weight must be finite and not negative"):
        orthogonal_loss(THREE, mean_weight=mean_weight)
    with pytest.raises(ValueError, match="mean_weight must be finite and not negative"):
        OrthogonalLoss(mean_weight=mean_weight)
