"""How well a classifier does on held-out examples."""

from collections.abc import Sequence

from conescope._optional import require

SCORES = ("accuracy", "macro_f1", "matthews")


def classification_scores(labels: Sequence[int], predictions: Sequence[int]) -> dict[str, float]:
    """Return accuracy and macro F1 (0 to 1) and Matthews correlation (-1 to 1; 0 for a constant guess)."""
    metrics = require("sklearn.metrics", extra="hf")
    return {
        "accuracy": float(metrics.accuracy_score(labels, predictions)),
        "macro_f1": float(metrics.f1_score(labels, predictions, average="macro", zero_division=0)),
        "matthews": float(metrics.matthews_corrcoef(labels, predictions)),
    }


def main_score(classes: int) -> str:
    """Return the score a comparison is judged by: Matthews correlation for two classes, else accuracy."""
    return "matthews" if classes == 2 else "accuracy"
