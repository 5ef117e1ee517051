"""Model -> points: hidden states by hooks, and pooling that honors padding."""

from conescope.capture.hidden_states import LayerCapture, backbone, unwrapped
from conescope.capture.pooling import POOLINGS, Pooling, layers_needed, pool

__all__ = ["POOLINGS", "LayerCapture", "Pooling", "backbone", "layers_needed", "pool", "unwrapped"]
