"""How the measures of a model answer to noise in its weights."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from conescope.results.measurement import Measurement
from conescope.results.scored_task import Response, ScoredTask, response_of


class PerturbedRun(BaseModel):
    """The measures at one percentage of noise, drawn with one seed.

    `key` is a hash of all that they depend on: a stopped study goes on only from runs of the same. `constant`
    says that all points coincide, so that no measure is a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    percent: float
    seed: int
    key: str
    constant: bool
    measurement: Measurement


class Perturbation(BaseModel):
    """The measures of one layer of a model, at several percentages of noise in its weights.

    `tensors` and `weights` are how many weights got noise, and numbers in them; `spread` is the median
    standard deviation of the weights that are matrices, None where none is. `noise` is "unit", of standard
    deviation 1, or "matched", of that of each weight. Without noise there is one run. `tasks` holds the
    scores of the models after fine-tuning, if there was any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.perturbation/1"] = "conescope.perturbation/1"
    title: str
    architecture: str
    modality: str
    pooling: str
    special_tokens: bool
    inputs: int
    stack: str
    depth: int
    module: str
    parts: str
    layer_norm: bool
    noise: Literal["unit", "matched"]
    tensors: int
    weights: int
    spread: float | None
    repeats: int
    seed: int
    runs: tuple[PerturbedRun, ...]
    notes: tuple[str, ...] = ()
    tasks: tuple[ScoredTask, ...] = ()

    def percents(self) -> tuple[float, ...]:
        """Return the percentages in rising order."""
        return tuple(sorted({run.percent for run in self.runs}))

    def names(self) -> tuple[str, ...]:
        """Return the names of the measures, in the order of the table."""
        return self.runs[0].measurement.names()

    def responses(self, name: str) -> tuple[Response, ...]:
        """Return a measure at every percentage, in rising order.

        Raises:
            KeyError: naming the measures there are.
        """
        return tuple(self.response(name, percent) for percent in self.percents())

    def response(self, name: str, percent: int | float) -> Response:
        """Return a measure at one percentage.

        Raises:
            KeyError: naming the measures, or the percentages, that there are.
        """
        found = [run.measurement.measured(name) for run in self.runs if run.percent == percent]
        if not found:
            there = ", ".join(f"{one:g}" for one in self.percents())
            raise KeyError(f"there is no run at {percent:g} percent; there are {there}")
        return response_of(percent, [each.value for each in found], found[0].note)

    def to_json(self) -> str:
        """Return the result as JSON, which `Perturbation.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)

    def __str__(self) -> str:
        lines = [
            f"{self.title} ({self.architecture}): mean and range at each percentage of {self.noise} noise"
        ]
        for name in self.names():
            lines.append(name)
            lines += map(str, self.responses(name))
        return "\n".join([*lines, *map(str, self.tasks), *self.notes])
