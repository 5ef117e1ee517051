"""Conescope measures, improves, explains and shows the shape of embedding spaces.

Nothing is imported before it is asked for: `conescope.topology` loads torch, `conescope.training`
loads transformers, and `import conescope` loads neither.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conescope import (
        capture,
        dynamics,
        losses,
        measures,
        perturb,
        predict,
        profile,
        report,
        results,
        scale,
        survey,
        topology,
        training,
        transforms,
    )
    from conescope.profile.layers import profile_layers
    from conescope.survey.compare import compare
    from conescope.survey.measure import measure

__version__ = version("conescope")
__all__ = [
    "__version__",
    "capture",
    "compare",
    "dynamics",
    "losses",
    "measure",
    "measures",
    "perturb",
    "predict",
    "profile",
    "profile_layers",
    "report",
    "results",
    "scale",
    "survey",
    "topology",
    "training",
    "transforms",
]

_ROOMS = (
    "capture",
    "dynamics",
    "losses",
    "measures",
    "perturb",
    "predict",
    "profile",
    "report",
    "results",
    "scale",
    "survey",
    "topology",
    "training",
    "transforms",
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"conescope.{name}")
    if name in ("compare", "measure"):
        return getattr(import_module("conescope.survey"), name)
    if name == "profile_layers":
        return import_module("conescope.profile").profile_layers
    raise AttributeError(f"module 'conescope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
