"""What an ablation compares: a recipe, data, arms and seeds, and how weights are chosen."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from conescope.ablation.arms import ArmSpec
from conescope.training.experiment import data_hash
from conescope.training.recipe import Recipe
from conescope.training.tables import LabelledTexts

GRID = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Plan:
    """Everything that determines the numbers. Plain training is the first arm, and added if it is missing.

    Args:
        weights: "auto" chooses the weight of each arm whose text gives none, on a split of the training data;
            "given" takes 1 for these.
        grid: the weights that are tried.
        validation_share: of the training data, held out to choose weights; the dev set is not used for it.
        selection_seeds: of the runs that try weights; None is the first of `seeds`.
        selection_epochs: of these runs; None is the recipe's.
        curve_every: epochs between two evaluations on the dev set while training.
        keep_embeddings: whether each run writes its dev embeddings and logits.

    Raises:
        ValueError: for repeated or missing seeds, repeated arms, a setting out of its range, or a weight to
            choose for an arm that raises anisotropy.
    """

    title: str
    recipe: Recipe
    train: LabelledTexts
    dev: LabelledTexts
    classes: tuple[str, ...]
    arms: tuple[ArmSpec, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    weights: Literal["auto", "given"] = "auto"
    grid: tuple[float, ...] = GRID
    validation_share: float = 0.2
    curve_every: float = 0.25
    selection_seeds: tuple[int, ...] | None = None
    selection_epochs: float | None = None
    keep_embeddings: bool = True

    def __post_init__(self) -> None:
        treated = tuple(arm for arm in self.arms if arm.loss_name is not None)
        object.__setattr__(self, "arms", (ArmSpec(), *treated))
        if self.selection_seeds is None:
            object.__setattr__(self, "selection_seeds", self.seeds[:1])
        for name, values in (("seeds", self.seeds), ("selection_seeds", self.selection_seeds)):
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must be different numbers, at least one, got {values}")
        names = [arm.name for arm in self.arms]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"the arm {twice[0]} is there twice; drop one, or change an option")
        if self.weights not in ("auto", "given"):
            raise ValueError(f"weights must be auto or given, got {self.weights!r}")
        self._check_aims()
        if not self.grid or not all(0 < weight < float("inf") for weight in self.grid):
            raise ValueError(f"grid must have positive weights, at least one, got {self.grid}")
        if not 0 < self.validation_share < 1:
            raise ValueError(f"validation_share must be above 0 and below 1, got {self.validation_share}")
        if not self.curve_every > 0:
            raise ValueError(f"curve_every must be positive, got {self.curve_every}")
        _ = self.selection_recipe  # refuses epochs that it can not use

    def _check_aims(self) -> None:
        for arm in self.to_choose:
            if dict(arm.options).get("sign") == "anisotropic":
                raise ValueError(
                    f"weights are chosen for low anisotropy, which {arm.name} raises; give it a weight, as "
                    f"in {arm.name},weight=0.1"
                )

    @property
    def to_choose(self) -> tuple[ArmSpec, ...]:
        """The arms whose weight is chosen."""
        return tuple(arm for arm in self.arms if not arm.fixed) if self.weights == "auto" else ()

    @property
    def selection_recipe(self) -> Recipe:
        """The recipe of the runs that try weights."""
        if self.selection_epochs is None:
            return self.recipe
        return dataclasses.replace(self.recipe, epochs=self.selection_epochs)

    @property
    def training_runs(self) -> int:
        """How many trainings there are in all, those that try weights included."""
        tries = len(self.to_choose) * len(self.grid) + bool(self.to_choose)
        return tries * len(self.selection_seeds or ()) + len(self.arms) * len(self.seeds)


def recipe_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe that change numbers."""
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name != "save_steps"}


def shared_settings(plan: Plan) -> dict[str, Any]:
    """Return what all runs of a folder must have in common; arms and seeds may be added."""
    return recipe_settings(plan.recipe) | {
        "classes": list(plan.classes),
        "curve_every": plan.curve_every,
        "train_sha256": data_hash(plan.train),
        "dev_sha256": data_hash(plan.dev),
    }


def run_key(settings: dict[str, Any]) -> str:
    """Return a short name for settings, the same for equal ones: what identifies a run on disk."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
