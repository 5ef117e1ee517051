"""The alarm, on the clouds that single measures get wrong."""

import pytest
import torch

from conescope.training.collapse import Alarm, check_measures, geometry
from tests.survey.clouds import cloud, collapsed


def test_a_constant_with_noise_is_collapsed_though_isoscore_calls_it_isotropic():
    found = geometry(collapsed())
    assert found.values["isoscore"] > 0.9  # the bug: the noise is isotropic
    assert found.values["mean_cosine"] == pytest.approx(1, abs=1e-6)
    assert found.values["collapsed"] == 1
    assert found.alarm is not None
    assert "mean cosine is 1.0" in found.alarm.evidence


def test_a_constant_is_collapsed_and_undefined_measures_are_left_out():
    found = geometry(torch.ones(20, 8))
    assert found.values["collapsed"] == 1
    assert "isoscore" not in found.values
    assert found.alarm is not None
    assert found.alarm.evidence == "all points coincide"


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_raises_the_alarm(bad):
    points = cloud(20, 8)
    points[3, 1] = points[3, 2] = points[7, 0] = bad
    found = geometry(points)
    assert found.values == {"collapsed": 1}
    assert found.alarm is not None
    assert found.alarm.evidence == "of 20 embeddings, 2 are NaN or infinite"


@pytest.mark.parametrize(("n", "d"), [(20, 128), (2000, 128), (0, 8), (1, 8), (2, 8)])
def test_a_gaussian_is_not_collapsed_however_few_points(n, d):
    found = geometry(cloud(n, d))
    assert found.alarm is None
    assert found.values["collapsed"] == 0


def test_a_collapse_of_few_points_is_one():
    assert geometry(collapsed(n=20)).alarm is not None


def test_a_cone_is_no_collapse():
    # rows m + x with |m| = |x|: the cosine of two is |m|^2 / (|m|^2 + |x|^2) = 1/2 on average
    found = geometry(cloud(500, 64) + 1)
    assert found.values["mean_cosine"] == pytest.approx(0.5, abs=0.02)
    assert found.alarm is None


def test_the_alarm_warns_once_until_the_cloud_recovers():
    alarm = Alarm("warn")
    wrong, right = geometry(torch.ones(20, 8)).alarm, geometry(cloud(20, 8)).alarm
    with pytest.warns(RuntimeWarning, match="step 5: collapsed: all points coincide"):
        assert alarm.hear(wrong, 5)
    assert not alarm.hear(wrong, 10)
    assert not alarm.hear(right, 15)
    with pytest.warns(RuntimeWarning, match="step 20"):
        assert alarm.hear(wrong, 20)


def test_settings_are_checked(without_shape_checks):
    with pytest.raises(ValueError, match="on_collapse must be one of warn, stop, checkpoint, got 'exit'"):
        Alarm("exit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no measure 'isotropy'"):
        check_measures(("isotropy",))
    with pytest.raises(ValueError, match="needs labels"):
        check_measures(("anisotropy_1_within_class",))
