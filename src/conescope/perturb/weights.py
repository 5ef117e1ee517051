"""Which weights noise goes to: those of the encoder as published, or of the blocks of any model.

Reference: Marbut, Chandler, Wheeler (2024), arXiv:2406.12159.
"""

from typing import Literal, TypeAlias, get_args

from torch import nn

from conescope.capture import backbone, stacks

Parts: TypeAlias = Literal["encoder weights", "block weights"]
PARTS: tuple[str, ...] = get_args(Parts)


def chosen_weights(
    model: nn.Module, parts: Parts = "encoder weights", *, layer_norm: bool = True
) -> dict[str, nn.Parameter]:
    """Return the weights that noise goes to, by their names below any task head; each shared one once.

    Args:
        model: of transformers, with or without a task head, or any module with blocks.
        parts: "encoder weights", as published, are parameters whose name starts with "encoder" and ends
            with "weight": in BERT all weights of the blocks, no bias, embedding or pooler; in an
            encoder-decoder those of its encoder. A model without such names, such as a decoder, gets noise
            in its "block weights": parameters inside its stacks of blocks whose name ends with "weight".
        layer_norm: whether weights of normalizations are among them, as published.

    Raises:
        ValueError: if `parts` is neither, no stack of blocks is found, no weight is left, or one is not
            floating point, as in a quantized model.
    """
    if parts not in PARTS:
        raise ValueError(f"parts must be one of {', '.join(PARTS)}; got {parts!r}")
    inner = backbone(model)
    weights = {name: weight for name, weight in inner.named_parameters() if name.endswith("weight")}
    found = {name: weight for name, weight in weights.items() if name.startswith("encoder")}
    if parts == "block weights" or not found:
        blocks = tuple(f"{name}." for stack in stacks(inner) for name in stack.names)
        found = {name: weight for name, weight in weights.items() if name.startswith(blocks)}
    if not layer_norm:
        found = {name: weight for name, weight in found.items() if not _of_norm(inner, name)}
    if not found:
        raise ValueError(
            f"there is no weight to perturb in {type(inner).__name__}: no parameter of its encoder or blocks "
            "has a name that ends with weight"
        )
    for name, weight in found.items():
        if not weight.is_floating_point():
            raise ValueError(
                f"noise goes to weights that are floating point, but {name} is {weight.dtype}; load the "
                "model without quantization"
            )
    return found


def _of_norm(model: nn.Module, name: str) -> bool:
    """Return whether a weight is that of a normalization: LayerNorm, T5LayerNorm, LlamaRMSNorm, ..."""
    return "norm" in type(model.get_submodule(name.rpartition(".")[0])).__name__.lower()
