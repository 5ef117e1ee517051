"""What each regularizer costs: forward and backward on a batch, against a bfloat16 training step of MiniLM.

    python -m benchmarks.regularizers [--quick] [-o FILE]

One cloud of 64 points in 768 dimensions, and 64 classes of 16. The step is of MiniLM with a linear head on 64
sentences of BBC News: forward, backward and AdamW. Each loss is called as a training calls it: once a step,
after the forward pass, with what that leaves in caches and memory, and compared with the rest of that step.
By torch, NumPy and SciPy, and where numba is, persistent entropy also with the loops that it compiles.
A full run writes results/regularizers.json.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from experiments.encoders.embed import bbc, weights
from torch import Tensor, nn

from benchmarks.clouds import Law
from benchmarks.loops import COMPILED, loops, there_are_loops
from benchmarks.record import RESULTS, Row, run_alone, seconds
from benchmarks.timing import Timed, once, quotient
from conescope import losses

POINTS, CLASSES, EACH, DIMENSIONS = 64, 64, 16, 768
ROUNDS = {"full": 15, "quick": 1}
STEP = "training step of MiniLM, bfloat16"
PERSISTENT = "PersistentEntropyLoss"
Loss = Callable[[Tensor, Tensor | None], Tensor]
Arm = tuple[Loss, Tensor, Tensor | None, bool]  # the loss, what it is called with, and whether with loops
CLOUD: dict[str, Callable[[], Loss]] = {
    PERSISTENT: losses.PersistentEntropyLoss,
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
    PERSISTENT: losses.PersistentEntropyLoss,
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


class Training:
    """MiniLM with a linear head, which never changes."""

    def __init__(self, batch: int) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = weights("minilm", RESULTS)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).train()
        self.head = nn.Linear(self.model.config.hidden_size, 5)
        self.optimizer = torch.optim.AdamW([*self.model.parameters(), *self.head.parameters()], lr=0.0)
        self.texts = tokenizer(bbc(batch).texts, padding=True, return_tensors="pt")
        self.labels = torch.arange(batch) % 5

    def step(
        self, loss: Loss, points: Tensor, labels: Tensor | None, with_loops: bool = False
    ) -> tuple[float, float]:
        """Return the seconds of the loss with its gradient, and of the step without it."""
        points = points.clone().requires_grad_()
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.head(self.model(**self.texts).last_hidden_state[:, 0])
        task = nn.functional.cross_entropy(logits.float(), self.labels)
        with loops(with_loops):
            taken = once(lambda: loss(points, labels).backward())
        task.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return taken, time.perf_counter() - begin - taken


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
    arms: dict[str, Arm] = {}
    for shape, (table, given, classes_of) in shapes.items():
        # losses of one cloud get no labels: two classes would be two clouds to some of them
        arms |= {
            f"{name}, {shape}": (make(), given, None if table is CLOUD else classes_of, False)
            for name, make in table.items()
        }
        if PERSISTENT in table and there_are_loops():
            loss, given, classes_of, _ = arms[f"{PERSISTENT}, {shape}"]
            arms[f"{PERSISTENT} with {COMPILED}, {shape}"] = (loss, given, classes_of, True)
    of_losses, of_steps = in_steps(arms, ROUNDS[size])
    steps = Timed(tuple(taken for times in of_steps.values() for taken in times.seconds))
    return [
        Row(
            benchmark="regularizers",
            what=f"{name}, share of a step",
            value=100 * quotient(of_losses[name], of_steps[name]),
            unit="%",
            d=DIMENSIONS,
            most=0.5 if name.startswith(PERSISTENT) else 1.0,
            seconds=seconds({name: of_losses[name]}),
        )
        for name in arms
    ] + [
        Row(
            benchmark="regularizers",
            what=STEP,
            value=steps.median * 1e3,
            unit="ms",
            seconds=seconds({STEP: steps}),
        )
    ]


def in_steps(arms: Mapping[str, Arm], rounds: int) -> tuple[dict[str, Timed], dict[str, Timed]]:
    """Return the seconds of each loss, and of the steps it was called in; a first round does not count."""
    training = Training(POINTS)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(1 + rounds):
        for name, arm in arms.items():
            taken[name].append(training.step(*arm))
    of_losses = {name: Timed(tuple(one for one, _ in times[1:])) for name, times in taken.items()}
    return of_losses, {name: Timed(tuple(step for _, step in times[1:])) for name, times in taken.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the arms, which take turns."""
    return run_alone("regularizers", __doc__ or "", rows, arguments)


if __name__ == "__main__":
    sys.exit(main())
