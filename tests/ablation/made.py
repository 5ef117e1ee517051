"""Ablations made by hand for the tests: every number follows from a few that a test chooses."""

from conescope.ablation.statistics import front, paired_differences, verdict
from conescope.results import Ablation, AblationArm, AblationRun, Choice, Tried

SCORE = "matthews"


def run(arm, seed, score=0.5, anisotropy=0.3, **changed):
    """Return a run whose dev score grows by a quarter of the last one every 10 steps, up to step 40."""
    made = {
        "arm": arm,
        "seed": seed,
        "scores": {"accuracy": 0.8, SCORE: score},
        "calibration": {"nll": 0.5, "ece": 0.1},
        "train_scores": {"accuracy": 0.9, SCORE: score + 0.2, "nll": 0.2},
        "curve": tuple({"step": 10.0 * q, SCORE: score * q / 4, "nll": 1 - q / 10} for q in (1, 2, 3, 4)),
        "geometry": {"anisotropy_1": anisotropy, "anisotropy_1_uncentered": anisotropy + 0.4, "hubness": 1.0},
        "history": ({"step": 10.0, "loss": 0.7},),
        "warnings": (),
        "steps": 40,
        "step_seconds": 0.2,
        "regularizer_seconds": 0.0 if arm == "none" else 0.01,
        "seconds": 9.0,
    }
    return AblationRun(**(made | changed))


def arm(name, scores, anisotropies=None, seeds=None, **changed):
    """Return an arm with one run for each score."""
    anisotropies = anisotropies or [0.3 + 0.01 * index for index in range(len(scores))]
    numbered = seeds if seeds is not None else range(len(scores))
    values = zip(numbered, scores, anisotropies, strict=True)
    return AblationArm(
        name=name,
        specification=name,
        settings=None if name == "none" else {"name": name},
        weight=None if name == "none" else 0.1,
        runs=tuple(run(name, seed, score, value, **changed) for seed, score, value in values),
    )


def tried(name, weight, score, anisotropy):
    return Tried(
        arm=name,
        weight=weight,
        seed=0,
        score=score,
        plain_score=0.5,
        difference=score - 0.5,
        error=0.02,
        geometry={"anisotropy_1": anisotropy},
    )


def ablation(arms, title="made", **changed):
    """Return the ablation of these arms, with what the statistics say of them."""
    found, points = paired_differences(arms, SCORE), front(arms, SCORE)
    seeds = max((len(each.runs) for each in arms), default=0)
    treated = [each.name for each in arms if each.settings]
    made = {
        "title": title,
        "verdict": verdict(found, points, SCORE, seeds),
        "command": "conescope ablate --model m",
        "created": "2026-01-01T00:00:00+00:00",
        "recipe": {"model": "m", "epochs": 3.0},
        "versions": {"torch": "2.0"},
        "hardware": {"processor": "made"},
        "data": {"train": 100, "dev": 50},
        "classes": ("no", "yes"),
        "main_score": SCORE,
        "seeds": tuple(range(seeds)),
        "weights": "auto",
        "tried": tuple(tried(name, w, 0.5 - w / 10, 0.3 - w / 5) for name in treated for w in (0.1, 1.0)),
        "choices": tuple(Choice(arm=name, weight=0.1, reason="the lowest") for name in treated),
        "arms": tuple(arms),
        "differences": found,
        "front": points,
    }
    return Ablation(**(made | changed))
