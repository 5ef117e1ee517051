"""The ablation on an LSTM, a CNN and a ViT, trained from scratch: does what holds for encoders hold there?

    python -m experiments.ablation.small [lstm cnn vit] --runs FOLDER

The loop is plain PyTorch; arms, the choice of weights on a split of the training data, statistics and page
are those of `conescope ablate`. Each run is a file in FOLDER, and the same command goes on where it was.
"""

import argparse
import hashlib
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from experiments.ablation.run import CHOSEN, PUBLISHED, SELECTION_SEED
from experiments.ablation.small_models import EXAMPLES, KINDS, Classifier, Data, Examples, Kind, data_of
from torch.nn.functional import cross_entropy

from conescope._files import write_text
from conescope.ablation import ArmSpec, parse_arm
from conescope.ablation.arms import with_runs
from conescope.ablation.calibration import expected_calibration_error, negative_log_likelihood
from conescope.ablation.measuring import finite, geometry_of
from conescope.ablation.paired_error import paired_error
from conescope.ablation.running import slug
from conescope.ablation.statistics import front, paired_differences, verdict
from conescope.ablation.weight_selection import choose, split
from conescope.losses import IsoScoreLoss
from conescope.results import Ablation, AblationRun, Tried
from conescope.training.provenance import hardware, versions
from conescope.training.scores import classification_scores, main_score
from conescope.training.tables import LabelledTexts

SEEDS = (0, 1, 2, 3, 4)
EVERY = (*PUBLISHED, *CHOSEN)
ARMS = {
    "lstm": (PUBLISHED[0], "koleo", "spectral-entropy", "uniformity"),  # steps are slow
    "cnn": EVERY,
    "vit": EVERY,
}
GRID = (0.003, 0.03, 0.3, 3.0)
BATCH = 64
SHARE = 0.2  # of the training data, held out to choose weights
WARMUP = 0.06


def trained(
    kind: Kind, data: Data, arm: ArmSpec, weight: float | None, seed: int
) -> tuple[AblationRun, list[int]]:
    """Train one arm with one seed; return the run and its guesses on dev.

    The seed sets weights, the order of the data and the dropout; regularizers draw from generators of their
    own, so arms of one seed see the same of each.
    """
    began = time.perf_counter()
    torch.manual_seed(seed)
    model = Classifier(kind.encoder(), kind.width, len(data.classes)).train()
    regularizer = arm.loss(weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=kind.lr, weight_decay=0.01, fused=True)
    batches = -(-len(data.train.labels) // BATCH)
    steps = kind.epochs * batches
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARMUP * steps), (steps - step) / (steps * (1 - WARMUP)))
    )
    order = torch.Generator().manual_seed(seed)
    score = main_score(len(data.classes))
    curve, history, taken, spent = [], [], [], []
    for epoch in range(kind.epochs):
        if isinstance(regularizer, IsoScoreLoss):
            regularizer.update(outputs(model, data.train)[0])
        for rows in torch.randperm(len(data.train.labels), generator=order).split(BATCH):
            start = time.perf_counter()
            points, logits = model(data.train.inputs[rows])
            task = cross_entropy(logits, data.train.labels[rows])
            before = time.perf_counter()
            penalty = regularizer(points, data.train.labels[rows]) if regularizer is not None else 0.0
            spent.append(time.perf_counter() - before)
            (task + penalty).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            taken.append(time.perf_counter() - start)
        guesses = outputs(model, data.dev)[1]
        step = (epoch + 1) * batches
        curve.append(
            {"step": float(step), score: scores(guesses, data.dev)[score], "nll": nll(guesses, data.dev)}
        )
        history.append({"step": float(step), "loss": float(task.detach())})
    points, logits = outputs(model, data.dev)
    on_train = outputs(model, data.train)[1]
    run = AblationRun(
        arm=arm.name,
        seed=seed,
        scores=scores(logits, data.dev),
        calibration=finite(
            {
                "nll": nll(logits, data.dev),
                "ece": float(expected_calibration_error(logits, data.dev.labels)),
            }
        ),
        train_scores=finite(scores(on_train, data.train) | {"nll": nll(on_train, data.train)}),
        curve=tuple(finite(row) for row in curve),
        geometry=geometry_of(points, data.dev.labels),
        history=tuple(finite(row) for row in history),
        warnings=(),
        steps=steps,
        step_seconds=statistics.median(taken),
        regularizer_seconds=statistics.median(spent) if regularizer is not None else 0.0,
        seconds=time.perf_counter() - began,
    )
    return run, logits.argmax(dim=1).tolist()


@torch.no_grad()
def outputs(model: Classifier, examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    """Return vectors and logits without dropout."""
    model.eval()
    found = [model(inputs) for inputs in examples.inputs.split(512)]
    model.train()
    return torch.cat([points for points, _ in found]), torch.cat([logits for _, logits in found])


def scores(logits: torch.Tensor, examples: Examples) -> dict[str, float]:
    """Return accuracy, macro F1 and Matthews correlation."""
    return classification_scores(examples.labels.tolist(), logits.argmax(dim=1).tolist())


def nll(logits: torch.Tensor, examples: Examples) -> float:
    """Return the negative log likelihood in nats."""
    return float(negative_log_likelihood(logits, examples.labels))


class Kept:
    """Runs on disk, each a file that is named after what determines it."""

    def __init__(self, folder: Path, name: str, data: Data) -> None:
        self.folder, self.name, self.kind = folder / name, name, KINDS[name]
        self.marks = hashlib.sha256(data.train.inputs.numpy().tobytes() + data.dev.inputs.numpy().tobytes())

    def run(
        self, part: str, data: Data, arm: ArmSpec, weight: float | None, seed: int
    ) -> tuple[AblationRun, list]:
        settings = [
            self.name,
            EXAMPLES,
            BATCH,
            self.kind.epochs,
            self.kind.lr,
            self.marks.hexdigest(),
            arm.settings,
            weight,
        ]
        key = hashlib.sha256(json.dumps([*settings, seed], default=str).encode()).hexdigest()[:12]
        path = self.folder / part / f"{slug(arm.name)}-seed-{seed}-{key}.json"
        if path.is_file():
            held = json.loads(path.read_text())
            return AblationRun.model_validate(held["run"]), held["guesses"]
        run, guesses = trained(self.kind, data, arm, weight, seed)
        write_text(path, json.dumps({"run": run.model_dump(), "guesses": guesses}))
        print(
            f"{time.strftime('%H:%M:%S')} {self.name} {part} {arm.name} x{weight} seed {seed}: "
            f"{run.scores['accuracy']:.3f} in {run.seconds:.0f} s",
            flush=True,
        )
        return run, guesses


def weights_of(kept: Kept, data: Data, arms: list[ArmSpec], score: str):
    """Return what was tried on the split, and the weight that each arm got."""
    labels = LabelledTexts(("",) * len(data.train.labels), None, tuple(data.train.labels.tolist()))
    rest, held = split(labels, SHARE, seed=0)
    part = Data(data.train.take(rest), data.train.take(held), data.classes)
    truth = part.dev.labels.tolist()
    plain, guessed = kept.run("selection", part, ArmSpec(), None, SELECTION_SEED)
    tried, choices = [], []
    for arm in arms:
        mine = []
        for weight in GRID:
            run, guesses = kept.run("selection", part, arm, weight, SELECTION_SEED)
            mine.append(
                Tried(
                    arm=arm.name,
                    weight=weight,
                    seed=SELECTION_SEED,
                    score=run.scores[score],
                    plain_score=plain.scores[score],
                    difference=run.scores[score] - plain.scores[score],
                    error=paired_error(truth, guesses, guessed, score),
                    geometry=run.geometry,
                )
            )
        tried += mine
        choices.append(choose(arm.name, mine))
    return tried, choices


def study(name: str, runs: Path) -> Ablation:
    """Return the ablation of one model, from the runs that are there and those that are made now."""
    kind = KINDS[name]
    data = data_of(kind)
    kept = Kept(runs, name, data)
    score = main_score(len(data.classes))
    arms = [ArmSpec(), *(parse_arm(text) for text in ARMS[name])]
    tried, choices = weights_of(kept, data, [arm for arm in arms if not arm.fixed], score)
    chosen = {choice.arm: choice.weight for choice in choices}
    weight_of = {arm.name: chosen.get(arm.name, arm.weight) for arm in arms}
    found: dict[str, list[AblationRun]] = {arm.name: [] for arm in arms}
    for seed in SEEDS:
        for arm in arms:
            found[arm.name].append(kept.run("runs", data, arm, weight_of[arm.name], seed)[0])
    compared = tuple(with_runs(arm, weight_of[arm.name], found[arm.name]) for arm in arms)
    differences, points = paired_differences(compared, score), front(compared, score)
    return Ablation(
        title=f"{name} on {'BBC News' if kind.data == 'sentences' else 'digits'}",
        verdict=verdict(differences, points, score, len(SEEDS)),
        command=f"python -m experiments.ablation.small {name} --runs FOLDER",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe={"epochs": kind.epochs, "lr": kind.lr, "batch_size": BATCH, "grid": list(GRID)},
        versions=versions(),
        hardware=hardware(torch.device("cpu"), "fp32"),
        data={"train_examples": len(data.train.labels), "dev_examples": len(data.dev.labels)},
        classes=data.classes,
        main_score=score,
        seeds=SEEDS,
        weights="auto",
        tried=tuple(tried),
        choices=tuple(choices),
        arms=compared,
        differences=tuple(differences),
        front=tuple(points),
    )


def main() -> None:
    """Do the models that the command line names."""
    asked = argparse.ArgumentParser(description="The ablation on small models that begin from scratch.")
    asked.add_argument("models", nargs="*", default=list(KINDS), metavar="MODEL")
    asked.add_argument("--runs", type=Path, required=True, metavar="FOLDER")
    wanted = asked.parse_args()
    if unknown := set(wanted.models) - set(KINDS):
        asked.error(f"there are {', '.join(KINDS)}; got {', '.join(sorted(unknown))}")
    for name in wanted.models:
        found = study(name, wanted.runs)
        write_text(wanted.runs / name / "ablation.json", found.model_dump_json())
        print(f"{name}: {found.verdict}", flush=True)


if __name__ == "__main__":
    main()
