"""Does a regularizer help? Arms with the same seeds and data order, compared with plain training."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conescope.ablation.ablating import ablate
    from conescope.ablation.arms import ArmSpec, parse_arm
    from conescope.ablation.plan import Plan

__all__ = ["ArmSpec", "Plan", "ablate", "parse_arm"]

_PLACES = {"ArmSpec": "arms", "Plan": "plan", "ablate": "ablating", "parse_arm": "arms"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"conescope.ablation.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'conescope.ablation' has no attribute {name!r}")
