"""Model -> points: hidden states by hooks, and pooling that honors padding."""

from conescope.capture.batch import Batch, Prepared, Tokens
from conescope.capture.hidden_states import LayerCapture, Place, Taps
from conescope.capture.pooling import POOLINGS, Pooling, layers_needed, pool
from conescope.capture.spots import Spot, Spots, positions, spots
from conescope.capture.stacks import Stack, backbone, stacks, unwrapped

__all__ = [
    "POOLINGS",
    "Batch",
    "LayerCapture",
    "Place",
    "Pooling",
    "Prepared",
    "Spot",
    "Spots",
    "Stack",
    "Taps",
    "Tokens",
    "backbone",
    "layers_needed",
    "pool",
    "positions",
    "spots",
    "stacks",
    "unwrapped",
]
