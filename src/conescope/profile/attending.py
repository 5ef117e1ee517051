"""The forward passes of an attention profile: what heads show of each batch is summed and sampled."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from conescope.capture import Batch, Prepared, Tokens, unwrapped
from conescope.capture.heads import Attention, Heads, HeadTaps, attentions, weights_returned
from conescope.profile.head_sums import GROUPS, Gathered, sampled, summed
from conescope.profile.running import Advance, forward
from conescope.profile.sharpness import sharpness

MASKS = ("attention_mask", "decoder_attention_mask")
Key = tuple[int, int]  # number of an attention module, and which of its runs in a forward pass


class Attending:
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
