"""A small masked language model from scratch: does a regularizer of the whole space help pre-training?

    python -m experiments.ablation.pretraining --wikitext FOLDER --runs FOLDER

Regularized are token vectors of the last layer, as the head of the model reads them: 256 of a batch, drawn
anew in each step. Not means over sequences: nothing in the task reads a mean, a batch has only 32 of them,
and what is said about the anisotropy of pre-trained models is said of token vectors. There are no classes.

The score is the log likelihood of a masked token in nats, minus the validation loss, so that higher is
better. Arms of a seed have the same weights at the start, order of the data, masks, and tokens that are
regularized. Each run is a file, and the same command goes on where it was. `--quick` does all in miniature.
"""

import argparse
import hashlib
import json
import math
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from experiments.ablation.run import GRID, SELECTION_SEED
from experiments.bernas2026.corpus import byte_level, masked, order, sequences, token_numbers, wikitext
from experiments.bernas2026.models import encoder
from experiments.bernas2026.tasks import Size
from torch import Tensor

from conescope._files import write_text
from conescope.ablation import ArmSpec, parse_arm
from conescope.ablation.calibration import expected_calibration_error, negative_log_likelihood
from conescope.ablation.measuring import MEASURED, finite
from conescope.ablation.running import slug
from conescope.ablation.statistics import front, paired_differences, verdict
from conescope.ablation.weight_selection import choose
from conescope.results import Ablation, AblationArm, AblationRun, Tried
from conescope.survey.measure import measure
from conescope.training.provenance import hardware, versions

ARMS = ("persistent-entropy:weight=1", "koleo", "variance-covariance")  # the published one at its weight
SEEDS = (0, 1, 2)
SCORE = "log_likelihood"
SHARE = 0.2  # of the training sequences, the last ones, held out to choose weights
WARMUP = 0.06
CLASSLESS = tuple(
    name
    for name in MEASURED
    if name not in ("anisotropy_1_within_class", "neural_collapse", "class_separation")
)


class Setting(NamedTuple):
    """Of the model and its training."""

    size: Size
    steps: int
    batch: int
    length: int
    rate: float
    cloud: int  # tokens of a batch that are regularized
    held: int  # sequences of an evaluation
    evaluations: int  # in a run, the last one at its end


FULL = Setting(Size(), 360, 32, 128, 1e-3, 256, 256, 6)
QUICK = Setting(Size(hidden=16, layers=2, heads=2, types=300), 6, 4, 16, 1e-3, 24, 8, 2)


class Corpus(NamedTuple):
    """Sequences to train on, sequences to report on, and how many types of tokens there are."""

    train: Tensor
    dev: Tensor
    types: int


class Seen(NamedTuple):
    """A model on sequences with masks that are always the same."""

    logits: Tensor  # of the masked tokens
    labels: Tensor
    sums: list[float]  # log likelihood of the masked tokens of each sequence
    counts: list[int]  # of masked tokens

    @property
    def scores(self) -> dict[str, float]:
        """Mean log likelihood and accuracy of the masked tokens."""
        if self.diverged:
            return {}
        right = self.logits.argmax(dim=1) == self.labels
        return {SCORE: sum(self.sums) / sum(self.counts), "accuracy": float(right.double().mean())}

    @property
    def calibration(self) -> dict[str, float]:
        """Negative log likelihood and expected calibration error; none of a model that diverged."""
        if self.diverged:
            return {}
        return {
            "nll": float(negative_log_likelihood(self.logits, self.labels)),
            "ece": float(expected_calibration_error(self.logits, self.labels)),
        }

    @property
    def diverged(self) -> bool:
        """Whether a logit is not finite."""
        return not bool(torch.isfinite(self.logits).all())


class Kept(NamedTuple):
    """What a run leaves: itself, and what the error of a difference needs."""

    run: AblationRun
    sums: list[float]
    counts: list[int]


def corpus_of(folder: Path, setting: Setting) -> Corpus:
    """Return WikiText-2 in sequences; the tokenizer is trained on the training text."""
    _, lines, held_out = wikitext(folder)
    tokenizer = byte_level(lines, setting.size.types)
    train, dev = (sequences(token_numbers(tokenizer, part), setting.length) for part in (lines, held_out))
    return Corpus(train, dev, tokenizer.get_vocab_size())


@torch.no_grad()
def seen(model, rows: Tensor, types: int, batch: int) -> Seen:
    """Return what the model makes of masked tokens."""
    model.eval()
    inputs, labels = masked(rows, types, torch.Generator().manual_seed(0))
    logits, sums = [], []
    for part, truth in zip(inputs.split(batch), labels.split(batch), strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            found = model(input_ids=part).logits[truth >= 0].float()
        logits.append(found)
        right = found.log_softmax(dim=1).gather(1, truth[truth >= 0][:, None])[:, 0].double()
        sequence = (truth >= 0).nonzero()[:, 0]
        sums += torch.zeros(len(part), dtype=torch.float64).index_add(0, sequence, right).tolist()
    model.train()
    return Seen(torch.cat(logits), labels[labels >= 0], sums, (labels >= 0).sum(dim=1).tolist())


@torch.no_grad()
def token_vectors(model, rows: Tensor, batch: int) -> Tensor:
    """Return the last layer's vectors of all tokens, with nothing masked."""
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = [model.bert(input_ids=part).last_hidden_state.float() for part in rows.split(batch)]
    model.train()
    return torch.cat(found).flatten(0, 1)


def trained(corpus: Corpus, setting: Setting, arm: ArmSpec, weight: float | None, seed: int) -> Kept:
    """Train one arm with one seed."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    model = encoder(corpus.types, setting.size, setting.length).train()
    regularizer = arm.loss(weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=setting.rate, weight_decay=0.01, fused=True)
    steps, held = setting.steps, corpus.dev[: setting.held]
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARMUP * steps), (steps - step) / (steps * (1 - WARMUP)))
    )
    numbers = order(len(corpus.train), steps * setting.batch, seed).split(setting.batch)
    curve, taken, spent = [], [], []
    for step in range(steps):
        generator = torch.Generator().manual_seed(1_000_003 * (seed + 1) + step)
        inputs, labels = masked(corpus.train[numbers[step]], corpus.types, generator)
        some = torch.randperm(inputs.numel(), generator=generator)[: setting.cloud]
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            found = model(input_ids=inputs, labels=labels, output_hidden_states=True)
        before = time.perf_counter()
        penalty = 0.0
        if regularizer is not None:
            penalty = regularizer(found.hidden_states[-1].flatten(0, 1)[some].float())
        spent.append(time.perf_counter() - before)
        (found.loss + penalty).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        taken.append(time.perf_counter() - start)
        if (step + 1) % (steps // setting.evaluations) == 0:
            score = seen(model, held, corpus.types, setting.batch).scores.get(SCORE, math.nan)
            curve.append(finite({"step": float(step + 1), SCORE: score, "nll": -score}))
    on_dev = seen(model, held, corpus.types, setting.batch)
    on_train = seen(model, corpus.train[: setting.held], corpus.types, setting.batch)
    run = AblationRun(
        arm=arm.name,
        seed=seed,
        scores=on_dev.scores,
        calibration=on_dev.calibration,
        train_scores=on_train.scores | {k: v for k, v in on_train.calibration.items() if k == "nll"},
        curve=tuple(curve),
        geometry=geometry_of(token_vectors(model, held, setting.batch)),
        history=(),
        warnings=("the training diverged: logits are not finite",) if on_dev.diverged else (),
        steps=steps,
        step_seconds=statistics.median(taken),
        regularizer_seconds=statistics.median(spent) if regularizer is not None else 0.0,
        seconds=time.perf_counter() - began,
    )
    return Kept(run, on_dev.sums, on_dev.counts)


def geometry_of(points: Tensor) -> dict[str, float]:
    """Return the measures of vectors without classes that are defined; none of a model that diverged."""
    if not bool(torch.isfinite(points).all()):
        return {}
    found = measure(points, None, CLASSLESS, intervals=False, null=False)
    return finite({value.name: value.value for value in found.values if value.value is not None})


def error_of_difference(treated: Kept, plain: Kept) -> float:
    """Return the standard error of the difference of mean log likelihoods, a ratio over the sequences."""
    counts = torch.tensor(plain.counts, dtype=torch.float64)
    changes = torch.tensor(treated.sums, dtype=torch.float64) - torch.tensor(plain.sums, dtype=torch.float64)
    left = changes - changes.sum() / counts.sum() * counts
    n = len(counts)
    return float((n / (n - 1) * left.square().sum()).sqrt() / counts.sum())


class Runs:
    """Runs on disk, each a file that is named after what determines it."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.folder, self.setting = folder, setting

    def run(self, part: str, corpus: Corpus, arm: ArmSpec, weight: float | None, seed: int) -> Kept:
        marks = [hashlib.sha256(rows.numpy().tobytes()).hexdigest() for rows in corpus[:2]]
        settings = [self.setting, corpus.types, WARMUP, marks, arm.settings, weight, seed]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
        path = self.folder / part / f"{slug(arm.name)}-seed-{seed}-{key}.json"
        if path.is_file():
            held = json.loads(path.read_text())
            return Kept(AblationRun.model_validate(held["run"]), held["sums"], held["counts"])
        found = trained(corpus, self.setting, arm, weight, seed)
        sums = [] if found.run.warnings else found.sums  # JSON has no NaN
        text = json.dumps({"run": found.run.model_dump(), "sums": sums, "counts": found.counts})
        write_text(path, text)
        print(
            f"{time.strftime('%H:%M:%S')} {part} {arm.name} x{weight} seed {seed}: "
            f"{found.run.scores.get(SCORE, math.nan):.3f} in {found.run.seconds:.0f} s",
            flush=True,
        )
        return found


def weights_of(runs: Runs, corpus: Corpus, arms: list[ArmSpec]):
    """Return what was tried on the split, and the weight that each arm got; a run that diverged is no try."""
    cut = round(len(corpus.train) * (1 - SHARE))
    part = Corpus(corpus.train[:cut], corpus.train[cut:], corpus.types)
    plain = runs.run("selection", part, ArmSpec(), None, SELECTION_SEED)
    tried = []
    for arm in arms:
        for weight in GRID:
            found = runs.run("selection", part, arm, weight, SELECTION_SEED)
            if found.run.warnings:
                continue
            score, before = found.run.scores[SCORE], plain.run.scores[SCORE]
            tried.append(
                Tried(
                    arm=arm.name,
                    weight=weight,
                    seed=SELECTION_SEED,
                    score=score,
                    plain_score=before,
                    difference=score - before,
                    error=error_of_difference(found, plain),
                    geometry=found.run.geometry,
                )
            )
    return tried, [choose(arm.name, [one for one in tried if one.arm == arm.name]) for arm in arms]


def study(wikitext_folder: Path, folder: Path, setting: Setting, seeds: tuple[int, ...] = SEEDS) -> Ablation:
    """Return the ablation, from the runs that are there and those that are made now."""
    corpus, runs = corpus_of(wikitext_folder, setting), Runs(folder, setting)
    arms = [ArmSpec(), *map(parse_arm, ARMS)]
    tried, choices = weights_of(runs, corpus, [arm for arm in arms if not arm.fixed])
    weights = {arm.name: arm.weight for arm in arms} | {choice.arm: choice.weight for choice in choices}
    found: dict[str, list[AblationRun]] = {arm.name: [] for arm in arms}
    for seed in seeds:
        for arm in arms:
            found[arm.name].append(runs.run("runs", corpus, arm, weights[arm.name], seed).run)
    compared = tuple(
        AblationArm(
            name=arm.name,
            specification=arm.name,
            settings=arm.settings,
            weight=weights[arm.name],
            runs=tuple(found[arm.name]),
        )
        for arm in arms
    )
    differences, points = paired_differences(compared, SCORE), front(compared, SCORE)
    return Ablation(
        title="a masked language model from scratch on WikiText-2",
        verdict=verdict(differences, points, SCORE, len(seeds)),
        command="python -m experiments.ablation.pretraining --wikitext FOLDER --runs FOLDER",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe={**setting._asdict(), "size": setting.size._asdict(), "grid": list(GRID)},
        versions=versions(),
        hardware=hardware(torch.device("cpu"), "bf16"),
        data={"train_examples": len(corpus.train), "dev_examples": setting.held, "types": corpus.types},
        classes=(),
        main_score=SCORE,
        seeds=seeds,
        weights="auto",
        tried=tuple(tried),
        choices=tuple(choices),
        arms=compared,
        differences=differences,
        front=points,
    )


def main(arguments=None) -> None:
    """Do the runs that are not there, and write what they say."""
    asked = argparse.ArgumentParser(description="Regularizers of token vectors in pre-training.")
    asked.add_argument("--wikitext", type=Path, required=True, help="valid.txt, and train.txt or test.txt")
    asked.add_argument("--runs", type=Path, required=True, metavar="FOLDER")
    asked.add_argument("--quick", action="store_true", help="a tiny model, few steps")
    wanted = asked.parse_args(arguments)
    folder = wanted.runs / ("pretraining-quick" if wanted.quick else "pretraining")
    found = study(wanted.wikitext, folder, QUICK if wanted.quick else FULL)
    write_text(folder / "ablation.json", found.model_dump_json())
    print(f"pretraining: {found.verdict}", flush=True)


if __name__ == "__main__":
    main()
