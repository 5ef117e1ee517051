"""The geometry of held-out embeddings at one moment: measures, spectrum, bars, and a map in the plane."""

import numpy as np
import torch
from torch import Tensor

from conescope.results import Bars, Map, Snapshot
from conescope.survey.measure import measure
from conescope.topology import Rule, h0_lengths, select_bars

GEOMETRY = (  # what fine-tuning is told to change, and what it may break
    "mean_cosine",
    "mean_cosine_centered",
    "anisotropy_1",
    "anisotropy_1_uncentered",
    "anisotropy_1_within_class",
    "isoscore",
    "effective_rank",
    "persistent_entropy",
    "relative_persistent_entropy",
)
MAP_POINTS = 1000  # a picture with more hides more than it shows


def snapshot(
    points: Tensor, labels: Tensor, classes: tuple[str, ...], *, cloud: int, rule: Rule | None, seed: int = 0
) -> Snapshot:
    """Return the snapshot of float32 points with their classes.

    The bars are those of `cloud` points of each class (all, if there are fewer): a barcode depends on the
    number of points, so the picture shows clouds about the size that the regularizer saw.
    """
    centered = points.double() - points.double().mean(dim=0)
    _, sigma, directions = torch.linalg.svd(centered, full_matrices=False)
    variance = sigma.square()
    shares = variance / variance.sum().clamp(min=torch.finfo(torch.float64).tiny)
    generator = np.random.default_rng(seed)
    shown = torch.from_numpy(np.sort(generator.permutation(len(points))[:MAP_POINTS]))
    # the sign of a direction is arbitrary: take the one in which its largest coordinate is positive
    axes = directions[:2]
    axes = axes * axes.gather(1, axes.abs().argmax(dim=1, keepdim=True)).sign()
    plane = torch.zeros(len(shown), 2, dtype=torch.float64)
    plane[:, : len(axes)] = centered[shown] @ axes.T
    return Snapshot(
        measurement=measure(points, labels, GEOMETRY, intervals=False, null=False),
        spectrum=tuple(_short(share) for share in shares.tolist()),
        bars=tuple(
            _bars(points[labels == number][:cloud], name, rule) for number, name in enumerate(classes)
        ),
        map=Map(
            x=tuple(_short(x) for x in plane[:, 0].tolist()),
            y=tuple(_short(y) for y in plane[:, 1].tolist()),
            labels=tuple(labels[shown].tolist()),
            share=float(shares[:2].sum()),
        ),
    )


def _bars(points: Tensor, name: str, rule: Rule | None) -> Bars:
    lengths = h0_lengths(points).flip(0)
    return Bars(
        label=name,
        lengths=tuple(_short(length) for length in lengths.tolist()),
        selected=tuple(select_bars(lengths, rule).tolist()),
    )


def _short(value: float) -> float:
    """Return five significant digits: enough for a figure, and half the size of the file."""
    return float(f"{value:.5g}")
