"""Model -> points: hidden states by hooks, and pooling that honors padding."""

from conescope.capture.batch import Batch, Prepared, Tokens
from conescope.capture.given import Given
from conescope.capture.hidden_states import LayerCapture, Place, Taps
from conescope.capture.images import Images
from conescope.capture.modality import Modality, modality_of
from conescope.capture.opening import Opened, open_model, prepare
from conescope.capture.pooling import POOLINGS, Pooling, layers_needed, pool
from conescope.capture.reading import read_inputs
from conescope.capture.sounds import Sounds
from conescope.capture.spots import Spot, Spots, positions, spots
from conescope.capture.stacks import Stack, backbone, stacks, unwrapped
from conescope.capture.texts import Texts

__all__ = [
    "POOLINGS",
    "Batch",
    "Given",
    "Images",
    "LayerCapture",
    "Modality",
    "Opened",
    "Place",
    "Pooling",
    "Prepared",
    "Sounds",
    "Spot",
    "Spots",
    "Stack",
    "Taps",
    "Texts",
    "Tokens",
    "backbone",
    "layers_needed",
    "modality_of",
    "open_model",
    "pool",
    "positions",
    "prepare",
    "read_inputs",
    "spots",
    "stacks",
    "unwrapped",
]
