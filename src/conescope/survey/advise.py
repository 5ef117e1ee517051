"""Advice: does one of the usual fixes help here? Each is fitted on some points and tried on others.

Of several candidates the best one looks better than it is. So each difference to "nothing" is taken over the
same held-out examples, with a delete-a-group jackknife, and p-values are corrected for their number by Holm's
rule: the chance to recommend anything where all are as good as nothing is about 5 %.

References: Holm (1979), A simple sequentially rejective multiple test procedure; Shao and Tu (1995), The
Jackknife and Bootstrap, section 2.3.
"""

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from conescope._intervals import jackknife_interval, student_quantile
from conescope._types import Points
from conescope.results.advice import Advice, Candidate, Change
from conescope.scale import read_points
from conescope.survey.advice_text import NOT_TWICE, SHARED, verdict_of
from conescope.survey.held_out import HeldOut, LabeledPoints, ScoredPairs, Unknown, Values, folds_of
from conescope.survey.inputs import Classes, Cloud, Where, as_labels, as_points
from conescope.survey.pairs import Given, as_pairs

if TYPE_CHECKING:
    from conescope.transforms.affine import AffineFix

NOTHING = "nothing"
GROUPS = 10  # of the jackknife
LEAST = 20  # examples, and points to fit on: the jackknife needs two a group
LEVEL = 0.05  # chance of a false recommendation, at most about
Stage = Callable[[str], None]


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
    """Return which of some fixes helps on held-out data, or that none does.

    Candidates are `Centering`, `AllButTheTop` with one and with d / 100 directions, and `Whitening` with the
    shrinkage "oas". They are scored by the cosines that they leave.

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
    candidates, notes = _compared(cloud, held_out, folds, seed, stage or (lambda word: None))
    recommended = _best(candidates)
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
        recommended=recommended,
        verdict=verdict_of(candidates, recommended, held_out.task, held_out.what),
        notes=tuple(notes),
    )


def fixes_for(d: int) -> "dict[str, AffineFix]":
    """Return the candidates for points of d dimensions, not fitted."""
    from conescope.transforms import AllButTheTop, Centering, Whitening

    counts = sorted({1, max(round(d / 100), 1)}) if d > 1 else []
    return {
        "centering": Centering(),
        **{f"all-but-the-top {count}": AllButTheTop(count) for count in counts},
        "whitening": Whitening(shrinkage="oas"),
    }


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


def _compared(
    cloud: Points, held_out: HeldOut, folds: int, seed: int, stage: Stage
) -> tuple[list[Candidate], list[str]]:
    """Return what came out of each candidate, nothing first, and notes."""
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
    every = np.arange(len(held_out.fold_of))
    tried = [
        _candidate(name, fixes.get(name), outcomes, held_out, shapes[name], every, seed) for name in names
    ]
    few = (
        f"whitening was fitted on {fewest} points of {cloud.shape[1]} dimensions, and rests on its shrinkage"
    )
    return _corrected(tried), [few] if fewest <= cloud.shape[1] else []


def _candidate(
    name: str,
    fix: "AffineFix | None",
    outcomes: dict[str, Values],
    held_out: HeldOut,
    shapes: list[tuple[float, float]],
    every: NDArray[np.int64],
    seed: int,
) -> Candidate:
    """Return a candidate with the p-value of its own."""
    cosine, isoscore = (_known(float(np.mean(values))) for values in zip(*shapes, strict=True))
    score = _known(held_out.score(outcomes[name], every))
    bare = Candidate(
        name=name,
        kind="" if fix is None else fix.kind_name,
        settings={} if fix is None else fix.get_params(),
        mean_cosine=cosine,
        isoscore=isoscore,
        score=score,
    )
    if fix is None or score is None:
        return bare

    def gain(chosen: NDArray[np.int64]) -> float:
        return held_out.score(outcomes[name], chosen) - held_out.score(outcomes[NOTHING], chosen)

    difference, ends = gain(every), jackknife_interval(gain, len(every), groups=GROUPS, seed=seed)
    if ends is None:
        return bare.model_copy(update={"difference": _known(difference)})
    error = (ends[1] - ends[0]) / 2 / student_quantile(GROUPS - 1)
    return bare.model_copy(
        update={"difference": difference, "low": ends[0], "high": ends[1], "p": _p(difference, error)}
    )


def _p(difference: float, error: float) -> float:
    """Return the two-sided p-value of Student's t with the freedom of the jackknife."""
    from scipy.special import stdtr

    if difference == 0:
        return 1.0
    return 2 * float(stdtr(GROUPS - 1, -abs(difference) / error)) if error > 0 else 0.0


def _corrected(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with p-values corrected by Holm's rule, and what follows from them."""
    known = sorted((one for one in candidates if one.p is not None), key=lambda one: one.p or 0.0)
    tested = sum(one.kind != "" for one in candidates)  # also those without a value count as tried
    corrected, so_far = {}, 0.0
    for place, one in enumerate(known):
        so_far = max(so_far, min((tested - place) * (one.p or 0.0), 1.0))
        corrected[one.name] = so_far
    return [
        one
        if one.name not in corrected
        else one.model_copy(update={"p": corrected[one.name], "outcome": _change(one, corrected[one.name])})
        for one in candidates
    ]


def _change(one: Candidate, p: float) -> Change:
    if p >= LEVEL or one.difference is None:
        return "within noise"
    return "better" if one.difference > 0 else "worse"


def _best(candidates: list[Candidate]) -> str | None:
    better = [one for one in candidates if one.outcome == "better"]
    return max(better, key=lambda one: one.score or 0.0).name if better else None


def _shape(points: Points) -> tuple[float, float]:
    from conescope.measures.cosine import mean_cosine
    from conescope.measures.isoscore import isoscore

    return float(mean_cosine(points)), float(isoscore(points))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shares_points(held_out: ScoredPairs) -> bool:
    ends = np.concatenate([held_out.pairs.first, held_out.pairs.second])
    return len(np.unique(ends)) < 0.9 * len(ends)


def _is_path(given: object) -> bool:
    return isinstance(given, str | os.PathLike)
