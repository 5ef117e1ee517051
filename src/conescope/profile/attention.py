"""`conescope.profile.profile_attention`: where the cone comes from inside attention, head by head.

Reference: Godey, de la Clergerie and Sagot (2024), Anisotropy is inherent to self-attention in transformers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conescope.capture import Batch, Prepared, Tokens, unwrapped
from conescope.capture.batch import ordered
from conescope.capture.heads import Attention, Heads, HeadTaps, attentions, weights_returned
from conescope.capture.opening import Modality, open_model, prepare
from conescope.profile.across_heads import TOLD, correlations
from conescope.profile.head_sums import GROUPS, Gathered, measured_heads, sampled, summed
from conescope.profile.running import Advance, device_of, evaluating, forward
from conescope.profile.sharpness import sharpness
from conescope.results.attention import AttentionProfile, Head

MASKS = ("attention_mask", "decoder_attention_mask")
Key = tuple[int, int]  # number of an attention module, and which of its runs in a forward pass


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
    gathering = _Gathering(tower, prepared, special_tokens, seed)
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


class _Gathering:
    """The forward passes, and what is kept of each attention module."""

    def __init__(self, model: nn.Module, prepared: Prepared, special_tokens: bool, seed: int) -> None:
        self.model = model
        self.prepared = prepared
        self.found: tuple[Attention, ...] = attentions(model)
        self.number = {attention.name: number for number, attention in enumerate(self.found)}
        self.special_tokens = special_tokens
        self.seed = seed
        self.known: dict[Key, Gathered] = {}
        self.patterns: dict[
            Key, Tensor
        ] = {}  # (queries, keys): which keys a query may attend to by its place
        self.special = False  # whether any special token was seen
        self.groups = torch.from_numpy(np.random.default_rng(seed).permutation(len(prepared.sizes)) % GROUPS)

    @torch.no_grad()
    def run(self, batches: Sequence[Sequence[int]], device: torch.device, advance: Advance | None) -> None:
        """Run the model on all batches."""
        now: list[tuple[Batch, Sequence[int]]] = []
        taps = HeadTaps(self.found, lambda shown: self.add(shown, *now[0]))
        probed: list[Mapping[str, tuple[int, ...]]] = []
        done = 0
        with weights_returned(self.model, collected=self._silent(batches[-1][-1], device)):
            for numbers in batches:
                batch = self.prepared.batch(numbers)
                if not any(_covers(known, _shapes(batch)) for known in probed):
                    probed.append(_shapes(batch))
                    self.probe(numbers[0], device)
                now[:] = [(batch, numbers)]
                with taps:
                    taps.begin()
                    forward(self.model, batch, device)
                done += len(numbers)
                if advance is not None:
                    advance(done, len(self.prepared.sizes))

    def _silent(self, number: int, device: torch.device) -> bool:
        """Return whether weights must be asked for, by a pass over one input."""
        for collected in (False, True):
            shown: list[Heads] = []
            taps = HeadTaps(self.found, shown.append)
            with weights_returned(self.model, collected=collected), taps:
                forward(self.model, self.prepared.batch([number]), device)
            if shown and not taps.silent:
                return collected
        names = ", ".join(dict.fromkeys(taps.silent)) or "none of its attention modules ran"
        raise ValueError(
            f"attention of {type(unwrapped(self.model)).__name__} returned no weights of shape (inputs, "
            f'heads, queries, keys): {names}; load the model with attn_implementation="eager"'
        )

    def probe(self, number: int, device: torch.device) -> None:
        """Learn which keys may be attended to: those that have weight where all queries are zero."""
        batch = self.prepared.batch([number])
        open_masks = {
            name: torch.ones_like(value) if name in MASKS and value.ndim == 2 else value
            for name, value in batch.arguments.items()
        }

        def see(shown: Heads) -> None:
            if len(shown.weights) == 1:  # not windows
                key = self.number[shown.attention.name], shown.turn
                self.patterns[key] = _positive(shown.weights)[0]

        with HeadTaps(self.found, see, level=True):
            forward(self.model, batch._replace(arguments=open_masks), device)

    def add(self, shown: Heads, batch: Batch, numbers: Sequence[int]) -> None:
        """Take what an attention module shows of a batch."""
        key = self.number[shown.attention.name], shown.turn
        name = shown.attention.name
        for vectors in (shown.queries, shown.keys):
            if not torch.isfinite(vectors).all():
                raise ValueError(f"queries or keys of {name} hold NaN or infinity; run the model in float32")
        mine = batch.decoded if batch.decoded and (shown.cross or "decoder" in name) else batch.tokens
        theirs = batch.tokens if shown.cross else mine
        queries, _ = self._counted(mine, shown.queries)
        keys, special = self._counted(theirs, shown.keys)
        real = _or_all(theirs.real if theirs else None, shown.keys)
        self.special |= bool(special.any())
        allowed = _positive(shown.weights)
        pattern = self.patterns.get(key)
        pattern = pattern if len(allowed) == len(numbers) else None  # a window is a part of an input
        if pattern is not None and all(map(int.__ge__, pattern.shape, allowed.shape[1:])):
            allowed = allowed | pattern[: allowed.shape[1], : allowed.shape[2]]
        sharp = sharpness(shown.weights, allowed & real[:, None], queries, special)
        rows = torch.tensor(numbers).repeat_interleave(len(shown.queries) // len(numbers))
        sums = summed(shown, queries, keys, sharp, self.groups[rows])
        old = self.known.get(key)
        self.known[key] = Gathered(
            name,
            shown.turn,
            shown.cross,
            sums if old is None else old.sums + sums,
            {
                "query": sampled(
                    None if old is None else old.samples["query"],
                    shown.queries,
                    queries,
                    rows,
                    seed=2 * self.seed,
                    first=0 if old is None else old.rows["query"],
                ),
                "key": sampled(
                    None if old is None else old.samples["key"],
                    shown.keys,
                    keys,
                    rows,
                    seed=2 * self.seed + 1,
                    first=0 if old is None else old.rows["key"],
                ),
            },
            {
                "query": int(queries.sum()) + (0 if old is None else old.rows["query"]),
                "key": int(keys.sum()) + (0 if old is None else old.rows["key"]),
            },
        )

    def _counted(self, tokens: Tokens | None, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return which tokens count, and which are special."""
        real = _or_all(tokens.real if tokens else None, vectors)
        special = _or_all(tokens.special if tokens else None, vectors)
        if tokens is None or tokens.special.shape != vectors.shape[:2]:
            special = ~special
        return real if self.special_tokens else real & ~special, special


def _positive(weights: Tensor) -> Tensor:
    """Return where any head has a weight; masks that subtract 100 leave one below all normal numbers."""
    return (weights > torch.finfo(weights.dtype).tiny).any(dim=1)


def _or_all(known: Tensor | None, vectors: Tensor) -> Tensor:
    """Return what is known of each token; true for all where they are others, such as pieces of a window."""
    if known is None or known.shape != vectors.shape[:2]:
        return torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
    return known.to(vectors.device)


def _shapes(batch: Batch) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(value.shape[1:]) for name, value in batch.arguments.items() if isinstance(value, Tensor)
    }


def _covers(known: Mapping[str, tuple[int, ...]], asked: Mapping[str, tuple[int, ...]]) -> bool:
    return known.keys() == asked.keys() and all(
        len(known[name]) == len(shape) and all(map(int.__ge__, known[name], shape))
        for name, shape in asked.items()
    )


def _heads(gathering: _Gathering, *, intervals: bool, seed: int) -> tuple[Head, ...]:
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
