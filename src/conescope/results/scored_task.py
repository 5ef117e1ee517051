"""What fine-tuning makes of models with noise in their weights, and which measures go with the score."""

from collections.abc import Sequence
from statistics import fmean, stdev

from pydantic import BaseModel, ConfigDict

from conescope.results.prediction import Association

GIVEN_RANK, GIVEN_LEVEL = ("rank of percent",), ("level of percent",)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Response(_Frozen):
    """A measure or a score at one percentage: mean, least and greatest value over the repeats that have one.

    Without any the three are None, and `note` says why.
    """

    percent: float
    defined: int
    repeats: int
    mean: float | None
    low: float | None
    high: float | None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.percent:>8g} %  {_number(self.mean)}  [{_number(self.low)}, {_number(self.high)}]"


def response_of(percent: int | float, values: Sequence[float | None], note: str = "") -> Response:
    """Return what the values of the repeats at a percentage come to; `note` is for the case of none."""
    there = [value for value in values if value is not None]
    return Response(
        percent=percent,
        defined=len(there),
        repeats=len(values),
        mean=fmean(there) if there else None,
        low=min(there, default=None),
        high=max(there, default=None),
        note="" if there else note,
    )


class TaskRun(_Frozen):
    """Scores on the held-out examples after fine-tuning a model with one draw of noise in its weights.

    `seed` is that of the noise and that of the fine-tuning. `key` is a hash of all that the scores depend on.
    """

    percent: float
    seed: int
    key: str
    steps: int
    scores: dict[str, float]


class ScoredTask(_Frozen):
    """One task: how each model was fine-tuned, the scores, and their correlations with the measures.

    Without noise there are as many runs as repeats: they differ in the seed of the fine-tuning alone, and
    show how much of a difference between scores is due to it. `associations` correlate ranks of each measure
    with those of the main score, over runs: as they are, given the rank of the percentage, and between runs
    of one percentage, which no curve of the dose can feign.
    """

    name: str
    classes: tuple[str, ...]
    train_examples: int
    dev_examples: int
    main_score: str
    budget: dict[str, float | int | str | None]
    runs: tuple[TaskRun, ...]
    associations: tuple[Association, ...] = ()

    def scores(self) -> tuple[str, ...]:
        """Return the names of the scores."""
        return tuple(self.runs[0].scores)

    def responses(self, score: str) -> tuple[Response, ...]:
        """Return a score at every percentage, in rising order.

        Raises:
            KeyError: naming the scores there are.
        """
        return tuple(
            response_of(percent, self.values(score, percent))
            for percent in sorted({run.percent for run in self.runs})
        )

    def values(self, score: str, percent: int | float) -> tuple[float, ...]:
        """Return a score of all runs at one percentage.

        Raises:
            KeyError: naming the scores there are.
        """
        if score not in self.scores():
            raise KeyError(
                f"there is no score {score!r} of {self.name}; there are {', '.join(self.scores())}"
            )
        return tuple(run.scores[score] for run in self.runs if run.percent == percent)

    def noise(self, score: str) -> float | None:
        """Return the standard deviation of a score without noise in the weights, over fine-tunings.

        None where there are fewer than two of them.
        """
        values = self.values(score, 0)
        return stdev(values) if len(values) > 1 else None

    def association(self, measure: str, *given: str) -> Association | None:
        """Return the rank correlation of a measure with the main score, if it could be had."""
        for one in self.associations:
            if (one.feature, one.given) == (measure, given):
                return one
        return None

    def measures(self) -> tuple[str, ...]:
        """Return the measures that were correlated with the score."""
        return tuple(dict.fromkeys(one.feature for one in self.associations))

    def outcome(self, measure: str) -> str:
        """Return in a few words what the correlations of a measure with the main score say.

        "explained by the dose" if it is beyond noise as it is, and within noise given the percentage, by its
        rank or by its level; "nothing to compare" if the measure is constant, or the runs are too few. Ranks
        alone put nothing beyond the dose: a curve of it can be left in them.
        """
        plain = self.association(measure)
        held = [
            one
            for given in (GIVEN_RANK, GIVEN_LEVEL)
            if (one := self.association(measure, *given)) is not None
        ]
        if plain is None or plain.low is None or not held or any(one.low is None for one in held):
            return "nothing to compare"
        if any(one.within_noise for one in held):
            return "within noise" if plain.within_noise else "explained by the dose"
        if held[-1].given != GIVEN_LEVEL:
            return "nothing to compare"
        if len({(one.value or 0) > 0 for one in held}) > 1:
            return "not consistent"
        return "beyond the dose"

    def __str__(self) -> str:
        lines = []
        for score in self.scores():
            lines += [f"{self.name}, {score}", *map(str, self.responses(score))]
        return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
