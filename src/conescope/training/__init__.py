"""Fine-tuning with a regularizer, the comparison with fine-tuning without, and geometry in every trainer."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conescope._optional import require

for package in ("transformers", "accelerate"):  # the Trainer needs both
    require(package, extra="hf")

from conescope.training.geometry_callback import GeometryCallback  # noqa: E402
from conescope.training.regularize import regularize  # noqa: E402
from conescope.training.with_regularizer import WithRegularizer  # noqa: E402

if TYPE_CHECKING:
    from conescope.training.embedding_regularizer import EmbeddingRegularizer
    from conescope.training.geometry_evaluator import GeometryEvaluator
    from conescope.training.geometry_metric import GeometryMetric
    from conescope.training.lightning_callback import LightningGeometryCallback

__all__ = [
    "EmbeddingRegularizer",
    "GeometryCallback",
    "GeometryEvaluator",
    "GeometryMetric",
    "LightningGeometryCallback",
    "WithRegularizer",
    "regularize",
]

_OTHER_TRAINERS = {  # each needs a package of its own
    "EmbeddingRegularizer": "embedding_regularizer",
    "GeometryEvaluator": "geometry_evaluator",
    "GeometryMetric": "geometry_metric",
    "LightningGeometryCallback": "lightning_callback",
}


def __getattr__(name: str) -> Any:
    if name in _OTHER_TRAINERS:
        return getattr(import_module(f"conescope.training.{_OTHER_TRAINERS[name]}"), name)
    raise AttributeError(f"module 'conescope.training' has no attribute {name!r}")
