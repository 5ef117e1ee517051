"""What each regularizer costs: forward and backward on a batch, against a bfloat16 training step of MiniLM.

    python -m benchmarks.regularizers [--quick] [-o FILE]

One cloud of 64 points in 768 dimensions, and 64 classes of 16. The step is of MiniLM with a linear head on 64
sentences of BBC News: forward, backward and AdamW. A full run writes results/regularizers.json.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from experiments.encoders.embed import bbc, weights
from torch import Tensor, nn

from benchmarks.clouds import Law
from benchmarks.record import RESULTS, Row, run_alone, seconds
from benchmarks.timing import Timed, in_turns, quotient
from conescope import losses

POINTS, CLASSES, EACH, DIMENSIONS = 64, 64, 16, 768
ROUNDS = {"full": 15, "quick": 1}
CALLS = 5  # of a loss in a round, so that a round is long enough to be timed
STEP = "training step of MiniLM, bfloat16"
Loss = Callable[[Tensor, Tensor | None], Tensor]
CLOUD: dict[str, Callable[[], Loss]] = {
    "PersistentEntropyLoss": losses.PersistentEntropyLoss,
    "CosineLoss": losses.CosineLoss,
    "UniformityLoss": losses.UniformityLoss,
    "KoLeoLoss": losses.KoLeoLoss,
    "OrthogonalLoss": losses.OrthogonalLoss,
    "VarianceCovarianceLoss": losses.VarianceCovarianceLoss,
    "SlicedGaussianLoss": losses.SlicedGaussianLoss,
    "SpectralEntropyLoss": losses.SpectralEntropyLoss,
    "SpectralEntropyLoss, order 2": lambda: losses.SpectralEntropyLoss(order=2),
    "IsoScoreLoss": lambda: _with_reference(),
    "TopologicalLoss": lambda: _of_reference(),
}
PAIRS: dict[str, Callable[[], Loss]] = {  # points are two views of half as many examples
    "AlignmentLoss": losses.AlignmentLoss,
    "CrossCorrelationLoss": losses.CrossCorrelationLoss,
}
PER_CLASS: dict[str, Callable[[], Loss]] = {
    "PersistentEntropyLoss": losses.PersistentEntropyLoss,
    **{
        f"PerClass({kind.__name__})": lambda kind=kind: losses.PerClass(kind())
        for kind in (
            losses.KoLeoLoss,
            losses.CosineLoss,
            losses.UniformityLoss,
            losses.OrthogonalLoss,
            losses.VarianceCovarianceLoss,
            losses.SpectralEntropyLoss,
        )
    },
}


def _with_reference() -> Loss:
    loss = losses.IsoScoreLoss()
    loss.update(cloud(2048))
    return loss


def _of_reference() -> Loss:
    loss, reference = losses.TopologicalLoss(), cloud(POINTS, seed=1)
    return lambda points, labels: loss(points, labels, reference=reference)


def cloud(count: int, seed: int = 0) -> Tensor:
    """Return points like embeddings."""
    return Law(DIMENSIONS, seed).draw(count)


def called(loss: Loss, points: Tensor, labels: Tensor | None) -> Callable[[], Any]:
    """Return a call that takes the loss and its gradient several times."""
    given = points.clone().requires_grad_()

    def call() -> float:
        value = torch.zeros(())
        for _ in range(CALLS):
            given.grad = None  # a training has the points anyway, but not their gradient
            value = loss(given, labels)
            value.backward()
        return float(value.detach())

    return call


def training_step(batch: int) -> Callable[[], Any]:
    """Return one step of MiniLM with a linear head."""
    from transformers import AutoModel, AutoTokenizer

    folder = weights("minilm", RESULTS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).train()
    head = nn.Linear(model.config.hidden_size, 5)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=0.0)
    texts = tokenizer(bbc(batch).texts, padding=True, return_tensors="pt")
    labels = torch.arange(batch) % 5

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(model(**texts).last_hidden_state[:, 0])
        loss = nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def rows(size: str) -> list[Row]:
    """Return the share of a step that each loss takes."""
    points, labels = cloud(POINTS), torch.arange(POINTS) % 2
    pairs = torch.arange(POINTS) // 2
    classes = cloud(CLASSES * EACH), torch.arange(CLASSES * EACH) // EACH
    shapes: dict[str, tuple[Mapping[str, Callable[[], Loss]], Tensor, Tensor]] = {
        f"{POINTS} x {DIMENSIONS}": (CLOUD, points, labels),
        f"{POINTS // 2} pairs x {DIMENSIONS}": (PAIRS, points, pairs),
        f"{CLASSES} classes x {EACH} x {DIMENSIONS}": (PER_CLASS, *classes),
    }
    arms = {STEP: training_step(POINTS)}
    for shape, (table, given, classes_of) in shapes.items():
        # losses of one cloud get no labels: two classes would be two clouds to some of them
        arms |= {
            f"{name}, {shape}": called(make(), given, None if table is CLOUD else classes_of)
            for name, make in table.items()
        }
    times, _ = in_turns(arms, ROUNDS[size])
    return [
        Row(
            benchmark="regularizers",
            what=f"{name}, share of a step",
            value=100 * quotient(times[name], times[STEP]) / CALLS,
            unit="%",
            d=DIMENSIONS,
            most=0.5 if name.startswith("PersistentEntropyLoss") else 1.0,
            seconds=seconds({name: _one_call(times[name])}),
        )
        for name in arms
        if name != STEP
    ] + [
        Row(
            benchmark="regularizers",
            what=STEP,
            value=times[STEP].median * 1e3,
            unit="ms",
            seconds=seconds(times, STEP),
        )
    ]


def _one_call(times: Timed) -> Timed:
    return Timed(tuple(taken / CALLS for taken in times.seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the arms, which take turns."""
    return run_alone("regularizers", __doc__ or "", rows, arguments)


if __name__ == "__main__":
    sys.exit(main())
