"""Signs in the log that a regularizer does not do what it is there for, each with its remedy.

Pure functions of the rows that were logged. Kudriashov et al. (2025, arXiv:2501.05502) report the first two
as the ways in which their regularizer fails; the others are how any regularizer may.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from conescope.losses import PersistentEntropyLoss
from conescope.losses.wrapper import Loss

Row = Mapping[str, float]
ROWS = 3  # a mean over fewer rows is not worth a warning
TAKING_OVER = 0.5  # share of the gradient at the embeddings
NEAR_MAXIMUM = 0.99  # of the relative entropy of the bars
FEW_BARS = 0.25  # share of the bars that are kept
MOVED = 0.02  # relative change of anisotropy_1 that counts as moving


class Signature(NamedTuple):
    """`kind` names it for logging it once; `text` is for people."""

    kind: str
    text: str


@dataclass(frozen=True)
class Known:
    """What is known about a run beside its rows; None for what is not."""

    classes: int | None = None
    dimension: int | None = None
    majority: float | None = None  # share of the most frequent class
    entropy_weight: float | None = None  # of a persistent entropy, apart from a balanced weight

    @classmethod
    def of(cls, regularizer: Loss, labels: Sequence[int], dimension: int) -> "Known":
        """Return what a regularizer and the labels of the training data tell."""
        counts = Counter(labels)
        parts = getattr(regularizer, "modules", lambda: ())()
        weights = [part.weight for part in parts if isinstance(part, PersistentEntropyLoss)]
        return cls(
            classes=len(counts),
            dimension=dimension,
            majority=max(counts.values()) / len(labels),
            entropy_weight=weights[0] if len(weights) == 1 else None,
        )


def training_signatures(
    history: Sequence[Row], evaluations: Sequence[Row] = (), known: Known = Known()
) -> list[Signature]:
    """Return the signs in the rows of training and evaluation so far.

    Means over all rows; with fewer than three rows there is no sign but skipped classes.
    """
    found = []
    skipped = _mean(history, "classes_skipped")
    if skipped is not None and skipped > 0:
        text = f"{skipped:.2f} classes a batch had too few points for the regularizer and were skipped"
        remedy = "lower min_points or enlarge the batch"
        found.append(Signature("classes skipped", f"{text}; {remedy}"))
    share = _mean(history, "gradient_share", at_least=ROWS)
    if share is not None and share > TAKING_OVER:
        text = f"the regularizer is taking over: {share:.0%} of the gradient at the embeddings is its own"
        found.append(Signature("taking over", f"{text}; take a smaller weight, or balanced=0.05"))
    if len(history) >= ROWS:
        # small clouds are the rule, and explain an outcome, but are no sign by themselves
        found += [Signature(kind, text) for kind, text in _idle(history, known) if kind != "small clouds"]
    return found + _at_chance(evaluations, known)


def _idle(history: Sequence[Row], known: Known) -> list[Signature]:
    """Return why a persistent entropy can not move isotropy much, strongest reason first."""
    bars, kept = _mean(history, "bars"), _mean(history, "bars_kept")
    if bars is None or kept is None or bars <= 0:
        return []
    found = []
    if kept < FEW_BARS * bars:
        text = (
            f"the selection keeps {kept:.1f} of {bars:.1f} bars a batch, so that most points get no gradient"
        )
        found.append(Signature("few bars", f"{text}; try selection=None or a larger batch"))
    relative = _relative_entropy(history, known)
    if relative is not None and relative > NEAR_MAXIMUM:
        text = f"the bars are nearly equal already, their entropy at {relative:.1%} of its maximum"
        remedy = "little is left to gain, leave it out unless isotropy moves"  # which it may all the same
        found.append(Signature("entropy at its maximum", f"{text}; {remedy}"))
    if known.classes and known.dimension and bars / known.classes + 1 < known.dimension:
        points = bars / known.classes + 1
        text = f"{points:.0f} points of a class in a batch are few for {known.dimension} dimensions"
        found.append(Signature("small clouds", f"{text}; try a larger batch"))
    return found


def outcome_signatures(
    anisotropy: float | None,
    plain_anisotropy: float | None,
    score_difference: float | None,
    score_error: float | None,
    history: Sequence[Row] = (),
    known: Known = Known(),
) -> list[Signature]:
    """Return the signs in what a run ended with, against plain training with the same seed.

    `anisotropy` is the centered anisotropy_1 of the embeddings (lower is more isotropic) and
    `plain_anisotropy` that of plain training; `score_difference` is the score minus plain's, with its
    standard error over the examples. None is not known, and gives no sign.
    """
    found = []
    if anisotropy is not None and plain_anisotropy is not None and plain_anisotropy > 0:
        change = anisotropy / plain_anisotropy - 1
        if change > MOVED:
            text = f"anisotropy rose: centered anisotropy_1 changed by {change:+.1%} against plain"
            found.append(Signature("anisotropy rose", f"{text}; try another weight, or leave it out"))
        elif change > -MOVED:
            reasons = [text for _, text in _idle(history, known)] or ["try a larger weight"]
            text = f"isotropy is not moving: centered anisotropy_1 changed by {change:+.1%} against plain"
            found.append(Signature("isotropy not moving", f"{text}; {reasons[0]}"))
    if score_difference is not None and score_error is not None and score_difference < -2 * score_error < 0:
        text = f"the score dropped by {-score_difference:.3f} against plain training"
        more = f"beyond twice the standard error of {score_error:.3f}"
        found.append(Signature("score dropped", f"{text}, {more}; take a smaller weight, or balanced=0.05"))
    return found


def _at_chance(evaluations: Sequence[Row], known: Known) -> list[Signature]:
    """A classifier that guesses one class after two evaluations may have collapsed."""
    if len(evaluations) < 2:
        return []
    last = evaluations[-1]
    if last.get("matthews", 1.0) > 0 or last.get("accuracy", 1.0) > (known.majority or 0.0) + 0.02:
        return []
    return [
        Signature(
            "score at chance",
            "the score is at chance after two evaluations or more; take a smaller weight of the regularizer, "
            "a smaller learning rate, or more warmup; where plain training is at chance too, more steps",
        )
    ]


def _relative_entropy(history: Sequence[Row], known: Known) -> float | None:
    """Return the entropy of the kept bars over the largest for that many, from the logged loss.

    With k classes of m bars in all, sum_c ln m_c <= k ln(m / k): the result is at most the true one.
    """
    if known.entropy_weight is None or known.classes is None or known.entropy_weight <= 0:
        return None
    values = []
    for row in history:
        weight = known.entropy_weight * row.get("balanced_weight", 1.0)
        entered = known.classes - row.get("classes_skipped", 0.0)
        if "regularizer" in row and entered > 0 and row["bars_kept"] > entered and weight > 0:
            largest = entered * math.log(row["bars_kept"] / entered)
            values.append(-row["regularizer"] / weight / largest)
    return sum(values) / len(values) if values else None


def _mean(rows: Sequence[Row], name: str, at_least: int = 1) -> float | None:
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values) if len(values) >= at_least else None
