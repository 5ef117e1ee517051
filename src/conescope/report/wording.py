"""The words of a report: names of quantities for a reader, what each means, verdicts, and numbers."""

import math
import re
from typing import NamedTuple

MINUS = "\N{MINUS SIGN}"


class Sign(NamedTuple):
    """How a verdict looks: never by color alone, so it has a symbol and a word too."""

    symbol: str
    css: str


# The measure by which a geometry is judged, as in the verdict sentence: centered, since persistent entropy
# can not move the mean. The report reads results alone, so the name is here once more; a test compares.
HEADLINE = "anisotropy_1"

# Verdicts of `Difference`, best first.
SIGNS = {
    "improved": Sign("✓", "improved"),
    "unchanged within noise": Sign("≈", "unchanged"),
    "worse": Sign("✕", "worse"),
    "changed": Sign("Δ", "changed"),
    "not known": Sign("?", "unknown"),
}

BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "neither": "neither way is better",
}

# (pattern of the name, its name for a reader, what it means); the first that matches the whole name wins.
QUANTITIES = [
    ("accuracy", "Accuracy", "Share of the held-out examples with the right class."),
    (
        "macro_f1",
        "Macro-F1",
        "F1 of each class, averaged so that a rare class counts as much as a common one.",
    ),
    (
        "matthews",
        "Matthews correlation",
        "Correlation of predicted and true class: 1 is perfect, 0 is chance.",
    ),
    (
        r"anisotropy_(\d+)",
        r"Anisotropy \1, centered",
        r"Share of the variance about the mean that lies in the leading directions: k = \1 of them.",
    ),
    (
        r"anisotropy_(\d+)_uncentered",
        r"Anisotropy \1, uncentered",
        r"Share of the squared lengths, common mean included, in the leading directions: k = \1 of them.",
    ),
    (
        r"anisotropy_(\d+)_within_class",
        r"Anisotropy \1, within class",
        r"As centered, but about the mean of each class: the distance between classes does not count.",
    ),
    ("mean_cosine_centered", "Mean cosine, centered", "Mean cosine between two points seen from their mean."),
    (
        "mean_cosine",
        "Mean cosine, uncentered",
        "Mean cosine between two points seen from the origin: near 1 when all share one direction.",
    ),
    ("isoscore", "IsoScore", "How evenly the dimensions are used: 1 all alike, 0 a single line."),
    ("effective_rank", "Effective rank", "Number of directions that carry the variance, by its entropy."),
    (
        "persistent_entropy",
        "Persistent entropy",
        "How evenly the bars of the barcode share its length, in nats.",
    ),
    (
        "relative_persistent_entropy",
        "Relative persistent entropy",
        "Persistent entropy over its largest possible value: 1 when all bars are equally long.",
    ),
    (
        "participation_ratio",
        "Participation ratio",
        "Number of directions that carry the variance, by its squares.",
    ),
    ("eee", "EEE", "How early the variance is spent on the leading directions: 0 when all share it."),
    ("vrm", "VRM", "How far the principal scores are from a standard Gaussian: 0 when they are one."),
    (
        "point_patchiness",
        "Point patchiness",
        "How unevenly the points fill the cells of a quantizer: 1 when by chance alone.",
    ),
    (
        "twonn",
        "TwoNN dimension",
        "Intrinsic dimension by the ratio of the distances to the two nearest points.",
    ),
    (
        "mle_dimension",
        "MLE dimension",
        "Intrinsic dimension by the growth of neighborhoods with their radius.",
    ),
    ("drift", "Drift", "Length of the mean of all points, in their unit."),
    ("relative_drift", "Relative drift", "Length of the mean over the mean length: 1 when all points agree."),
    ("mean_norm", "Mean norm", "Mean length of the points, in their unit."),
    ("norm_variation", "Norm variation", "Standard deviation of the lengths over their mean: 0 on a sphere."),
    (
        "rogue_share",
        "Rogue share",
        "Share of the mean cosine that the three coordinates with the most of it carry.",
    ),
    ("hubness", "Hubness", "Skewness of how often a point is among the nearest of others: 0 without hubs."),
    ("step_seconds", "Seconds a step", "Median time of one optimizer step."),
    (
        "regularizer_seconds",
        "Seconds of the regularizer",
        "Median part of a step that the regularizer takes, forward and backward.",
    ),
]


def spoken(name: str) -> str:
    """Return the name of a quantity for a reader.

    >>> spoken("anisotropy_3"), spoken("pearson_r")
    ('Anisotropy 3, centered', 'Pearson r')
    """
    for pattern, words, _ in QUANTITIES:
        if found := re.fullmatch(pattern, name):
            return found.expand(words)
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def meaning(name: str) -> str:
    """Return one sentence on what a quantity means, or nothing for one that is not known here."""
    for pattern, _, sentence in QUANTITIES:
        if found := re.fullmatch(pattern, name):
            return found.expand(sentence)
    return ""


def decimals(largest: float, step: float = 0.0) -> int:
    """Return how many decimals show `largest` to four digits and `step` to two, at most two digits more.

    >>> decimals(0.9123), decimals(0.9123, 0.0002), decimals(31.4)
    (4, 5, 2)
    """
    wanted = 3 - _magnitude(largest)
    return min(max(wanted, 1 - _magnitude(step) if step else wanted, 0), max(wanted, 0) + 2, 9)


def _magnitude(value: float) -> int:
    value = abs(value)
    return math.floor(math.log10(value)) if 0 < value < math.inf else 0


def number(value: float | None, places: int | None = None, *, signed: bool = False) -> str:
    """Return a number as a reader wants it, with a true minus sign; a dash where there is none.

    >>> number(0.0312, signed=True), number(12.345, 1), number(float("nan"))
    ('+0.03120', '12.3', 'not a number')
    """
    if value is None:
        return "\N{EN DASH}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    if value == 0:
        return "0"
    places = decimals(value) if places is None else places
    plus = "+" if signed else ""
    text = f"{value:{plus}.{places}f}" if abs(value) >= 10**-places else f"{value:{plus}.2e}"
    return text.replace("-", MINUS)
