import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import IsoScoreLoss, iso_score_loss
from conescope.measures import isoscore, isoscore_star
from tests.reference.isoscore_star import isoscore_star as reference


def cloud(count, dim=4, seed=0):
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def of_covariance(*variances):
    """Points whose covariance, divided by n - 1, is this diagonal."""
    axes = torch.diag((torch.tensor(variances, dtype=torch.float64) * (2 * len(variances) - 1) / 2).sqrt())
    return torch.cat([axes, -axes])


def test_values_by_hand():
    points = of_covariance(4, 3, 2, 1)  # shrunk to diag(3.4, 2.6, 1.8, 1): PR = 77.44 / 22.56
    identity = torch.eye(4, dtype=torch.float64)
    assert iso_score_loss(points, reference=identity).item() == pytest.approx(1 - 0.810875, abs=1e-6)
    assert iso_score_loss(points, zeta=0.0).item() == pytest.approx(1 - 7 / 9)
    assert iso_score_loss(points, reference=identity, zeta=1.0).item() == pytest.approx(0, abs=1e-12)
    found = iso_score_loss(points, reference=identity, sign="anisotropic").item()
    assert found == pytest.approx(0.810875 - 1, abs=1e-6)
    assert iso_score_loss(of_covariance(10, 1, 1), zeta=0.0).item() == pytest.approx(1 - 0.205882, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.floats(0.01, 1))
def test_matches_the_steps_of_the_paper_and_the_measure(seed, count, zeta):
    rng = np.random.default_rng(seed)
    points, many = rng.normal(size=(count, 5)) * rng.uniform(0.1, 3, 5), rng.normal(size=(50, 5))
    c0 = np.cov(many.T)
    found = iso_score_loss(torch.from_numpy(points), reference=torch.from_numpy(c0), zeta=zeta)
    assert found.item() == pytest.approx(1 - reference(points, c0, zeta), abs=1e-10)
    measured = isoscore_star(torch.from_numpy(points), zeta=zeta, reference=torch.from_numpy(c0))
    torch.testing.assert_close(found, 1 - measured)
    assert -1e-12 <= found <= 1 + 1e-12


def test_matches_the_package_of_the_authors():
    module = pytest.importorskip("IsoScore.IsoScore")
    points, c0 = cloud(20).float(), torch.cov(cloud(500, seed=1).float().T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = module.istar().IsoScore_star(points, c0, 0.2)
    torch.testing.assert_close(iso_score_loss(points, reference=c0), 1 - oracle)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1e-12, 3.0, 1e15]))
def test_one_unit_one_rotation_and_any_shift_change_nothing(seed, size):
    points, c0 = cloud(6, seed=seed), torch.cov(cloud(40, seed=seed + 1).T)
    expected = iso_score_loss(points, reference=c0)
    torch.testing.assert_close(iso_score_loss(points * size, reference=c0 * size**2), expected)
    torch.testing.assert_close(iso_score_loss(points + 9, reference=c0), expected)
    turn = torch.linalg.qr(cloud(4, seed=seed + 2))[0]
    torch.testing.assert_close(iso_score_loss(points @ turn, reference=turn.T @ c0 @ turn), expected)


@pytest.mark.parametrize("sign", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("count", [3, 9])
def test_gradient(sign, count):
    c0 = torch.cov(cloud(40, seed=1).T)
    points = cloud(count).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: iso_score_loss(p, reference=c0, sign=sign), points)
    assert torch.autograd.gradcheck(lambda p: iso_score_loss(p, zeta=0.0, sign=sign), points)


@pytest.mark.parametrize(("sign", "direction"), [("isotropic", 1), ("anisotropic", -1)])
def test_descent_moves_isotropy_the_way_that_was_asked_for(sign, direction):
    points = cloud(12).requires_grad_()
    loss = IsoScoreLoss(sign=sign)
    loss.update(of_covariance(4, 2, 1, 0.5))
    loss(points).backward()
    change = isoscore(points.detach() - 0.1 * points.grad) - isoscore(points.detach())
    assert direction * change > 1e-4


def test_coincident_points_leave_the_reference_alone():
    c0 = torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0]))
    assert iso_score_loss(torch.full((5, 4), 0.1), reference=c0).item() == pytest.approx(1 - 7 / 9, abs=1e-6)
    for nothing in ({"zeta": 0.0}, {"reference": torch.zeros(4, 4)}):
        points = torch.full((5, 4), 0.1).requires_grad_()
        found = iso_score_loss(points, **nothing)
        found.backward()
        assert found == 1  # as a line
        assert points.grad.eq(0).all()


def test_update_makes_the_covariance_the_reference_and_momentum_moves_it():
    many, more = cloud(100, seed=1) + 50, cloud(100, seed=2) * 3
    anew, moving = IsoScoreLoss(), IsoScoreLoss(momentum=0.25)
    for loss in (anew, moving):
        loss.update(many)
        torch.testing.assert_close(loss.reference, torch.cov(many.T).float())
        loss.update(more)
    torch.testing.assert_close(anew.reference, torch.cov(more.T).float())
    expected = 0.75 * torch.cov(many.T) + 0.25 * torch.cov(more.T)
    torch.testing.assert_close(moving.reference, expected.float())
    assert not moving.reference.requires_grad


def test_forward_does_not_change_the_reference_and_gives_it_no_gradient():
    loss = IsoScoreLoss(reference=torch.eye(4))
    points = cloud(6).requires_grad_()
    loss(points).backward()
    torch.testing.assert_close(loss.reference, torch.eye(4), rtol=0, atol=0)
    c0 = torch.eye(4, dtype=torch.float64, requires_grad=True)
    iso_score_loss(points, reference=c0).backward()
    assert c0.grad is None


def test_the_state_carries_the_reference_also_into_a_module_without_one():
    full, empty = IsoScoreLoss(), IsoScoreLoss()
    full.update(cloud(50))
    kept = torch.nn.ModuleDict({"inside": empty})
    kept.load_state_dict({"inside.reference": full.state_dict()["reference"]})
    torch.testing.assert_close(kept["inside"].reference, full.reference, rtol=0, atol=0)
    torch.testing.assert_close(kept["inside"](cloud(6)), full(cloud(6)))
    full.load_state_dict(IsoScoreLoss().state_dict())
    assert full.reference.shape == (0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: iso_score_loss(cloud(5)), r"there is none: pass reference=, or call update\(points\)"),
        (lambda: IsoScoreLoss()(cloud(5)), r"there is none: pass reference=, or call update\(points\)"),
        (lambda: iso_score_loss(cloud(5), reference=torch.eye(3)), r"shape \(4, 4\).* got shape \(3, 3\)"),
        (lambda: IsoScoreLoss(reference=torch.zeros(3, 4)), r"got shape \(3, 4\)"),
        (lambda: iso_score_loss(cloud(5), zeta=1.5), "zeta is the weight of the reference"),
        (lambda: IsoScoreLoss(zeta=math.nan), "zeta is the weight of the reference"),
        (lambda: IsoScoreLoss(sign="both"), "sign must be one of isotropic, anisotropic"),
        (lambda: IsoScoreLoss(momentum=0.0), "momentum is the share of the new points"),
        (lambda: iso_score_loss(cloud(5, 1), zeta=0.0), "needs d >= 2 dimensions, got d = 1"),
        (lambda: IsoScoreLoss().update(cloud(1)), "needs two points or more, got 1"),
        (lambda: IsoScoreLoss().update(cloud(3) * math.nan), "points must be finite"),
        (
            lambda: IsoScoreLoss(reference=torch.eye(3)).update(cloud(3)),
            "has d = 3, but the points have d = 4",
        ),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_what_is_missing_or_wrong_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
