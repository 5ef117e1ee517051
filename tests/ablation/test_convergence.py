"""Steps to a target, by hand."""

import pytest

from conescope.ablation.convergence import steps_to_reach

CURVE = [(10, 0.1), (20, 0.5), (30, 0.4), (40, 0.6)]


@pytest.mark.parametrize(
    ("target", "expected"),
    [(0.0, 10), (0.1, 10), (0.2, 12.5), (0.5, 20), (0.55, 37.5), (0.6, 40), (0.61, None)],
)
def test_steps(target, expected):
    found = steps_to_reach(CURVE, target)
    assert found == (None if expected is None else pytest.approx(expected))


def test_no_curve_reaches_nothing():
    assert steps_to_reach([], 0.0) is None
    assert steps_to_reach([(1, float("nan"))], 0.0) is None


def test_steps_must_increase():
    with pytest.raises(ValueError, match="must increase"):
        steps_to_reach([(2, 0.1), (2, 0.2)], 0.1)
