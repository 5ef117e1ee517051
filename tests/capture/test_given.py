import torch

from conescope.capture import Given
from conescope.capture.batch import ordered


def test_rows_of_a_tensor():
    rows = torch.arange(12.0).reshape(4, 3)
    batch = Given(rows).batch([2, 0])
    assert batch.arguments[""].tolist() == [[6, 7, 8], [0, 1, 2]]
    assert batch.tokens is None


def test_mappings_with_a_mask():
    given = [
        {"x": torch.ones(3, 2), "attention_mask": torch.tensor([1, 1, 0])},
        {"x": torch.zeros(3, 2), "attention_mask": torch.tensor([1, 0, 0])},
    ]
    batch = Given(given).batch([1, 0])
    assert batch.arguments["x"][:, 0, 0].tolist() == [0, 1]
    assert batch.tokens.real.tolist() == [[True, False, False], [True, True, False]]
    assert not batch.tokens.special.any()


def test_only_equal_shapes_stand_in_one_batch():
    prepared = Given([torch.ones(3), torch.ones(4), torch.zeros(3), torch.ones(2)])
    batches = ordered(prepared, 8)
    assert sorted(map(sorted, batches)) == [[0, 2], [1], [3]]
    assert prepared.batch([0, 2]).arguments[""].tolist() == [[1, 1, 1], [0, 0, 0]]


def test_fingerprints_tell_tensors_apart():
    one, two = torch.ones(3), torch.zeros(3)
    prints = {
        Given(given).fingerprint
        for given in ([one, two], [two, one], [one], [{"x": one}, {"x": two}], [one, two])
    }
    assert len(prints) == 4
