import pytest
import torch
from torch import nn

from conescope.capture import positions, spots, stacks
from tests.profile.made import Made, Plus

TABLE = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))


def made(count=2):
    return Made(TABLE, [Plus(torch.full((6,), float(number))) for number in range(count)])


def seen(model, ids):
    return spots(stacks(model), lambda: model(ids), len(ids))


def test_layers_in_the_order_in_which_they_run():
    found = seen(made(), torch.tensor([[3, 4, 5]]))
    assert [(spot.depth, spot.kind, spot.module, spot.d) for spot in found.layers] == [
        (0, "input", "layer.0", 6),
        (1, "block", "layer.0", 6),
        (2, "block", "layer.1", 6),
    ]
    assert len(found.places) == 3


def test_a_normalization_behind_the_blocks_is_a_layer_of_its_own():
    class Ended(Made):
        def forward(self, input_ids):
            return nn.functional.layer_norm(super().forward(input_ids), (6,))

    found = seen(Ended(TABLE, list(made().layer)), torch.tensor([[3, 4]]))
    assert [(spot.depth, spot.kind) for spot in found.layers][2:] == [(2, "block"), (3, "final")]


def test_a_block_that_runs_again_is_a_layer_again():
    class Again(Made):
        def forward(self, input_ids):
            (states,) = self.layer[0](self.embedding(input_ids))
            return self.layer[0](states)[0]

    found = seen(Again(TABLE, [Plus(torch.ones(6))]), torch.tensor([[3, 4]]))
    assert [(spot.depth, spot.module, spot.turn) for spot in found.layers] == [
        (0, "layer.0", 0),
        (1, "layer.0", 0),
        (2, "layer.0 (pass 2)", 1),
    ]


def test_what_shows_no_hidden_state_is_an_error():
    model = nn.Module()
    model.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    with pytest.raises(ValueError, match=r"no block of layers\.0, layers\.1, \.\.\. returned hidden states"):
        spots(stacks(model), lambda: None, 1)


def test_positions_of_every_layout():
    pixels = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    # the second pixel of the first picture: its three channels
    assert positions(pixels, 2)[0, 1].tolist() == [1, 5, 9]
    assert positions(torch.ones(2, 5), 2).shape == (2, 1, 5)
    series = torch.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    assert positions(series, 2, nn.Conv1d(1, 3, 1))[0, 1].tolist() == [1, 5, 9]
    assert positions(series, 3, nn.LSTM(1, 4))[2, 1].tolist() == series[1, 2].tolist()  # time first
    assert positions(series, 2, nn.LSTM(1, 4, batch_first=True)) is series
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.full((1, 2), 2.0)])
    assert positions(packed, 2)[:, :, 0].tolist() == [[1, 1, 1], [2, 0, 0]]


@pytest.mark.parametrize("states", [None, "text", torch.ones(2, 3, dtype=torch.long), torch.ones(7, 3, 2)])
def test_what_is_no_hidden_state(states):
    assert positions(states, 2) is None
