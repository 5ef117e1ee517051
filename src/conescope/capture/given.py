"""Inputs that are tensors already, for a module of one's own."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from conescope.capture.batch import Batch, Tokens

MASK = "attention_mask"


class Given:
    """Tensors as inputs of a module; a `Prepared`.

    Either one tensor with an input a row, or several, each of one input without its batch axis: tensors, or
    mappings of argument names to tensors. Inputs of equal shapes may stand in one batch. Tokens that a
    mapping masks by `attention_mask` do not count.
    """

    modality = "tensors"
    padded = False

    def __init__(self, inputs: Tensor | Sequence[Tensor] | Sequence[Mapping[str, Tensor]]) -> None:
        self.inputs = [each if isinstance(each, Mapping) else {"": each} for each in inputs]
        shapes: dict[object, int] = {}
        self.sizes = [shapes.setdefault(_shapes(each), len(shapes)) for each in self.inputs]
        digest = hashlib.blake2b(digest_size=16)
        for each in self.inputs:
            for name, value in each.items():
                digest.update(repr((name, tuple(value.shape))).encode())
                digest.update(value.detach().double().cpu().contiguous().numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return these inputs as one batch."""
        chosen = [self.inputs[number] for number in numbers]
        arguments = {name: torch.stack([each[name] for each in chosen]) for name in chosen[0]}
        tokens = None
        if MASK in arguments:
            real = arguments[MASK] != 0
            tokens = Tokens(real, torch.zeros_like(real))
        return Batch(arguments, len(numbers), tokens)


def _shapes(each: Mapping[str, Tensor]) -> object:
    return tuple((name, tuple(value.shape)) for name, value in sorted(each.items()))
