"""`conescope.profile.profile_attention`: where the cone comes from inside attention, head by head.

Reference: Godey, de la Clergerie and Sagot (2024), Anisotropy is inherent to self-attention in transformers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conescope.capture import unwrapped
from conescope.capture.batch import ordered
from conescope.capture.opening import Modality, open_model, prepare
from conescope.profile.across_heads import TOLD, correlations
from conescope.profile.attending import Attending
from conescope.profile.head_sums import GROUPS, measured_heads
from conescope.profile.running import Advance, device_of, evaluating
from conescope.results.attention import AttentionProfile, Head


def profile_attention(
    model: str | Path | nn.Module,
    inputs: Sequence[Any] | Tensor,
    *,
    processor: Any = None,
    modality: Modality | None = None,
    batch_size: int = 32,
    max_length: int | None = None,
    device: str | torch.device | None = None,
    special_tokens: bool = False,
    seed: int = 0,
    untrained: bool = False,
    title: str | None = None,
    advance: Advance | None = None,
) -> AttentionProfile:
    """Return drift and sharpness of every attention head of a model, on some inputs.

    With q and k the vectors that the projections return (before rotary embeddings and scaling), mu_Q and
    mu_K their means over tokens:

        query_norm      ||mu_Q||             query_drift  ||mu_Q|| / E||q||  in [0, 1]; key_norm, key_drift
        product         mu_Q . mu_K          cosine       of mu_Q and mu_K   in [-1, 1]
        sampled_product mean of q . k over up to 512 pairs of tokens of different inputs; its expectation is
                        the product; sampled_error is its standard error
        entropy         of the weights of a query over ln T, T keys that it may attend to   in [0, 1]
        maximum         the largest weight of a query                                       in [1/T, 1]
        special_weight  the weight that falls on special tokens                             in [0, 1]

    The last three are means over the queries with T > 1. Padding never counts. Special tokens are neither
    queries nor in the means, unless asked for; as keys they stay in the softmax. Intervals are over inputs,
    for 20 of them or more.

    Args:
        model: a folder with a model of transformers, its name on the hub, or any module whose attention
            modules return (..., weights), weights (inputs, heads, queries, keys).
        inputs: as for `profile_layers`.
        processor: tokenizer, feature extractor or image processor; None takes the model's own.
        modality: text, audio or image; None goes by the inputs.
        batch_size: inputs of one forward pass, which needs memory for the weights of one layer at least. It
            changes no number beyond rounding.
        max_length: tokens (or samples of a sound) that are kept of an input; None for what the model takes.
        device: where to run; None for where the model is.
        special_tokens: whether tokens that stand for no part of the input count.
        seed: of the pairs, the groups of inputs, the draws of heads, and an untrained model's weights.
        untrained: whether to profile the architecture with fresh weights in place of the model's own.
        title: of the profile; None for the name of the model.
        advance: is called with how many inputs are done, and how many there are.

    Raises:
        ValueError: for a model in which no attention is found (the message names the modules that look like
            it) or whose attention returns no weights, inputs that it does not take or without a token that
            counts, and queries or keys that are not finite.
    """
    if batch_size < 1:
        raise ValueError(f"a batch has one input or more, got batch_size {batch_size}")
    opened = open_model(model, untrained=untrained, seed=seed)
    tower, prepared = prepare(opened, inputs, modality=modality, processor=processor, max_length=max_length)
    where = torch.device(device) if device is not None else device_of(tower)
    gathering = Attending(tower, prepared, special_tokens, seed)
    with evaluating(tower, where):
        gathering.run(ordered(prepared, batch_size), where, advance)
    heads = _heads(gathering, intervals=len(prepared.sizes) >= 2 * GROUPS, seed=seed)
    few = [] if len(prepared.sizes) >= 2 * GROUPS else [f"fewer than {2 * GROUPS} inputs: no intervals"]
    return AttentionProfile(
        title=opened.title if title is None else title,
        architecture=type(unwrapped(tower)).__name__,
        modality=prepared.modality,
        special_tokens=special_tokens,
        inputs=len(prepared.sizes),
        seed=seed,
        heads=heads,
        correlations=correlations(heads, seed=seed),
        notes=(*few, TOLD),
    )


def _heads(gathering: Attending, *, intervals: bool, seed: int) -> tuple[Head, ...]:
    config = getattr(unwrapped(gathering.model), "config", None)
    two = bool(getattr(config, "is_encoder_decoder", False))
    heads: list[Head] = []
    layers: dict[tuple[str, bool], int] = {}
    for found in gathering.known.values():
        if not found.sums.queries.sum() or not found.sums.keys.sum():
            raise ValueError(
                "no input has a token besides padding and special ones; let special tokens count "
                "(--special-tokens)"
            )
        stack = ("decoder" if found.cross or "decoder" in found.module else "encoder") if two else ""
        layer = layers[stack, found.cross] = layers.get((stack, found.cross), -1) + 1
        values = measured_heads(found, special=gathering.special, intervals=intervals, seed=seed)
        share = len(values) // found.sums.key.shape[1]
        heads += [
            Head(
                stack=stack,
                kind="cross" if found.cross else "self",
                layer=layer,
                module=found.module + (f" (pass {found.turn + 1})" if found.turn else ""),
                head=head,
                key_head=head // share,
                d=found.sums.query.shape[2],
                values=tuple(mine),
            )
            for head, mine in enumerate(values)
        ]
    return tuple(heads)
