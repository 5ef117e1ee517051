"""How well numbers predict a score: two regressions, their errors on rows held out, and what they predict."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["linear", "rank"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Coefficient(_Frozen):
    """A term of a regression, with its 95 % interval and the p of Student's t."""

    name: str
    value: float
    low: float
    high: float
    p: float


class Errors(_Frozen):
    """Errors on rows that were held out, in units of the target.

    `baseline_rmse` is the error of the mean of the rows that were not held out. `undetermined` counts rows
    without which the regression has no solution, such as the only one of its group; they have no error here.
    """

    rows: int
    undetermined: int = 0
    rmse: float | None
    mae: float | None
    baseline_rmse: float | None


class GroupErrors(_Frozen):
    """Errors on all rows of one group, predicted from the others."""

    name: str
    errors: Errors


class Permutation(_Frozen):
    """R^2 with the target shuffled: mean, 95 % quantile, and the share that reaches the R^2 found."""

    draws: int
    seed: int
    mean: float
    high: float
    p: float


class Regression(_Frozen):
    """A least-squares fit, of values or of ranks.

    `r` is the correlation of fitted and observed, `deviation` that of a residual with `freedom` degrees of
    freedom, and `covariance` the inverse of X'X; these three are in ranks where `kind` is "rank". Held-out
    errors are in units of the target for both.
    """

    kind: Kind
    coefficients: tuple[Coefficient, ...]
    r2: float
    r: float
    freedom: int
    deviation: float
    covariance: tuple[tuple[float, ...], ...]
    leave_one_out: Errors
    leave_group_out: Errors | None = None
    groups_out: tuple[GroupErrors, ...] = ()
    chance: Permutation


class Association(_Frozen):
    """A correlation of a feature with the target, given some columns; None if those fix one of both.

    "linear" is Pearson's, "rank" Spearman's; low and high are the ends of the 95 % interval.
    """

    feature: str
    kind: Kind
    given: tuple[str, ...]
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def within_noise(self) -> bool:
        """Whether the interval holds 0, or there is nothing left to correlate."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high


class Dose(_Frozen):
    """Whether a control, such as the strength of a perturbation, explains what the features seem to.

    Errors are leave-one-out root mean squares, of the better of both regressions. `within_noise` names
    features of which a correlation with the target, given the control, is within noise; `turned` those whose
    rank correlation, given the control's ranks, has the other sign beyond noise.
    """

    control: str
    control_rmse: float
    features_rmse: float
    within_noise: tuple[str, ...]
    turned: tuple[str, ...]
    explains_all: bool


class LeftOut(_Frozen):
    """A row that was not used, and why."""

    name: str
    why: str


class Prediction(_Frozen):
    """A target predicted from features: a model that can be applied, and how far to trust it.

    `feature_values` and `target_values` are those of the rows used, sorted: the ranks of new rows are counted
    in them, and they tell which new rows lie outside.
    """

    schema_version: Literal["conescope.prediction/1"] = "conescope.prediction/1"
    target: str
    features: tuple[str, ...]
    group: str | None
    groups: tuple[str, ...]
    hold_out: str | None
    control: str | None
    rows: int
    left_out: tuple[LeftOut, ...]
    feature_values: dict[str, tuple[float, ...]]
    target_values: tuple[float, ...]
    linear: Regression
    rank: Regression
    associations: tuple[Association, ...]
    dose: Dose | None
    notes: tuple[str, ...] = ()

    def regression(self, kind: Kind) -> Regression:
        """Return the regression of values or that of ranks."""
        return self.linear if kind == "linear" else self.rank

    def association(self, feature: str, kind: Kind, *given: str) -> Association:
        """Return a correlation.

        Raises:
            KeyError: naming what was correlated.
        """
        for one in self.associations:
            if (one.feature, one.kind, one.given) == (feature, kind, given):
                return one
        known = "; ".join(f"{one.feature}, {one.kind}, given {one.given}" for one in self.associations)
        raise KeyError(f"{feature}, {kind}, given {given} was not looked at; there are {known}")

    def to_json(self) -> str:
        """Return the model as JSON, which `Prediction.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)


class PredictedRow(_Frozen):
    """A row, the target predicted for it with its 95 % prediction interval, and the target where known.

    `outside` names the features that lie outside of what the model has seen.
    """

    name: str
    group: str | None
    predicted: float
    low: float | None
    high: float | None
    known: float | None
    outside: tuple[str, ...] = ()


class Predicted(_Frozen):
    """What a model predicts for the rows of a table.

    `covered` counts the known targets inside of their interval, `r` correlates predicted and known.
    """

    schema_version: Literal["conescope.predicted/1"] = "conescope.predicted/1"
    target: str
    kind: Kind
    rows: tuple[PredictedRow, ...]
    left_out: tuple[LeftOut, ...]
    errors: Errors | None
    covered: int | None
    r: float | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the predictions as JSON, which `Predicted.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)
