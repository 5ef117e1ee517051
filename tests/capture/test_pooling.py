import pytest
import torch

from conescope.capture import layers_needed, pool

HIDDEN = torch.arange(2 * 4 * 2, dtype=torch.float64).reshape(2, 4, 2)  # rows 0..7 and 8..15, two a token


@pytest.mark.parametrize(
    ("mask", "cls", "last", "mean"),
    [
        (
            [[1, 1, 1, 0], [1, 1, 1, 1]],
            [[0, 1], [8, 9]],
            [[4, 5], [14, 15]],
            [[2, 3], [11, 12]],
        ),  # right padding
        ([[0, 1, 1, 1], [0, 0, 0, 1]], [[2, 3], [14, 15]], [[6, 7], [14, 15]], [[4, 5], [14, 15]]),  # left
    ],
)
def test_values_by_hand(mask, cls, last, mean):
    mask = torch.tensor(mask)
    for pooling, expected in (("cls", cls), ("last_token", last), ("mean", mean)):
        found = pool([HIDDEN], mask, pooling)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_first_last_mean_averages_two_means():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    found = pool([HIDDEN, HIDDEN + 10], mask, "first_last_mean")
    torch.testing.assert_close(found, torch.tensor([[6.0, 7.0], [16.0, 17.0]], dtype=torch.float64))


def test_without_a_mask_every_token_counts():
    torch.testing.assert_close(pool([HIDDEN], None, "mean"), HIDDEN.mean(dim=1))


def test_padding_has_no_influence():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    other = torch.where(mask[..., None] == 1, HIDDEN, 1e6)
    for pooling in ("cls", "mean", "last_token"):
        torch.testing.assert_close(pool([other], mask, pooling), pool([HIDDEN], mask, pooling))


def test_layers():
    assert layers_needed("mean", 3) == (3,)
    assert layers_needed("first_last_mean", -1) == (1, -1)


@pytest.mark.parametrize(
    ("pooling", "layer", "message"),
    [("max", -1, "pooling must be one of cls, mean"), ("first_last_mean", 2, "leave layer at -1, got 2")],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_errors(pooling, layer, message):
    with pytest.raises(ValueError, match=message):
        layers_needed(pooling, layer)


@pytest.mark.usefixtures("without_shape_checks")
def test_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 4\), got \(2, 3\)"):
        pool([HIDDEN], torch.ones(2, 3), "mean")
