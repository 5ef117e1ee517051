import pytest
import torch

from conescope.training.gradient_norms import gradient_norms


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_values_by_hand(scale):
    first, second, unused = (
        torch.tensor(values, requires_grad=True) for values in ([1.0], [2.0, 3.0], [4.0])
    )
    terms = (3 * first.sum() + second.square().sum(), first.sum() * 0 + second[0], unused.sum())
    # gradients (3, 4, 6), (0, 1, 0), none
    found = gradient_norms(terms, [first, second], scale)
    torch.testing.assert_close(found, torch.tensor([61.0**0.5, 1.0, 0.0]))
    terms[0].backward()  # the graph is still there


def test_norms_that_float16_could_not_hold():
    states = torch.ones(4, dtype=torch.float16, requires_grad=True)
    term = (states.float() * 1e-8).sum()
    assert gradient_norms([term], [states])[0] == 0
    assert gradient_norms([term], [states], 2.0**16)[0].item() == pytest.approx(2e-8, rel=1e-3)
