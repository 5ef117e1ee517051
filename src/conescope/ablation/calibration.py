"""Whether a classifier knows how sure it may be.

    NLL = - mean_i ln p_i(y_i)                                  nats, 0 at best; ln C for a uniform guess
    ECE = sum over bins b of n_b / n |accuracy_b - confidence_b|          0 at best, at most 1

with p = softmax of the logits. The confidence of an example is its largest probability; bin b of B holds
those in ((b - 1)/B, b/B]. The definition is that of Guo, Pleiss, Sun and Weinberger (2017, On Calibration of
Modern Neural Networks, arXiv:1706.04599, section 2).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Labels, Scalar

Logits = Float[Tensor, "n classes"]


def negative_log_likelihood(logits: Logits, labels: Labels) -> Scalar:
    """Return the mean negative log likelihood of the labels in nats, at least 0, in float64.

    Raises:
        ValueError: for no examples, another number of labels, a label that is no class, or a logit that is
            not finite.

    >>> negative_log_likelihood(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.6931, dtype=torch.float64)
    """
    _check(logits, labels)
    logs = logits.double().log_softmax(dim=1)
    return -logs.gather(1, labels.long()[:, None]).mean()


def expected_calibration_error(logits: Logits, labels: Labels, bins: int = 15) -> Scalar:
    """Return the expected calibration error over bins of equal width, between 0 and 1, in float64.

    It depends on the number of bins, and is biased upward for few examples a bin: compare it between models
    on the same examples only.

    Raises:
        ValueError: as `negative_log_likelihood`, or for fewer than one bin.

    >>> expected_calibration_error(torch.zeros(4, 2), torch.tensor([0, 0, 0, 1]))  # |3/4 - 1/2|
    tensor(0.2500, dtype=torch.float64)
    """
    _check(logits, labels)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    confidence, guess = logits.double().softmax(dim=1).max(dim=1)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=logits.device)
    numbers = torch.bucketize(confidence, edges[1:-1])  # a confidence on an edge is in the lower bin
    gap = (guess == labels).double() - confidence
    return gap.new_zeros(bins).index_add_(0, numbers, gap).abs().sum() / len(gap)


def _check(logits: Logits, labels: Labels) -> None:
    if logits.ndim != 2 or not len(logits) or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits (n, classes) and labels (n,) of one or more examples are needed, got shapes "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        row = int((~torch.isfinite(logits)).any(dim=1).nonzero()[0])
        raise ValueError(f"logits must be finite, but row {row} is not; has the training diverged?")
    if bool(((labels < 0) | (labels >= logits.shape[1])).any()):
        raise ValueError(f"labels must be classes from 0 to {logits.shape[1] - 1}, drop other rows")
