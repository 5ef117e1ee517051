"""The folder of a study: one file a run, written whole or not at all, and the result."""

from pathlib import Path

from pydantic import ValidationError

from conescope._files import write_text
from conescope.results.perturbation import Perturbation, PerturbedRun

RUNS = "runs"
RESULT = "perturbation.json"


def known(folder: Path, percent: float, seed: int, key: str) -> PerturbedRun | None:
    """Return the run that an earlier study of the same key left in the folder, if there is one."""
    try:
        found = PerturbedRun.model_validate_json(_place(folder, percent, seed).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.key == key else None


def kept(folder: Path, run: PerturbedRun) -> None:
    """Write a run into the folder."""
    write_text(_place(folder, run.percent, run.seed), run.model_dump_json(indent=1))


def finish(folder: Path, found: Perturbation) -> None:
    """Write the result into the folder."""
    write_text(folder / RESULT, found.to_json())


def _place(folder: Path, percent: float, seed: int) -> Path:
    return folder / RUNS / f"percent-{percent:.12g}-seed-{seed}.json"
