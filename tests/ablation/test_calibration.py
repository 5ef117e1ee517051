"""Calibration against values by hand, planted truths, a slow loop, and torchmetrics."""

import math

import numpy as np
import pytest
import torch

from conescope.ablation.calibration import expected_calibration_error, negative_log_likelihood


def slow_error(probabilities, labels, bins):
    """The sum over bins ((b-1)/B, b/B] of n_b/n |accuracy - confidence|, bin by bin."""
    total = 0.0
    confidence, guess = probabilities.max(1), probabilities.argmax(1)
    for b in range(1, bins + 1):
        inside = (confidence > (b - 1) / bins) & (confidence <= b / bins)
        if inside.any():
            right = (guess[inside] == labels[inside]).mean()
            total += inside.mean() * abs(right - confidence[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_the_error_is_that_of_the_definition(bins):
    rng = np.random.default_rng(bins)
    logits, labels = 2 * rng.standard_normal((200, 3)), rng.integers(0, 3, 200)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = expected_calibration_error(torch.from_numpy(logits), torch.from_numpy(labels), bins)
    assert float(found) == pytest.approx(slow_error(shares, labels, bins), abs=1e-12)
    assert float(found) > 0.05


def test_torchmetrics_agrees():
    metrics = pytest.importorskip("torchmetrics.functional.classification")
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(300, 4, generator=generator)
    labels = torch.randint(0, 4, (300,), generator=generator)
    theirs = metrics.multiclass_calibration_error(logits, labels, num_classes=4, n_bins=15, norm="l1")
    torch.testing.assert_close(expected_calibration_error(logits, labels), theirs.double(), atol=1e-6, rtol=0)


def test_a_calibrated_guesser_has_no_error_and_a_boaster_has_his_boast():
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64).repeat(8, 1)  # 3/4 sure of class 0
    right = torch.tensor([0] * 6 + [1] * 2)
    assert float(expected_calibration_error(logits, right)) == pytest.approx(0, abs=1e-12)
    assert float(expected_calibration_error(logits, 1 - right)) == pytest.approx(0.5)
    assert float(negative_log_likelihood(logits, right)) == pytest.approx(
        -(6 * math.log(3 / 4) + 2 * math.log(1 / 4)) / 8
    )


def test_the_likelihood_is_that_of_cross_entropy_and_never_overflows():
    logits = torch.tensor([[1e4, 0.0], [0.0, 1.0]])
    labels = torch.tensor([1, 1])
    expected = (1e4 + math.log1p(math.exp(-1))) / 2
    assert float(negative_log_likelihood(logits, labels)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), "one or more examples"),
        (torch.tensor([[0.0, math.nan]]), torch.tensor([0]), "row 0 is not"),
        (torch.zeros(1, 2), torch.tensor([2]), "from 0 to 1"),
        (torch.zeros(2, 2), torch.tensor([0]), "one or more examples"),
    ],
)
def test_what_is_refused(logits, labels, words, without_shape_checks):
    for quantity in (negative_log_likelihood, expected_calibration_error):
        with pytest.raises(ValueError, match=words):
            quantity(logits, labels)


def test_bins_are_counted(without_shape_checks):
    with pytest.raises(ValueError, match="at least 1"):
        expected_calibration_error(torch.zeros(1, 2), torch.tensor([0]), bins=0)
