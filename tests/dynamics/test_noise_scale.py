import math

import pytest
import torch

from conescope.dynamics import Recorder
from conescope.dynamics.noise_scale import NoiseScale, noise_scale
from conescope.results import Trajectory


def test_by_hand():
    # |G|^2 = 4 and tr Sigma = 6: batches of 2 have 4 + 3, of 3 have 4 + 2
    found = noise_scale([7.0], 6.0, small=2, big=3)
    assert found.square == pytest.approx(4)
    assert found.trace == pytest.approx(6)
    assert found.scale == pytest.approx(1.5)


@pytest.mark.parametrize(("small", "parts"), [(4, 2), (2, 4)])
def test_both_estimates_are_unbiased(small, parts):
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    deviations = torch.tensor([3.0, 1.0, 2.0, 0.5], dtype=torch.float64)
    runs = 20_000
    examples = torch.randn(runs, parts, small, 4, generator=generator, dtype=torch.float64)
    gradients = (examples * deviations + mean).mean(dim=2)
    smalls = gradients.square().sum(dim=2)
    bigs = gradients.mean(dim=1).square().sum(dim=1)
    found = [
        noise_scale(few, big, small=small, big=small * parts)
        for few, big in zip(smalls.tolist(), bigs.tolist(), strict=True)
    ]
    for name, truth in (("square", 5.25), ("trace", 9 + 1 + 4 + 0.25)):
        values = torch.tensor([getattr(one, name) for one in found], dtype=torch.float64)
        error = (values.std() / runs**0.5).item()
        assert error < 0.15
        assert abs(values.mean().item() - truth) < 4 * error
    whole = found[0]
    for one in found[1:]:
        whole = whole.smoothed(one, decay=1.0)
    assert whole.steps == runs
    assert whole.square == pytest.approx(math.fsum(one.square for one in found) / runs)
    assert whole.scale == pytest.approx(14.25 / 5.25, rel=0.05)


def test_smoothing_is_the_weighted_mean():
    one, two, three = NoiseScale(1.0, 2.0), NoiseScale(3.0, 10.0), NoiseScale(-1.0, 4.0)
    found = one.smoothed(two, decay=0.5).smoothed(three, decay=0.5)
    assert found.square == pytest.approx((0.25 * 1 + 0.5 * 3 + 1 * -1) / 1.75)
    assert found.trace == pytest.approx((0.25 * 2 + 0.5 * 10 + 1 * 4) / 1.75)
    assert one.smoothed(two, decay=0.0) == NoiseScale(3.0, 10.0, 2)
    assert math.isnan(three.scale)
    with pytest.raises(ValueError, match="from 0 to 1, got 2"):
        one.smoothed(two, decay=2.0)


@pytest.mark.parametrize(("squares", "small", "big"), [([], 1, 2), ([1.0], 2, 2), ([1.0], 0, 2)])
def test_sizes_that_tell_nothing_are_refused(squares, small, big):
    with pytest.raises(ValueError, match="0 < small < big"):
        noise_scale(squares, 1.0, small, big)


def test_a_recorder_keeps_scalars_beside_the_measures():
    recorder = Recorder(["mean_cosine"], every=2, decay=0.5)
    for step in range(4):
        recorder.see(step, {"one": torch.eye(5) + step})
        recorder.note(step, regularizer_share=0.1 * step, loss=math.inf)
        recorder.gradient(step, [7.0 + step], 6.0, small=2, big=3)
    recorder.note(6, loss=1.0)
    found = recorder.trajectory()
    assert found.steps == (0, 2)
    assert found.scalars["regularizer_share"] == pytest.approx({0: 0.0, 2: 0.2})
    assert found.scalars["loss"] == {0: None, 2: None, 6: 1.0}
    first, second = noise_scale([7.0], 6.0, 2, 3), noise_scale([9.0], 6.0, 2, 3)
    assert found.scalars["gradient_square"] == pytest.approx({0: first.square, 2: second.square})
    assert found.scalars["noise_trace"] == pytest.approx({0: first.trace, 2: second.trace})
    both = first.smoothed(second, 0.5)
    assert found.scalars["noise_scale"][0] == pytest.approx(1.5)
    assert found.scalars["noise_scale"][2] == (pytest.approx(both.scale) if both.square > 0 else None)
    assert Trajectory.model_validate_json(found.to_json()) == found
    assert Recorder().trajectory().scalars == {}


def test_a_step_without_a_finite_gradient_leaves_no_trace_in_later_ones():
    recorder, clean = Recorder(["mean_cosine"]), Recorder(["mean_cosine"])
    recorder.gradient(0, [math.inf], math.inf, small=2, big=3)
    recorder.gradient(1, [7.0], 6.0, small=2, big=3)
    recorder.gradient(2, [7.0], math.nan, small=2, big=3)
    recorder.gradient(3, [7.5], 6.0, small=2, big=3)
    clean.gradient(1, [7.0], 6.0, small=2, big=3)
    clean.gradient(3, [7.5], 6.0, small=2, big=3)
    found, expected = (one.trajectory().scalars for one in (recorder, clean))
    assert found["gradient_square"][0] is found["noise_scale"][0] is found["noise_trace"][2] is None
    assert expected["noise_scale"][1] == pytest.approx(1.5)
    assert [found["noise_scale"][at] for at in (1, 3)] == [expected["noise_scale"][at] for at in (1, 3)]
