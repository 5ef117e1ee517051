"""A score predicted from numbers about a model, such as its geometry, and how far to trust that."""

from conescope.predict.applied import apply
from conescope.predict.columns import Columns, read_columns
from conescope.predict.fitting import predict

__all__ = ["Columns", "apply", "predict", "read_columns"]
