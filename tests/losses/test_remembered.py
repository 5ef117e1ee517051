import copy
import math

import pytest
import torch

from conescope.losses import PerClass, PersistentEntropyLoss, Remembered


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


class Seen:
    """A loss that keeps what it was called with."""

    def __call__(self, points, labels=None):
        self.points, self.labels = points, labels
        return (points - points.mean(0)).square().sum()


def test_the_cloud_is_the_newest_points_first_in_first_out():
    inner = Seen()
    module = Remembered(inner, size=10)
    batches = [cloud(4, 3, seed) for seed in range(5)]
    seen = []
    for batch in batches:
        module(batch)
        seen.append(int(module.observed["remembered"]))
    assert seen == [0, 4, 6, 6, 6]
    torch.testing.assert_close(inner.points, torch.cat(batches)[-10:], rtol=0, atol=0)
    assert len(module.memory) == 10


def test_value_is_that_of_one_batch_of_all_points():
    points, labels = cloud(40, 4), torch.arange(40) % 3
    module = Remembered(PersistentEntropyLoss(), size=40)
    for part, names in zip(points.split(8), labels.split(8), strict=True):
        found = module(part, names)
    torch.testing.assert_close(found, PersistentEntropyLoss()(points, labels))


def test_only_the_batch_gets_gradient():
    batches = [cloud(5, 3, seed).requires_grad_() for seed in range(2)]
    module = Remembered(Seen(), size=100)
    for batch in batches:
        loss = module(batch)
    loss.backward()
    assert batches[0].grad is None
    whole = torch.cat([batch.detach() for batch in batches]).requires_grad_()
    Seen()(whole).backward()
    torch.testing.assert_close(batches[1].grad, whole.grad[5:])
    assert not module.memory.requires_grad


def test_gradient():
    module = Remembered(Seen(), size=20)
    module(cloud(6, 3))
    assert torch.autograd.gradcheck(lambda p: copy.deepcopy(module)(p), cloud(4, 3, 1).requires_grad_())


def test_a_batch_larger_than_the_memory_sees_itself_only():
    inner = Seen()
    module = Remembered(inner, size=4)
    module(cloud(3, 2))
    module(cloud(7, 2, 1))
    torch.testing.assert_close(inner.points, cloud(7, 2, 1))
    torch.testing.assert_close(module.memory, cloud(7, 2, 1)[-4:])


def test_later_changes_of_a_batch_do_not_reach_the_memory():
    module, batch = Remembered(Seen(), size=4), cloud(4, 2)
    module(batch)
    batch.zero_()
    torch.testing.assert_close(module.memory, cloud(4, 2))


def test_in_eval_mode_the_memory_is_neither_used_nor_changed():
    module = Remembered(Seen(), size=20)
    module(cloud(6, 3))
    before = module.memory.clone()
    torch.testing.assert_close(module.eval()(cloud(5, 3, 1)), Seen()(cloud(5, 3, 1)))
    torch.testing.assert_close(module.memory, before)
    assert module.observed["remembered"] == 0


def test_labels_are_remembered_and_unlabelled_points_are_left_out_later():
    inner = Seen()
    module = Remembered(inner, size=20)
    module(cloud(2, 3), torch.tensor([4, 5]))
    module(cloud(2, 3, 1))
    assert inner.labels is None
    module(cloud(1, 3, 2), torch.tensor([6]))
    assert inner.labels.tolist() == [4, 5, -1, -1, 6]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_point_that_is_not_finite_is_not_remembered(bad):
    module = Remembered(Seen(), size=6)
    spoiled = cloud(3, 2, 1)
    spoiled[[0, 2], 1] = bad
    module(cloud(2, 2), torch.tensor([7, 8]))
    assert not module(spoiled, torch.tensor([1, 2, 3])).isfinite()
    expected = torch.stack([*cloud(2, 2), cloud(2, 2)[1], spoiled[1], spoiled[1]])
    torch.testing.assert_close(module.memory, expected)
    assert module.memory_labels.tolist() == [7, 8, 8, 2, 2]
    assert module(cloud(2, 2, 3), torch.tensor([0, 0])).isfinite()


@pytest.mark.parametrize("finite", [0, 1])
def test_a_spoiled_first_batch(finite):
    module, spoiled = Remembered(Seen(), size=6), torch.full((3, 2), math.nan)
    spoiled[3 - finite :] = 5
    module(spoiled)
    torch.testing.assert_close(module.memory, torch.full((3, 2), 5.0 * finite))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_batches(count):
    module = Remembered(PersistentEntropyLoss(min_points=2), size=6)
    for seed in range(2):
        points = cloud(count, 3, seed).requires_grad_()
        module(points).backward()
        assert points.grad.isfinite().all()
    assert len(module.memory) == 2 * count


def test_state_survives_a_round_trip(tmp_path):
    module, fresh = Remembered(PersistentEntropyLoss(), 12), Remembered(PersistentEntropyLoss(), 12)
    for seed in range(3):
        module(cloud(5, 3, seed), torch.arange(5) % 2)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    batch, labels = cloud(5, 3, 9), torch.arange(5) % 2
    assert fresh(batch, labels) == module(batch, labels) != 0


def test_reset_forgets_and_takes_another_dimension():
    module = Remembered(Seen())
    module(cloud(4, 3))
    with pytest.raises(ValueError, match=r"dimension 3, got points of dimension 2; call reset\(\)"):
        module(cloud(4, 2))
    module.reset()
    torch.testing.assert_close(module(cloud(4, 2)), Seen()(cloud(4, 2)))


def test_half_precision_is_remembered_in_float32():
    module = Remembered(Seen(), size=9)
    assert module(cloud(4, 3).half()).dtype == torch.float32
    assert module.memory.dtype == torch.float32
    torch.testing.assert_close(module.memory, cloud(4, 3).half().float())


def test_around_per_class():
    points, labels = cloud(12, 3), torch.arange(12) % 2
    module = Remembered(PerClass(PersistentEntropyLoss()), size=12)
    assert module(points[:6], labels[:6]) == 0  # three points a class
    found = module(points[6:], labels[6:])
    torch.testing.assert_close(found, PerClass(PersistentEntropyLoss())(points, labels))
    assert module.observed["classes"] == 2


def test_bad_size_is_named():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Remembered(Seen(), size=0)
