"""What the verdict says of gradients whose law is known."""

import pytest
import torch
from torch import nn

from conescope._intervals import student_interval
from conescope.dynamics import TangentEnergy
from conescope.dynamics.verdict import judged, mean, over, phases
from conescope.results.dynamics import Mean, TangentStep


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def run(gradients_of, seed=0, *, steps=20, d=64, positions=512, late=None):
    """Train on inputs of sd 3 on 8 axes and 0.3 on the others, with the given gradients by outputs.

    `late` changes the inputs of the steps after the fit.
    """
    generator = seeded(seed)
    deviations = torch.cat([torch.full((8,), 3.0), torch.full((d - 8,), 0.3)])
    model = nn.Sequential(nn.Linear(d, 16, bias=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    options = {"total_steps": steps, "fit_fraction": 0.2, "every": 1, "draws": 20, "seed": seed}
    with TangentEnergy(model, ["0"], rank=8, **options) as te:
        for step in range(steps):
            inputs = torch.randn(positions, d, generator=generator) * deviations
            if late is not None and step >= steps // 5:
                inputs = late(inputs)
            noise = torch.randn(positions, 16, generator=generator)
            (model(inputs) * gradients_of(inputs, noise)).sum().backward()
            optimizer.step()
    return te.result().site("0")


def test_pure_noise_is_mechanical_however_large_its_ratio():
    found = run(lambda inputs, noise: noise)
    everything = found.phase()
    assert everything.energy.value == pytest.approx(0.9346, abs=0.006)
    assert 90 < everything.ratio.value < 115
    assert all(step.p == pytest.approx(1 / 21) for step in found.steps)
    assert everything.over_variance.value == pytest.approx(1, abs=0.005)
    assert everything.over_shuffled.value == pytest.approx(1, abs=0.005)
    assert {phase.verdict for phase in found.phases} <= {"mechanical", "not known"}
    assert everything.verdict == "mechanical"


def test_noise_is_called_more_than_mechanical_no_oftener_than_stated():
    # each interval misses above in 2.5 % of runs: 40 runs give at most 5 with probability 0.9993
    verdicts = [
        run(lambda inputs, noise: noise, seed=seed, steps=8, positions=128).phase().verdict
        for seed in range(40)
    ]
    assert verdicts.count("beyond mechanical") <= 5
    assert verdicts.count("mechanical") >= 30


def huge_outside(inputs):
    """Let four positions be huge outside the proxy, as activations become in training."""
    inputs = inputs.clone()
    inputs[:4, 40:] *= 300
    return inputs


def test_noise_that_few_positions_carry_is_not_called_more_than_mechanical():
    # an expected null, a quotient of expectations, lies below the mean energy here, and called all 12 wrongly
    found = [
        run(lambda inputs, noise: noise * noise.abs() ** 3, seed=seed, late=huge_outside)
        for seed in range(12)
    ]
    assert sum(site.phase().verdict == "beyond mechanical" for site in found) <= 2
    ratios = torch.tensor([site.phase().over_shuffled.value for site in found])
    error = ratios.std() / len(ratios) ** 0.5
    assert abs(ratios.mean() - 1) < 4 * error
    share = torch.tensor([site.phase().over_variance.value for site in found])
    assert share.min() > 1.2  # the variance share alone would not do


def test_gradients_that_follow_the_tangent_inputs_are_found():
    # with equal variances no energy is mechanical: gradients built from the first inputs put theirs there
    found = run(lambda inputs, noise: 0.3 * noise + inputs[:, :8].repeat(1, 2))
    assert {phase.verdict for phase in found.phases} == {"beyond mechanical"}
    assert found.phase().over_variance.low > 1.03
    assert found.phase().over_shuffled.low > 1.03
    assert found.phase().energy.value > 0.99


def test_gradients_that_follow_the_other_inputs_are_not_called_tangent():
    found = run(lambda inputs, noise: 0.01 * noise + inputs[:, 40:56])
    assert found.phase().over_variance.high < 1
    assert found.phase().verdict == "mechanical"


def step(number, energy, shuffled=0.5, share=0.5):
    blank = dict.fromkeys(
        ("isoscore_star", "isoscore_star_without", "isoscore_star_without_normal", "delta"), None
    )
    return TangentStep(
        step=number,
        energy=energy,
        normal=0.1,
        ratio=energy / 0.1,
        p=0.05,
        random=0.2,
        following=0.2,
        uncentered=0.5,
        shuffled=shuffled,
        variance_share=share,
        excess=energy / share,
        **blank,
    )


def test_both_nulls_must_be_beaten():
    high = [step(number, 0.8 + 0.01 * (number % 3)) for number in range(9)]
    assert phases(high)[0].verdict == "beyond mechanical"
    same = [step(number, 0.8 + 0.01 * (number % 3), shuffled=0.81) for number in range(9)]
    assert phases(same)[0].verdict == "mechanical"
    assert "shuffled gradients" in phases(same)[0].why
    wide = [step(number, 0.2 + 0.6 * (number % 2)) for number in range(9)]
    assert phases(wide)[0].verdict == "not known"


def test_early_and_late_are_ends_of_the_span_and_are_judged_apart():
    steps = [step(number, 0.9 if number < 50 else 0.5) for number in range(0, 101, 5)]
    everything, early, late = phases(steps)
    assert (early.first, early.last, early.steps) == (0, 30, 7)
    assert (late.first, late.last, late.steps) == (70, 100, 7)
    assert (early.verdict, late.verdict) == ("beyond mechanical", "mechanical")
    assert everything.steps == 21


def test_few_steps_are_not_known():
    assert phases([])[0].verdict == "not known"
    assert phases([step(0, 0.9), step(1, 0.91)])[0].verdict == "not known"
    assert judged(Mean(value=None), Mean(value=2, low=1.9, high=2.1), 5)[0] == "not known"


def test_energy_over_shuffled_is_a_paired_difference_in_units_of_the_null():
    energies, nulls = [0.8, 0.7, 0.9, 0.5], [0.4, 0.5, 0.3, 0.4]
    found = over(list(zip(energies, nulls, strict=True)))
    unit = sum(nulls) / 4
    low, high = student_interval([e - n for e, n in zip(energies, nulls, strict=True)])
    assert found.value == pytest.approx(sum(energies) / sum(nulls))
    assert (found.low, found.high) == pytest.approx((1 + low / unit, 1 + high / unit))
    assert over([(0.5, None), (0.5, 0.0)]).value is None


def test_means_leave_out_what_is_missing():
    found = mean([1.0, None, 2.0, 4.0])
    assert found.value == pytest.approx(7 / 3)
    assert (found.low, found.high) == pytest.approx(student_interval([1.0, 2.0, 4.0]))
    assert mean([None]).value is None


def test_steps_without_a_null_do_not_count_towards_a_verdict():
    high = [step(number, 0.8 + 0.01 * (number % 3)) for number in range(3)]
    assert phases(high)[0].verdict == "beyond mechanical"
    lacking = [*high[:2], high[2].model_copy(update={"shuffled": None})]
    found = phases(lacking)[0]
    assert found.over_shuffled.low is not None
    assert found.verdict == "not known"
    assert found.why.endswith("there are 2")
