"""What training did to geometry: gradient energy in tangent directions, and measures over steps."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from conescope._optional import require

if TYPE_CHECKING:
    from pandas import DataFrame

Verdict = Literal["beyond mechanical", "mechanical", "not known"]
PhaseName = Literal["all", "early", "late"]


class TangentStep(BaseModel):
    """One sampled step at one linear map; shares of the squared gradient, None where there is no number.

    `energy` is in the tangent proxy; `normal`, `random`, `following` and `uncentered` in frames of the same
    rank: normal to it, anywhere (expected: k / d), the next principal directions, the first uncentered ones.
    `shuffled` is what is left of it after one random permutation of the positions, `variance_share` that of
    the inputs themselves, and `excess` the energy over it. `delta` is how much more even (IsoScore*) the
    gradient's rows become without the proxy than without a normal frame. `other` is the energy in the proxy
    of another run, in as many directions, if one was given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    energy: float
    normal: float
    ratio: float | None
    p: float
    random: float
    following: float
    uncentered: float
    shuffled: float | None
    variance_share: float | None
    excess: float | None
    isoscore_star: float | None
    isoscore_star_without: float | None
    isoscore_star_without_normal: float | None
    delta: float | None
    other: float | None = None


class Mean(BaseModel):
    """A mean over steps and its 95 % interval (Student's); None with fewer than two steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    low: float | None = None
    high: float | None = None


class TangentPhase(BaseModel):
    """Means over the sampled steps of a phase, and the verdict.

    `over_shuffled` is the mean energy over the mean of `shuffled`, with the interval of their paired
    difference, and `over_variance` the mean of `excess`: 1 is mechanical.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PhaseName
    steps: int
    first: int | None
    last: int | None
    energy: Mean
    ratio: Mean
    over_shuffled: Mean
    over_variance: Mean
    delta: Mean
    random: Mean
    following: Mean
    uncentered: Mean
    other: Mean
    p: float | None  # median
    verdict: Verdict
    why: str


class TangentSite(BaseModel):
    """One linear map of o outputs and d inputs, whose proxy has rank k; k is 0 if it was never fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str
    o: int
    d: int
    k: int
    explained: float | None
    points: int
    zero: int  # sampled steps whose gradient was zero, and was skipped
    not_finite: int  # the same for NaN or infinity, such as a step that a gradient scaler skips
    steps: tuple[TangentStep, ...]
    phases: tuple[TangentPhase, ...]
    note: str = ""

    def phase(self, name: PhaseName = "all") -> TangentPhase:
        """Return a phase by name."""
        return next(phase for phase in self.phases if phase.name == name)


class TangentResult(BaseModel):
    """Gradient energy in the tangent proxies of some linear maps of a model, over the steps of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.tangent/1"] = "conescope.tangent/1"
    architecture: str
    fitted: int | None  # steps of the fit; None for proxies from another run
    seen: int  # steps
    every: int
    draws: int
    seed: int
    sites: tuple[TangentSite, ...]
    notes: tuple[str, ...] = ()

    def site(self, module: str) -> TangentSite:
        """Return a site by the name of its module.

        Raises:
            KeyError: naming the modules there are.
        """
        for site in self.sites:
            if site.module == module:
                return site
        raise KeyError(f"no module {module!r}; there are {', '.join(site.module for site in self.sites)}")

    def to_json(self) -> str:
        """Return the result as JSON, which `TangentResult.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)

    def to_frame(self) -> "DataFrame":
        """Return a pandas table with a row for each module and sampled step.

        Raises:
            ImportError: if pandas is missing.
        """
        frame: type[DataFrame] = require("pandas", extra="frames").DataFrame
        columns = ["module", *TangentStep.model_fields]
        rows = [{"module": site.module} | step.model_dump() for site in self.sites for step in site.steps]
        return frame(rows, columns=columns)

    def __str__(self) -> str:
        width = max([len(site.module) for site in self.sites] + [6])
        lines = [
            f"{self.architecture}: gradient energy in tangent directions, {self.seen} steps",
            f"{'module':<{width}} phase      k  energy   ratio  /shuffled  /variance  verdict",
        ]
        for site in self.sites:
            for phase in site.phases:
                numbers = (phase.energy, phase.ratio, phase.over_shuffled, phase.over_variance)
                energy, ratio, shuffled, variance = (_cell(number.value) for number in numbers)
                lines.append(
                    f"{site.module:<{width}} {phase.name:<6}{site.k:>6}{energy:>8}{ratio:>8}{shuffled:>11}"
                    f"{variance:>11}  {phase.verdict}: {phase.why}"
                )
        return "\n".join([*lines, *self.notes])


class Event(BaseModel):
    """A collapse of a layer, or its recovery, and the step at which it was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    step: int
    kind: Literal["collapse", "recovery"]


class Trajectory(BaseModel):
    """Measures of layers over steps: `tables[measure][layer][step]`, by their places; None for no value.

    `events` are read off the effective rank, which is always among the measures. `scalars[name][step]` are
    numbers of the training itself, such as the gradient noise scale, at steps of their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.trajectory/1"] = "conescope.trajectory/1"
    layers: tuple[str, ...]
    steps: tuple[int, ...]
    tables: dict[str, tuple[tuple[float | None, ...], ...]]
    events: tuple[Event, ...] = ()
    scalars: dict[str, dict[int, float | None]] = {}

    def value(self, measure: str, layer: str, step: int) -> float | None:
        """Return one value; None if there is none.

        Raises:
            KeyError: for a measure that was not recorded.
            ValueError: for a layer or step that was not.
        """
        return self.tables[measure][self.layers.index(layer)][self.steps.index(step)]

    def to_json(self) -> str:
        """Return the trajectory as JSON, which `Trajectory.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)

    def to_frame(self, measure: str) -> "DataFrame":
        """Return the pandas table of a measure: a row for each layer, a column for each step.

        Raises:
            KeyError: for a measure that was not recorded.
            ImportError: if pandas is missing.
        """
        frame: type[DataFrame] = require("pandas", extra="frames").DataFrame
        return frame(self.tables[measure], index=self.layers, columns=self.steps, dtype=float)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
