"""What a trained model is measured by."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conescope.ablation.calibration import expected_calibration_error, negative_log_likelihood
from conescope.survey.measure import measure
from conescope.training.encoder import outputs
from conescope.training.recipe import Recipe
from conescope.training.scores import classification_scores
from conescope.training.snapshot import GEOMETRY

MEASURED = (*GEOMETRY, "participation_ratio", "uniformity", "neural_collapse", "class_separation")


@dataclass(frozen=True)
class Seen:
    """A model on labelled examples. NaN never stands in the dictionaries: what is not defined is left out."""

    logits: Tensor  # (n, classes)
    points: Tensor  # (n, d)
    predictions: list[int]
    scores: dict[str, float]
    calibration: dict[str, float]


def seen(model: Any, data: list[dict[str, Any]], tokenizer: Any, recipe: Recipe) -> Seen:
    """Return logits, embeddings and scores of a model in evaluation mode, from one pass over the data."""
    logits, points = outputs(model, data, tokenizer, recipe)
    labels = torch.tensor([row["labels"] for row in data])
    predictions = logits.argmax(dim=1).tolist()
    diverged = not bool(torch.isfinite(logits).all())
    calibration = (
        {}
        if diverged
        else {
            "nll": float(negative_log_likelihood(logits, labels)),
            "ece": float(expected_calibration_error(logits, labels)),
        }
    )
    return Seen(logits, points, predictions, classification_scores(labels.tolist(), predictions), calibration)


def scores_and_nll(scores: Mapping[str, float], calibration: Mapping[str, float]) -> dict[str, float]:
    """Return what is told of training examples: the scores, and nll where it is defined."""
    return {**scores, **{name: value for name, value in calibration.items() if name == "nll"}}


def geometry_of(points: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the measures of embeddings that are defined; none of a model that diverged."""
    if not bool(torch.isfinite(points).all()):
        return {}
    found = measure(points, labels, MEASURED, intervals=False, null=False)
    return finite({value.name: value.value for value in found.values if value.value is not None})


def finite(row: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of a row that JSON can hold."""
    return {name: float(value) for name, value in row.items() if math.isfinite(value)}


def training_sample(train: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Return the same examples for every arm and seed: all, or so many drawn with a fixed seed."""
    if len(train) <= most:
        return train
    chosen = np.sort(np.random.default_rng(0).choice(len(train), most, replace=False))
    return [train[int(row)] for row in chosen]
