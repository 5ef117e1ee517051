import pytest
import torch

from conescope.dynamics import Recorder, collapses
from conescope.measures import effective_rank
from conescope.results import Event, Trajectory


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_collapse_and_recovery_by_hand():
    assert collapses([]) == ()
    assert collapses([1.0, 1.0]) == ()
    assert collapses([8.0, 4.0, 3.9, 5.9, 6.0, 12.0, 5.0]) == (
        (2, "collapse"),  # 3.9 < 8 / 2
        (4, "recovery"),  # 6 = 3/4 of 8
        (6, "collapse"),  # 5 < 12 / 2
    )
    assert collapses([4.0, None]) == ((1, "collapse"),)  # coincident points


def shown(flat):
    points = normal(60, 10)
    return points * torch.cat([torch.ones(2), torch.full((8,), 0.01 if flat else 1.0)])


def test_values_are_those_of_the_measures_and_events_are_marked():
    recorder = Recorder(measures=["mean_cosine"], every=10)
    clouds = {0: shown(False), 10: shown(True), 20: shown(False)}
    for step in range(0, 21, 5):  # 5 and 15 are passed over
        recorder.see(step, {"one": clouds.get(step, shown(True)), "two": normal(60, 10)})
    found = recorder.trajectory()
    assert (found.steps, found.layers) == ((0, 10, 20), ("one", "two"))
    assert list(found.tables) == ["mean_cosine", "effective_rank"]
    for step, cloud in clouds.items():
        expected = effective_rank(cloud).item()
        assert found.value("effective_rank", "one", step) == pytest.approx(expected, rel=1e-5)
    assert found.events == (
        Event(layer="one", step=10, kind="collapse"),
        Event(layer="one", step=20, kind="recovery"),
    )
    assert Trajectory.model_validate_json(found.to_json()) == found
    frame = found.to_frame("effective_rank")
    assert frame.loc["one", 10] == found.value("effective_rank", "one", 10)


def test_own_functions_chosen_layers_and_constant_points():
    recorder = Recorder(measures={"first": lambda points: points[0, 0]}, layers=["b"])
    recorder.see(0, {"a": torch.ones(4, 3), "b": normal(20, 3)})
    recorder.see(3, {"b": torch.full((20, 3), 2.0)})
    found = recorder.trajectory()
    assert found.layers == ("b",)
    assert found.tables["first"][0] == pytest.approx((normal(20, 3)[0, 0].item(), 2.0))
    assert found.value("effective_rank", "b", 3) is None
    assert found.events == (Event(layer="b", step=3, kind="collapse"),)
    with pytest.raises(ValueError, match="no points of layer 'b'; it has a"):
        recorder.see(4, {"a": torch.ones(4, 3)})
    with pytest.raises(ValueError, match="1 or more, got 0"):
        Recorder(every=0)
