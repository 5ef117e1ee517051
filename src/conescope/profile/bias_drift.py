"""The common-bias experiment: what a block makes of inputs that share a vector.

Each block is given z + b for its hidden states: z ~ N(0, I_d) for every token, b one random direction for all
tokens. The mean cosine of such inputs is about |b|^2 / (|b|^2 + d). Attention that averages T tokens leaves b
and shrinks the variance of z to 1/T, so the cosine of tokens of different sequences rises to
|b|^2 / (|b|^2 + d/T): anisotropy out of the architecture (after Godey et al. 2023, arXiv:2306.07656).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn

from conescope._intervals import student_interval
from conescope.capture import stacks, unwrapped
from conescope.capture.example import example_of
from conescope.capture.opening import open_model
from conescope.profile.bias_experiment import Experiment, Passed
from conescope.profile.running import device_of, evaluating
from conescope.results.bias_drift import BiasDrift, BlockDrift, Change, DriftPoint, Effect, PartDrift

SHARES = (0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)  # |b|^2 / d
LENGTHS = tuple(math.sqrt(share) for share in SHARES)
ROUNDING = 1e-5  # of a mean cosine in single precision: a change below it is none


Found = list[list[Passed]]  # of a seed: by bias, by site


def bias_drift(
    model: str | Path | nn.Module,
    *,
    lengths: Sequence[int | float] = LENGTHS,
    sequences: int = 64,
    tokens: int = 32,
    seeds: Sequence[int] = (0, 1, 2),
    blocks: Sequence[str] | None = None,
    device: str | torch.device | None = None,
    untrained: bool = False,
    example: Mapping[str, Any] | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> BiasDrift:
    """Return what the blocks of a model, and their parts, do to the mean cosine of inputs with a common bias.

    The model runs on inputs without meaning, and every block is given z + b in place of its hidden states;
    masks and positions are those that the model makes. A part is compared with its own input, behind any
    normalization, so that the MLP does not answer for what attention did before it.

    Args:
        model: a folder with a model of transformers, its name on the hub, or any module with blocks.
        lengths: norms of the bias as multiples of sqrt(d), 0 or more each.
        sequences: of noise, 2 or more.
        tokens: of a sequence; images, spectrograms and an `example` have the number they have.
        seeds: of noise and bias, and of the weights if `untrained`. Intervals are over them: Student's, 95 %.
        blocks: names of modules, or of lists of modules; None finds the lists of blocks.
        device: where to run; None for where the model is.
        untrained: whether to draw fresh weights for each seed in place of the model's own.
        example: the arguments of a forward pass over one input, each tensor with a batch axis of 1, for
            models that do not say what they take; an argument without a name, "", goes first.
        advance: is called with how many of the (seed, bias) pairs are done, and how many there are.

    Raises:
        ValueError: for options out of range, a model without blocks (the message names its modules), or
            blocks that are not given hidden states of shape (batch, tokens, d).
    """
    _check_options(lengths, sequences, tokens, seeds)
    lengths = tuple(map(float, lengths))
    opened = open_model(model, untrained=untrained, seed=seeds[0])
    # The model of the first seed stays open, for its names; those of the others go when they have run.
    runs: list[Found] = []
    layout = None
    for turn, seed in enumerate(seeds):
        one = open_model(model, untrained=True, seed=seed).model if untrained and turn else opened.model
        where = torch.device(device) if device is not None else device_of(one)
        arguments = example_of(one, tokens) if example is None else example
        with torch.no_grad(), evaluating(one, where):
            experiment = Experiment(one, stacks(one, blocks), arguments, where)
            layout = layout or experiment
            found: Found = []
            for length in lengths:
                found.append(experiment.run(seed, length, sequences))
                if advance is not None:
                    advance(turn * len(lengths) + len(found), len(seeds) * len(lengths))
            runs.append(found)
    assert layout is not None  # there is a seed
    return BiasDrift(
        title=opened.title,
        architecture=type(unwrapped(opened.model)).__name__,
        untrained=untrained,
        sequences=sequences,
        seeds=tuple(seeds),
        lengths=lengths,
        blocks=tuple(_block(layout, number, lengths, runs) for number in layout.shapes),
        notes=_notes(layout, len(seeds)),
    )


def _check_options(lengths: Sequence[int | float], sequences: int, tokens: int, seeds: Sequence[int]) -> None:
    if not lengths or not all(math.isfinite(length) and length >= 0 for length in lengths):
        raise ValueError(f"norms of the bias must be numbers from 0 on, one or more; got {list(lengths)}")
    if sequences < 2:
        raise ValueError(f"tokens of different sequences need two sequences or more, got {sequences}")
    if tokens < 1:
        raise ValueError(f"a sequence has one token or more, got {tokens}")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be one or more, all different, got {list(seeds)}")


def _block(layout: Experiment, number: int, lengths: Sequence[float], runs: Sequence[Found]) -> BlockDrift:
    stack, depth, name = layout.names[number]
    tokens, d = layout.shapes[number]
    mine = [(place, site) for place, site in enumerate(layout.sites) if site.block == number]
    whole = mine[0][0]
    return BlockDrift(
        stack=stack,
        depth=depth,
        module=name,
        d=d,
        tokens=tokens,
        fed=tuple(fmean(run[at][whole].before.across for run in runs) for at in range(len(lengths))),
        parts=tuple(
            PartDrift(
                part=site.part,
                module=site.name,
                points=tuple(
                    _point(length, [run[at][place] for run in runs]) for at, length in enumerate(lengths)
                ),
            )
            for place, site in mine
        ),
    )


def _point(length: float, found: Sequence[Passed]) -> DriftPoint:
    return DriftPoint(
        length=length,
        across=change([one.before.across for one in found], [one.after.across for one in found]),
        within=change([one.before.within for one in found], [one.after.within for one in found]),
    )


def change(before: Sequence[float], after: Sequence[float]) -> Change:
    """Return a mean cosine before and after, with intervals over seeds, and the effect that they show."""
    start, end = _mean(before), _mean(after)
    if start is None or end is None:
        return Change(
            before=start,
            after=end,
            low=None,
            high=None,
            change=None,
            change_low=None,
            change_high=None,
            effect="unknown",
        )
    changes = [late - early for early, late in zip(before, after, strict=True)]
    low, high = student_interval(after) or (None, None)
    interval = student_interval(changes)
    effect: Effect
    if interval is None:
        effect = "unknown"
    elif interval[0] > ROUNDING:
        effect = "amplifies"
    else:
        effect = "reduces" if interval[1] < -ROUNDING else "leaves"
    change_low, change_high = interval or (None, None)
    return Change(
        before=start,
        after=end,
        low=low,
        high=high,
        change=fmean(changes),
        change_low=change_low,
        change_high=change_high,
        effect=effect,
    )


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if all(map(math.isfinite, values)) else None


def _notes(layout: Experiment, seeds: int) -> tuple[str, ...]:
    whole = {site.block for site in layout.sites if site.part == "block"}
    notes = []
    for part in ("attention", "mlp"):
        missing = whole - {site.block for site in layout.sites if site.part == part}
        if missing:
            names = ", ".join(layout.names[number][2] for number in sorted(missing))
            notes.append(f"no {part} found in {names}")
    if seeds == 1:
        notes.append("one seed has no interval, so no effect is told from chance")
    return tuple(notes)
