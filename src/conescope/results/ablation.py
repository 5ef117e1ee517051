"""What an ablation found: every arm with every seed, paired differences to plain, and who is on the front."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tried(_Value):
    """One weight tried on the split of the training data. Values are of the split's validation part."""

    arm: str
    weight: float
    seed: int
    score: float
    plain_score: float
    difference: float  # score - plain_score
    error: float  # standard error of the difference, jackknife over the validation examples
    geometry: dict[str, float]


class Choice(_Value):
    """Which weight an arm got, and why."""

    arm: str
    weight: float
    reason: str


class AblationRun(_Value):
    """One arm with one seed, measured on the dev set after training unless a name says otherwise."""

    arm: str
    seed: int
    scores: dict[str, float]  # accuracy, macro_f1, matthews
    calibration: dict[str, float]  # nll (nats), ece (0 to 1)
    train_scores: dict[str, float]  # the same scores and nll on training examples, without dropout
    curve: tuple[dict[str, float], ...]  # rows with "step", the main score and nll on dev while training
    geometry: dict[str, float]  # measures of the dev embeddings; "mean_cosine", "anisotropy_1", ...
    history: tuple[dict[str, float], ...]  # rows as they were logged
    warnings: tuple[str, ...]  # failure signatures that occurred
    steps: int
    step_seconds: float
    regularizer_seconds: float
    seconds: float  # the whole run


class AblationArm(_Value):
    """Runs that differ in their seed alone. `specification` is what the command line got."""

    name: str
    specification: str
    settings: dict[str, Any] | None  # None is plain training
    weight: float | None
    runs: tuple[AblationRun, ...]


class PairedDifference(_Value):
    """One quantity of an arm minus plain, paired by seed.

    `low` and `high` are the 95 % interval of Student over seeds, `adjusted_low` and `adjusted_high` the
    simultaneous one (Bonferroni over the arms), `p` the paired t test's, `adjusted_p` Holm's over the arms
    for this quantity. None with fewer than two seeds. The verdict goes by the adjusted p at 0.05.
    """

    arm: str
    name: str
    kind: Literal["task", "calibration", "convergence", "generalization", "geometry", "time"]
    better: Literal["higher", "lower", "neither"]
    plain: float
    treated: float
    difference: float
    seeds: int
    low: float | None
    high: float | None
    adjusted_low: float | None
    adjusted_high: float | None
    p: float | None
    adjusted_p: float | None
    verdict: Literal["improved", "unchanged within noise", "worse", "changed", "not known"]


class FrontPoint(_Value):
    """Where an arm stands in task score against isotropy; means over the seeds with standard errors."""

    arm: str
    score: float
    score_error: float | None
    anisotropy: float
    anisotropy_error: float | None
    on_front: bool


class Ablation(_Value):
    """A whole ablation, enough to draw the page and to repeat it."""

    schema_version: Literal["conescope.ablation/1"] = "conescope.ablation/1"
    title: str
    verdict: str
    command: str
    created: str
    recipe: dict[str, Any]
    versions: dict[str, str]
    hardware: dict[str, Any]
    data: dict[str, Any]
    classes: tuple[str, ...]
    main_score: str
    seeds: tuple[int, ...]
    weights: Literal["auto", "given"]
    tried: tuple[Tried, ...]
    choices: tuple[Choice, ...]
    arms: tuple[AblationArm, ...]  # plain first
    differences: tuple[PairedDifference, ...]
    front: tuple[FrontPoint, ...]
    notes: tuple[str, ...] = ()
