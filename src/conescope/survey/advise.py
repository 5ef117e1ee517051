"""Advice: does one of the usual fixes help here, and is a simple one enough?

Each is fitted on some points and tried on others (`trials`), its gain over nothing is told from noise
(`gains`), and of those that help the simplest that is as good as the best is recommended (`simplest`).
"""

import os

import numpy as np
import torch
from numpy.typing import NDArray

from conescope._types import Points
from conescope.results.advice import Advice
from conescope.scale import read_points
from conescope.survey.advice_text import NOT_TWICE, SHARED, verdict_of
from conescope.survey.gains import candidates_of
from conescope.survey.held_out import HeldOut, LabeledPoints, ScoredPairs, Unknown, folds_of
from conescope.survey.inputs import Classes, Cloud, Where, as_labels, as_points
from conescope.survey.pairs import Given, as_pairs
from conescope.survey.simplest import best_of, measured_against, simplest_of
from conescope.survey.trials import LEAST, Stage, tried


def advise(
    points: Cloud | Where,
    *,
    pairs: Given | None = None,
    partners: Cloud | Where | None = None,
    labels: Classes | Where | None = None,
    column: str | None = None,
    folds: int = 5,
    seed: int = 0,
    stage: Stage | None = None,
) -> Advice:
    """Return the simplest fix that helps on held-out data as much as the best does, or that none helps.

    Candidates are, from the simplest on, `Centering`, `AllButTheTop` with one and with d / 100 directions,
    and `Whitening` with the shrinkage "oas". They are scored by the cosines that they leave. A candidate
    helps if its gain over nothing is beyond noise. It is as good as the best of those that help if the
    interval of the difference, corrected for the number of candidates, includes zero.

    Args:
        points: of shape (n, d), or a file of them; all are held in memory.
        pairs: two row numbers and a score for each pair: an array (m, 3), or a .tsv or .csv file. The score
            is the Spearman correlation of cosine and score in the mean over folds.
        partners: the points that the second row numbers count, if they are not among `points`.
        labels: one a point, or with a file of points the name of a column or a file. The score is the share
            of points to whose direction the mean direction of their class is the nearest.
        column: of the file with the points.
        folds: how many parts the examples are cut into, each held out once.
        seed: of that cut, and of the groups of the jackknife.
        stage: called with a word on what is computed.

    Raises:
        ValueError: for pairs and labels together, for fewer than 20 examples, or where the held-out pairs
            leave fewer than 20 points to fit on; and for points that are not finite.
        ImportError: without scikit-learn.
    """
    if pairs is not None and labels is not None:
        raise ValueError("advice is for one task: give pairs or labels, and ask once for each of them")
    if partners is not None and pairs is None:
        raise ValueError("partners are the second points of pairs: give pairs, or leave partners out")
    if folds < 2:
        raise ValueError(f"folds must be at least 2, since one part is held out, got {folds}")
    cloud, classes = _read(points, labels, column)
    n, others = len(cloud), None
    if partners is not None:
        second = as_points(read_points(partners).points if _is_path(partners) else partners)  # type: ignore[arg-type]
        if second.shape[1] != cloud.shape[1]:
            raise ValueError(f"partners must have {cloud.shape[1]} dimensions, got {second.shape[1]}")
        cloud, others = torch.cat([cloud, second.to(cloud.dtype)]), len(second)
    held_out = _task(n, others, pairs, classes, folds, seed)
    trials = tried(cloud, held_out, folds, stage or (lambda word: None))
    candidates = candidates_of(trials, held_out, seed)
    best = best_of(candidates)
    if best is not None:
        candidates = measured_against(best, candidates, trials, held_out, seed)
    recommended = simplest_of(candidates)
    notes = [trials.note] if trials.note else []
    if isinstance(held_out, ScoredPairs) and _shares_points(held_out):
        notes.append(SHARED)
    if recommended is not None:
        notes.append(NOT_TWICE)
    return Advice(
        n=len(cloud),
        d=cloud.shape[1],
        task=held_out.task,
        metric=held_out.metric,
        examples=len(held_out.fold_of),
        folds=folds,
        seed=seed,
        candidates=tuple(candidates),
        best=best,
        recommended=recommended,
        verdict=verdict_of(candidates, best, recommended, held_out.task, held_out.what),
        notes=tuple(notes),
    )


def _read(
    points: Cloud | Where, labels: Classes | Where | None, column: str | None
) -> tuple[Points, NDArray[np.int64] | None]:
    """Return the points, and one class number a point where there are labels."""
    classes: Classes | Where | None = labels
    if _is_path(points):
        named = labels if _is_path(labels) else None
        points, found = read_points(points, column=column, labels=named)  # type: ignore[arg-type]
        classes = found if named is not None else labels
    cloud = as_points(points)  # type: ignore[arg-type]
    if classes is None:
        return cloud, None
    return cloud, as_labels(classes, len(cloud)).numpy()  # type: ignore[arg-type]


def _task(
    n: int,
    partners: int | None,
    pairs: Given | None,
    classes: NDArray[np.int64] | None,
    folds: int,
    seed: int,
) -> HeldOut:
    if pairs is not None:
        found = as_pairs(pairs, n, partners)
        _check_examples(len(found.scores), folds, "pairs")
        return ScoredPairs(found, n + (partners or 0), folds_of(len(found.scores), folds, seed))
    _check_examples(n, folds, "points")
    if classes is None:
        return Unknown(folds_of(n, folds, seed))
    if classes.max() == 0:
        raise ValueError("labels must be of two classes or more, but all points are of one")
    return LabeledPoints(classes, folds_of(n, folds, seed, classes))


def _check_examples(count: int, folds: int, what: str) -> None:
    least = max(LEAST, 2 * folds)
    if count < least:
        raise ValueError(f"advice needs at least {least} {what} to tell help from noise, got {count}")


def _shares_points(held_out: ScoredPairs) -> bool:
    ends = np.concatenate([held_out.pairs.first, held_out.pairs.second])
    return len(np.unique(ends)) < 0.9 * len(ends)


def _is_path(given: object) -> bool:
    return isinstance(given, str | os.PathLike)
