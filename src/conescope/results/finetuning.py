"""What a fine-tuning comparison found: arms of runs, snapshots of geometry, paired differences."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from conescope.results.measurement import Measurement


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bars(_Value):
    """The H0 bars of one class in one cloud the size of a batch, longest first, and which are features."""

    label: str
    lengths: tuple[float, ...]
    selected: tuple[bool, ...]


class Map(_Value):
    """Points in the plane of their first two principal components, which hold `share` of the variance."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[int, ...]  # index into FineTuning.classes
    share: float


class Snapshot(_Value):
    """The geometry of the held-out embeddings at one moment."""

    measurement: Measurement
    spectrum: tuple[float, ...]  # share of the centered variance of each principal direction, largest first
    bars: tuple[Bars, ...]
    map: Map


class Run(_Value):
    """One training run. `history` and `evaluations` are rows with a "step", as they were logged."""

    seed: int
    history: tuple[dict[str, float], ...]
    evaluations: tuple[dict[str, float], ...]
    scores: dict[str, float]  # on the held-out set after the last epoch
    before: Snapshot
    after: Snapshot
    steps: int
    step_seconds: float  # median over the steps of the run
    regularizer_seconds: float  # median part of a step that the regularizer took, forward and backward
    predictions: tuple[int, ...]  # of the held-out set, as indices of classes


class Arm(_Value):
    """Runs that differ in their seed alone. `regularizer` holds the settings; None is plain training."""

    name: str
    regularizer: dict[str, Any] | None
    runs: tuple[Run, ...]


class Difference(_Value):
    """One quantity of a regularized arm minus that of the plain arm, with a 95 % interval of the mean.

    `low` and `high` are None where nothing can be said, and `basis` tells what the interval is over.
    """

    arm: str
    name: str
    kind: Literal["task", "geometry", "time"]
    better: Literal["higher", "lower", "neither"]
    plain: float
    regularized: float
    difference: float
    low: float | None
    high: float | None
    basis: str
    verdict: Literal["improved", "unchanged within noise", "worse", "changed", "not known"]


class FineTuning(_Value):
    """A whole comparison, enough to draw the report and to repeat the experiment."""

    schema_version: Literal["conescope.finetuning/1"] = "conescope.finetuning/1"
    title: str
    verdict: str
    command: str
    created: str
    arguments: dict[str, Any]
    versions: dict[str, str]
    hardware: dict[str, Any]
    data: dict[str, Any]
    classes: tuple[str, ...]
    main_score: str
    arms: tuple[Arm, ...]  # the plain arm first, if there is one
    differences: tuple[Difference, ...]  # empty without a plain arm
    notes: tuple[str, ...] = ()
