"""One pre-training of a small masked language model: its corpus, its loop, and what it is measured by."""

import math
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
from experiments.bernas2026.corpus import byte_level, masked, order, sequences, token_numbers, wikitext
from experiments.bernas2026.models import encoder
from experiments.bernas2026.tasks import Size
from torch import Tensor

from conescope.ablation import ArmSpec
from conescope.ablation.calibration import expected_calibration_error, negative_log_likelihood
from conescope.ablation.measuring import MEASURED, finite, scores_and_nll
from conescope.results import AblationRun
from conescope.survey.measure import measure

SCORE = "log_likelihood"
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
        train_scores=scores_and_nll(on_train.scores, on_train.calibration),
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
