"""What training does to geometry: gradient energy in tangent directions with its nulls, and trajectories."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conescope.dynamics.anisotropy_share import AnisotropyShare, anisotropy_share, isoscore_star_ceiling
from conescope.dynamics.collapse import collapses
from conescope.dynamics.concepts import concept_proxy
from conescope.dynamics.energy import energy, excess_ratio, variance_share
from conescope.dynamics.frames import normal_frames, random_frames
from conescope.dynamics.frequency import FrequencyGeometry, centroid_distance, frequency_geometry
from conescope.dynamics.gradient_energy import GradientEnergy, gradient_energy
from conescope.dynamics.noise_scale import NoiseScale, noise_scale
from conescope.dynamics.proxy import Proxy, fit_proxy
from conescope.dynamics.recorder import Recorder
from conescope.dynamics.shuffled import shuffled_energies, shuffled_energy
from conescope.dynamics.tangent_energy import TangentEnergy
from conescope.dynamics.visibility import curvature_visibility

if TYPE_CHECKING:
    from conescope.dynamics.lightning_tangent import LightningTangentCallback
    from conescope.dynamics.tangent_callback import TangentCallback
    from conescope.dynamics.training_run import Watched, watched_training
    from conescope.dynamics.trajectory_callback import TrajectoryCallback

__all__ = [
    "AnisotropyShare",
    "FrequencyGeometry",
    "GradientEnergy",
    "LightningTangentCallback",
    "NoiseScale",
    "Proxy",
    "Recorder",
    "TangentCallback",
    "TangentEnergy",
    "TrajectoryCallback",
    "Watched",
    "anisotropy_share",
    "centroid_distance",
    "collapses",
    "concept_proxy",
    "curvature_visibility",
    "energy",
    "excess_ratio",
    "fit_proxy",
    "frequency_geometry",
    "gradient_energy",
    "isoscore_star_ceiling",
    "noise_scale",
    "normal_frames",
    "random_frames",
    "shuffled_energies",
    "shuffled_energy",
    "variance_share",
    "watched_training",
]

_TRAININGS = {  # each needs a package of its own
    "LightningTangentCallback": "lightning_tangent",
    "TangentCallback": "tangent_callback",
    "TrajectoryCallback": "trajectory_callback",
    "Watched": "training_run",
    "watched_training": "training_run",
}


def __getattr__(name: str) -> Any:
    if name in _TRAININGS:
        return getattr(import_module(f"conescope.dynamics.{_TRAININGS[name]}"), name)
    raise AttributeError(f"module 'conescope.dynamics' has no attribute {name!r}")
