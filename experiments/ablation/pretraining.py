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
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from experiments.ablation.pretraining_run import (
    FULL,
    QUICK,
    SCORE,
    WARMUP,
    Corpus,
    Kept,
    Setting,
    corpus_of,
    trained,
)
from experiments.ablation.run import GRID, SELECTION_SEED

from conescope._files import write_text
from conescope.ablation import ArmSpec, parse_arm
from conescope.ablation.arms import with_runs
from conescope.ablation.running import slug
from conescope.ablation.statistics import front, paired_differences, verdict
from conescope.ablation.weight_selection import choose
from conescope.results import Ablation, AblationRun, Tried
from conescope.training.provenance import hardware, versions

ARMS = ("persistent-entropy:weight=1", "spectral-entropy")  # the published one at its weight
SEEDS = (0, 1, 2)
SHARE = 0.2  # of the training sequences, the last ones, held out to choose weights


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
    if plain.run.warnings:
        raise SystemExit("plain training diverged on the split, so no weight can be chosen; lower the rate")
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
    compared = tuple(with_runs(arm, weights[arm.name], found[arm.name]) for arm in arms)
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
