"""How hard each term of a loss pulls on the hidden states."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Scalar


def gradient_norms(
    terms: Sequence[Scalar], hidden: Sequence[Tensor], scale: float = 1.0
) -> Float[Tensor, " terms"]:
    """Return the norm of the gradient of each term at all hidden states together, in float32.

    A term on which no hidden state has an influence has norm 0. The graph is kept.

    Args:
        terms: 0-dim tensors; at least one.
        hidden: the tensors the terms were computed from.
        scale: the terms are multiplied by it before, and the norms divided after, so that float16
            gradients do not vanish.
    """
    norms = []
    for term in terms:
        found = torch.autograd.grad(term * scale, list(hidden), retain_graph=True, allow_unused=True)
        present = [gradient.float().norm() for gradient in found if gradient is not None]
        norms.append(torch.stack(present).norm() if present else term.new_zeros(()).float())
    return torch.stack(norms) / scale
