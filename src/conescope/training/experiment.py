"""What is compared: a recipe, data, arms and seeds; and the folder that belongs to it."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conescope._devices import chosen_device, chosen_precision
from conescope._files import write_text
from conescope.losses import PersistentEntropyLoss
from conescope.topology import Rule
from conescope.training.provenance import training_versions
from conescope.training.recipe import Recipe
from conescope.training.tables import LabelledTexts

WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class PersistentEntropy:
    """The settings of the regularizer of one arm."""

    weight: float = 1.0
    selection: Rule | None = "recursive"
    min_points: int = 5

    def __post_init__(self) -> None:
        self.loss()  # refuses what it can not use before anything is trained

    @property
    def name(self) -> str:
        weight = "" if self.weight == 1 else f" x{self.weight:g}"
        return f"persistent-entropy ({self.selection or 'all bars'}){weight}"

    def loss(self) -> PersistentEntropyLoss:
        return PersistentEntropyLoss(self.weight, self.selection, self.min_points)


@dataclass(frozen=True)
class Experiment:
    """Everything that determines the numbers. None among the arms is plain training."""

    title: str
    recipe: Recipe
    train: LabelledTexts
    dev: LabelledTexts
    classes: tuple[str, ...]
    arms: tuple[PersistentEntropy | None, ...]
    seeds: tuple[int, ...]

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings, with the data as a hash: what must agree for a folder to be resumed."""
        settings = dataclasses.asdict(self.recipe)
        settings |= {
            "arms": [arm and dataclasses.asdict(arm) for arm in self.arms],
            "seeds": list(self.seeds),
        }
        return settings | {"train_sha256": data_hash(self.train), "dev_sha256": data_hash(self.dev)}


def claim(folder: Path, experiment: Experiment) -> None:
    """Write the settings into the folder, or check that those in it are the same."""
    claim_settings(folder / "experiment.json", experiment.fingerprint())
    for name, settings in made_with(experiment.recipe).items():
        claim_settings(folder / name, settings)


def made_with(recipe: Recipe) -> dict[str, dict[str, str]]:
    """Return, by the name of its file, what runs that are compared are made with besides their settings."""
    device = chosen_device(recipe.device)
    precision = chosen_precision(recipe.precision, device)
    return {
        "device.json": {"device": device.type, "precision": precision},
        "versions.json": training_versions(),
    }


def data_hash(data: LabelledTexts) -> str:
    """Return the SHA-256 of texts and labels, in their order."""
    text = json.dumps([data.texts, data.pairs, data.labels])
    return hashlib.sha256(text.encode()).hexdigest()


def weights_hash(model: str | Path) -> str | None:
    """Return the SHA-256 of the weights and the configuration in a folder; None for the name of a model."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in WEIGHTS or path.name == "config.json":
            found.update(path.name.encode())
            with path.open("rb") as source:
                found.update(hashlib.file_digest(source, "sha256").digest())
    return found.hexdigest()


def claim_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings into the file, or check that those in it are the same.

    Raises:
        ValueError: naming the first setting that is another one there.
    """
    wanted = json.loads(json.dumps(settings))
    if not path.is_file():
        write_text(path, json.dumps(wanted, indent=1))
        return
    try:
        there = json.loads(path.read_text())
    except ValueError as problem:
        raise ValueError(f"{path} is not readable; remove the folder or give another one") from problem
    different = [name for name in wanted if there.get(name) != wanted[name]]
    if different:
        name = different[0]
        raise ValueError(
            f"{path.parent} holds an experiment with {name} = {there.get(name)}, now it is {wanted[name]}; "
            "give another folder, or remove this one"
        )
