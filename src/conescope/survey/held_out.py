"""Held-out tasks that tell whether a map of the points helps: scored pairs, or labels.

The examples are cut into folds at random. Of each fold a map is fitted on points that are in none of its
examples, and the examples of the fold are scored in the mapped space. Each task says which points a fold
holds out (`held`), what comes out for its examples (`outcomes`), and the score of some examples from the
outcomes of all (`score`).
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conescope.results.advice import Task
from conescope.survey.pairs import Pairs

Numbers = NDArray[np.int64]
Rows = NDArray[np.bool_]
Values = NDArray[np.float64]
Space = NDArray[Any]  # points as rows, float32 or float64


@dataclass(frozen=True)
class ScoredPairs:
    """Do cosines order the pairs as the scores do? Spearman's correlation, in the mean over the folds."""

    pairs: Pairs
    n: int
    fold_of: Numbers
    task: Task = "pairs"
    metric: str = "Spearman correlation of cosine and score"
    what: str = "pairs"

    def held(self, fold: int) -> Rows:
        rows = np.zeros(self.n, dtype=bool)
        rows[self.pairs.first[self.fold_of == fold]] = True
        rows[self.pairs.second[self.fold_of == fold]] = True
        return rows

    def outcomes(self, space: Space, fold: int) -> Values:
        mine = self.fold_of == fold
        first, second = (_units(space[ends[mine]]) for ends in (self.pairs.first, self.pairs.second))
        cosines: Values = np.einsum("ij,ij->i", first, second)
        return cosines

    def score(self, outcomes: Values, chosen: Numbers) -> float:
        folds = [chosen[self.fold_of[chosen] == fold] for fold in np.unique(self.fold_of)]
        return float(np.mean([_spearman(outcomes[some], self.pairs.scores[some]) for some in folds]))


@dataclass(frozen=True)
class LabeledPoints:
    """Is the mean direction of its own class the nearest to a point? The share of points for which it is.

    Mean directions are taken of the points outside the fold; a class that is not among them is missed.
    """

    labels: Numbers
    fold_of: Numbers
    task: Task = "labels"
    metric: str = "accuracy of the nearest class direction"
    what: str = "labeled points"

    def held(self, fold: int) -> Rows:
        held: Rows = self.fold_of == fold
        return held

    def outcomes(self, space: Space, fold: int) -> Values:
        units, held = _units(space), self.held(fold)
        means = np.zeros((int(self.labels.max()) + 1, space.shape[1]))
        np.add.at(means, self.labels[~held], units[~held])
        there = np.bincount(self.labels[~held], minlength=len(means)) > 0
        cosines = np.where(there, units[held] @ _units(means).T, -np.inf)
        hits: Values = (cosines.argmax(axis=1) == self.labels[held]).astype(np.float64)
        return hits

    def score(self, outcomes: Values, chosen: Numbers) -> float:
        return float(outcomes[chosen].mean())


@dataclass(frozen=True)
class Unknown:
    """No task: points in folds, of which only the shape can be looked at."""

    fold_of: Numbers
    task: Task = "none"
    metric: str = ""
    what: str = "points"

    def held(self, fold: int) -> Rows:
        held: Rows = self.fold_of == fold
        return held

    def outcomes(self, space: Space, fold: int) -> Values:
        return np.full(int((self.fold_of == fold).sum()), np.nan)

    def score(self, outcomes: Values, chosen: Numbers) -> float:
        return float("nan")


HeldOut: TypeAlias = ScoredPairs | LabeledPoints | Unknown


def folds_of(count: int, folds: int, seed: int, classes: Numbers | None = None) -> Numbers:
    """Return a fold for each example, drawn at random; of each class as many in one as in another, about."""
    order = np.random.default_rng(seed).permutation(count)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    found = np.empty(count, dtype=np.int64)
    found[order] = np.arange(count) % folds
    return found


def _units(rows: Space) -> Values:
    """Return directions in float64; zero vectors stay zero, and have cosine 0 with all."""
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    units: Values = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return units


def _spearman(one: Values, other: Values) -> float:
    """Return the correlation of ranks, ties at their mean rank; nan where one of the two does not vary."""
    from scipy.stats import rankdata

    if len(one) < 2:
        return float("nan")
    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (one, other)]
    size = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    return float(ranks[0] @ ranks[1]) / size if size > 0 else float("nan")
