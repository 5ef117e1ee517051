"""The clouds that are timed: embeddings in what costs time and digits, made from a seed.

Coordinates have variances 1, 1/2, 1/3, ... (a power law, as language models have), and all points share a
mean that holds six tenths of their squared length, so that the mean cosine is above 0.5. Ten classes have
means of their own; a partner is its point, moved a little.
"""

from typing import NamedTuple

import torch
from torch import Tensor

CLASSES = 10
SHARED = 0.6  # of the squared length, held by the common mean
PART = 8192  # rows drawn at a time


class Cloud(NamedTuple):
    """Points of shape (n, d) in float32, a class number for each, and a partner for each."""

    points: Tensor
    labels: Tensor
    partners: Tensor


class Law:
    """The distribution of the points in d dimensions."""

    def __init__(self, d: int, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.deviations = torch.arange(1, d + 1).rsqrt()
        spread = float(self.deviations.square().sum())
        signs = torch.randint(0, 2, (d,), generator=self.generator) * 2 - 1
        self.mean = signs * (spread * SHARED / (1 - SHARED) / d) ** 0.5

    def draw(self, n: int) -> Tensor:
        """Return the next n points."""
        points = torch.empty(n, len(self.mean))
        for part in torch.split(points, PART):
            part.normal_(generator=self.generator).mul_(self.deviations).add_(self.mean)
        return points


def cloud(n: int, d: int, seed: int = 0) -> Cloud:
    """Return n points of the law, with classes and partners."""
    law = Law(d, seed)
    points = law.draw(n)
    labels = torch.randint(0, CLASSES, (n,), generator=law.generator)
    points += (torch.randn(CLASSES, d, generator=law.generator) * law.deviations / 2)[labels]
    moved = torch.randn(n, d, generator=law.generator) * law.deviations / 4
    return Cloud(points, labels, points + moved)
