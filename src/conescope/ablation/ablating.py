"""Train every arm with every seed under the same conditions, and compare each with plain training.

The folder of an ablation holds

    settings.json   what all its runs have in common
    device.json     the kind of device and the precision that they were made with
    versions.json   the versions of torch and transformers
    weights.json    a hash of the weights that they began with
    selection/      one file for each weight that was tried
    runs/           a folder for each arm and seed, named after all that determines its numbers
    claims/         who does what
    ablation.json   written anew after every finished run: all that are finished by then

Runs that are there are not repeated, and one that was stopped goes on from its last checkpoint, so the same
call resumes, and a call with more arms or seeds trains those alone. The same call in several processes
divides the runs between them.
"""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from transformers import Trainer

from conescope._devices import chosen_device, chosen_precision
from conescope._files import write_text
from conescope.ablation.arms import ArmSpec, with_runs
from conescope.ablation.chance import no_more_than_a_guess
from conescope.ablation.division import divide
from conescope.ablation.plan import Plan, shared_settings
from conescope.ablation.running import Prepared, Progress, Record, place_of, read_record, run_arm
from conescope.ablation.statistics import front, paired_differences, plain_arm, verdict
from conescope.ablation.weight_selection import Trial, plain_trials, select_weights
from conescope.results.ablation import Ablation, AblationArm, Choice, Tried
from conescope.training.experiment import claim_settings, made_with, weights_hash
from conescope.training.provenance import hardware, versions
from conescope.training.regularize import regularize


def ablate(
    plan: Plan, folder: str | Path, *, command: str = "", progress: Progress | None = None
) -> Ablation:
    """Train what the folder lacks, write `ablation.json` in it, and return what that says.

    Weights are chosen first. Then all arms run with the first seed, with the second, and so on, so that a
    drift of the machine's speed falls on all arms, and a stopped ablation has compared all of them. An arm
    enters `ablation.json` with its first finished run.

    Args:
        plan: what is compared.
        folder: made if it is missing.
        command: kept in the result, for the reader.
        progress: called after each step with the arm, the seed, the step, the steps in all, and the loss of
            the task (NaN before the first log).

    Raises:
        ValueError: if the folder holds an ablation with another recipe, other data, or from another kind of
            device or another version of torch or transformers (their numbers are others, so that seeds would
            not pair), or of other weights in the same model folder, or the model or a setting is not usable.
    """
    folder = Path(folder)
    tell: Progress = progress or (lambda arm, seed, step, steps, loss: None)
    _check_arms(plan)
    _claim(folder, plan)
    prepared = Prepared(plan)
    tried, choices = select_weights(prepared, folder, tell)
    trials = plain_trials(prepared, folder, tell)
    weights = {choice.arm: choice.weight for choice in choices}

    def weight_of(arm: ArmSpec) -> float | None:
        if arm.loss_name is None or arm.balanced:
            return None
        return weights.get(arm.name, 1.0) if arm.weight is None else arm.weight

    def place(arm: ArmSpec, seed: int) -> Path:
        return place_of(folder, prepared, arm, weight_of(arm), seed)

    places = {(arm, seed): place(arm, seed) for seed in plan.seeds for arm in plan.arms}
    records = {key: record for key in places if (record := read_record(places[key])) is not None}

    def ready(key: tuple[ArmSpec, int]) -> bool:
        arm, seed = key
        return arm == plan.arms[0] or (plan.arms[0], seed) in records  # warnings compare with plain

    def make(key: tuple[ArmSpec, int]) -> Record:
        arm, seed = key
        plain = records.get((plan.arms[0], seed))
        return run_arm(prepared, arm, weight_of(arm), seed, places[key], plain, tell)

    def found() -> Ablation:
        runs = {
            arm: [records[arm, seed] for seed in plan.seeds if (arm, seed) in records] for arm in plan.arms
        }
        arms = tuple(
            with_runs(arm, weight_of(arm), [record.run for record in mine])
            for arm, mine in runs.items()
            if mine
        )
        return _assembled(plan, prepared.score, arms, tried, choices, trials, command)

    names = {key: path.name for key, path in places.items() if key not in records}
    for key, record in divide(names, folder / "claims", lambda key: read_record(places[key]), make, ready):
        records[key] = record
        write_text(folder / "ablation.json", found().model_dump_json())
    result = found()
    write_text(folder / "ablation.json", result.model_dump_json())
    return result


def _check_arms(plan: Plan) -> None:
    """Refuse an arm that does not fit the recipe before any other is trained."""
    for arm in plan.arms:
        loss = arm.loss()
        if loss is not None:
            regularize(Trainer, loss, layer=plan.recipe.layer, pooling=plan.recipe.pooling)


def _claim(folder: Path, plan: Plan) -> None:
    """Write what all runs have in common, or check that it is so. A folder without runs binds no one."""
    common = {
        "settings.json": shared_settings(plan),
        **made_with(plan.recipe),
        "weights.json": {"weights_sha256": weights_hash(plan.recipe.model)},
    }
    (folder / "claims").mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "claims" / "settings.lock"):
        begun = any((folder / part).exists() for part in ("runs", "selection"))
        for name, settings in common.items():
            if not begun:
                (folder / name).unlink(missing_ok=True)
            claim_settings(folder / name, settings)


def _assembled(
    plan: Plan,
    score: str,
    arms: tuple[AblationArm, ...],
    tried: list[Tried],
    choices: list[Choice],
    trials: list[Trial],
    command: str,
) -> Ablation:
    """Return the result of the runs so far."""
    differences, points = paired_differences(arms, score), front(arms, score)
    device = chosen_device(plan.recipe.device)
    shared = shared_settings(plan)
    guess = _guess(plan, arms)
    learned = "" if guess is None else f"Plain training has not learned this task: {guess}. "
    return Ablation(
        title=plan.title,
        verdict=learned + verdict(differences, points, score, max(len(arm.runs) for arm in arms)),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=dataclasses.asdict(plan.recipe)
        | {
            "curve_every": plan.curve_every,
            "grid": list(plan.grid),
            "validation_share": plan.validation_share,
            "selection_seeds": list(plan.selection_seeds or ()),
            "selection_epochs": plan.selection_recipe.epochs,
        },
        versions=versions(),
        hardware=hardware(device, chosen_precision(plan.recipe.precision, device)),
        data={
            "train_examples": len(plan.train),
            "dev_examples": len(plan.dev),
            "train_sha256": shared["train_sha256"],
            "dev_sha256": shared["dev_sha256"],
        },
        classes=plan.classes,
        main_score=score,
        seeds=plan.seeds,
        weights=plan.weights,
        tried=tuple(tried),
        choices=tuple(choices),
        arms=arms,
        differences=tuple(differences),
        front=tuple(points),
        notes=tuple(_notes(plan, arms, trials)),
    )


def _guess(plan: Plan, arms: tuple[AblationArm, ...]) -> str | None:
    """Return what to say if plain training does no better on dev than a guess, or None."""
    plain = plain_arm(arms)
    runs = () if plain is None else plain.runs
    return no_more_than_a_guess([run.scores for run in runs], len(plan.dev))


def _notes(plan: Plan, arms: tuple[AblationArm, ...], trials: list[Trial]) -> Iterator[str]:
    finished, planned = sum(len(arm.runs) for arm in arms), len(plan.arms) * len(plan.seeds)
    if finished != planned:
        yield f"{finished} of {planned} runs are finished"
    if _guess(plan, arms) is not None:
        yield (
            "a score that is no more than a guess has nothing to lose, so whether a regularizer costs "
            "anything can not be told here; train longer, or take a task that this model learns"
        )
    examples = len(trials[0].predictions) if trials else 0
    guess = no_more_than_a_guess([trial.scores for trial in trials], examples)
    if guess is not None:
        yield (
            f"weights were chosen where plain training has not learned the task ({guess}): every weight "
            "keeps such a score, so they say nothing; train longer, or give weights"
        )
