"""Model -> the same model with noise in its weights, and what that does to its measures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conescope.perturb.perturbed import perturbed
from conescope.perturb.sequences import sample_sequences
from conescope.perturb.study import DEFAULT_MEASURES, PERCENTS, study
from conescope.perturb.weights import PARTS, chosen_weights

if TYPE_CHECKING:
    from conescope.perturb.task import Budget, Task, parse_task, read_task

__all__ = [
    "DEFAULT_MEASURES",
    "PARTS",
    "PERCENTS",
    "Budget",
    "Task",
    "chosen_weights",
    "parse_task",
    "perturbed",
    "read_task",
    "sample_sequences",
    "study",
]

_OF_TASKS = (
    "Budget",
    "Task",
    "parse_task",
    "read_task",
)  # fine-tuning needs packages that measuring does not


def __getattr__(name: str) -> Any:
    if name in _OF_TASKS:
        return getattr(import_module("conescope.perturb.task"), name)
    raise AttributeError(f"module 'conescope.perturb' has no attribute {name!r}")
