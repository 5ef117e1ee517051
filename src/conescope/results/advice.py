"""Which fix of an embedding space helps on held-out data, if any does."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Task = Literal["pairs", "labels", "none"]
Change = Literal["better", "worse", "within noise", "not known"]


class Candidate(BaseModel):
    """A fix that was tried: its score and geometry on held-out points, and its difference to "nothing".

    `low` and `high` are the ends of the 95 % interval of the difference, for this candidate alone; `p` is
    corrected for the number of candidates, and the outcome follows from it. Candidates that are better than
    nothing have `to_best`, their score less that of the best (0 for the best itself), with the ends of its
    interval, corrected for the number of candidates: they are as good as the best unless `to_best_high` is
    below 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str  # as `conescope fix fit --kind` calls it; "" for nothing
    settings: dict[str, Any]
    mean_cosine: float | None
    isoscore: float | None
    score: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    outcome: Change = "not known"
    to_best: float | None = None
    to_best_low: float | None = None
    to_best_high: float | None = None


class Advice(BaseModel):
    """What was tried on n points in d dimensions, and the advice; `recommended` is None to leave it alone.

    Else it is the simplest candidate that is as good, within noise, as `best`, the one with the highest score
    of those that are better than nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.advice/1"] = "conescope.advice/1"
    n: int
    d: int
    task: Task
    metric: str  # "" without a task
    examples: int  # scored on held-out data: pairs, or labeled points
    folds: int
    seed: int
    candidates: tuple[Candidate, ...]  # nothing first, then from the simplest on
    best: str | None = None
    recommended: str | None
    verdict: str
    notes: tuple[str, ...] = ()

    def candidate(self, name: str) -> Candidate:
        """Return a candidate by name.

        Raises:
            KeyError: naming the candidates there are.
        """
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        known = ", ".join(candidate.name for candidate in self.candidates)
        raise KeyError(f"{name} was not tried; there are {known}")

    def to_json(self) -> str:
        """Return the advice as JSON, which `Advice.model_validate_json` reads back."""
        return self.model_dump_json(indent=2)

    def __str__(self) -> str:
        lines = [f"{self.n} points in {self.d} dimensions"]
        for one in self.candidates:
            score = "" if one.score is None else f"{one.score:.4f}"
            change = "" if one.difference is None else f"{one.difference:+.4f} {one.outcome}"
            lines.append(f"{one.name:<24} {score:>7}  {change}".rstrip())
        return "\n".join([*lines, self.verdict, *self.notes])
