"""Trials: each fix is fitted on some points, and scored on others that had no part in the fit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from conescope._types import Points
from conescope.survey.held_out import HeldOut, Values

if TYPE_CHECKING:
    from conescope.transforms.affine import AffineFix

NOTHING = "nothing"
LEAST = 20  # examples, and points to fit on: the jackknife needs two a group
Stage = Callable[[str], None]


class Trials(NamedTuple):
    """What came of each candidate, by name, nothing first and then from the simplest on."""

    fixes: "dict[str, AffineFix]"  # without nothing
    outcomes: dict[str, Values]  # of each example, from the part in which it was held out
    shapes: dict[
        str, list[tuple[float, float]]
    ]  # mean cosine and IsoScore of the held-out points of each part
    note: str = ""


def fixes_for(d: int) -> "dict[str, AffineFix]":
    """Return the candidates for points of d dimensions, not fitted, from the simplest on.

    Simple is what takes few numbers from the data: centering d, all but the top k about (1 + k) d, whitening
    d (d + 3) / 2 and the inverse of a covariance.
    """
    from conescope.transforms import AllButTheTop, Centering, Whitening

    counts = sorted({1, max(round(d / 100), 1)}) if d > 1 else []
    return {
        "centering": Centering(),
        **{f"all-but-the-top {count}": AllButTheTop(count) for count in counts},
        "whitening": Whitening(shrinkage="oas"),
    }


def tried(cloud: Points, held_out: HeldOut, folds: int, stage: Stage) -> Trials:
    """Return what came of nothing and of each fix, over all parts.

    Raises:
        ValueError: if the examples of some part leave fewer than 20 points to fit on.
    """
    from conescope.scale.moments import moments

    rows = cloud.float().numpy() if cloud.element_size() < 4 else cloud.numpy()
    fixes = fixes_for(cloud.shape[1])
    names = [NOTHING, *fixes]
    outcomes = {name: np.empty(len(held_out.fold_of)) for name in names}
    shapes: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    fewest = len(rows)
    for fold in range(folds):
        held = held_out.held(fold)
        fewest = min(fewest, int((~held).sum()))
        if fewest < LEAST:
            raise ValueError(
                f"the pairs that are held out leave {fewest} of {len(rows)} points to fit on, and {LEAST} "
                "are needed; take more folds, or more points"
            )
        found = moments(torch.from_numpy(rows[~held]))
        for name in names:
            stage(f"{name}, part {fold + 1} of {folds}")
            space = rows if name == NOTHING else fixes[name].fit_moments(found).transform(rows)
            outcomes[name][held_out.fold_of == fold] = held_out.outcomes(space, fold)
            shapes[name].append(_shape(torch.from_numpy(space[held])))
    few = (
        f"whitening was fitted on {fewest} points of {cloud.shape[1]} dimensions, and rests on its shrinkage"
    )
    return Trials(fixes, outcomes, shapes, few if fewest <= cloud.shape[1] else "")


def _shape(points: Points) -> tuple[float, float]:
    from conescope.measures.cosine import mean_cosine
    from conescope.measures.isoscore import isoscore

    return float(mean_cosine(points)), float(isoscore(points))
