"""What training does to geometry: gradient energy in tangent directions with its nulls, and trajectories."""

from conescope.dynamics.anisotropy_share import AnisotropyShare, anisotropy_share, isoscore_star_ceiling
from conescope.dynamics.collapse import collapses
from conescope.dynamics.energy import energy, excess_ratio, variance_share
from conescope.dynamics.frames import normal_frames, random_frames
from conescope.dynamics.frequency import FrequencyGeometry, centroid_distance, frequency_geometry
from conescope.dynamics.gradient_energy import GradientEnergy, gradient_energy
from conescope.dynamics.proxy import Proxy, fit_proxy
from conescope.dynamics.recorder import Recorder
from conescope.dynamics.shuffled import shuffled_energies, shuffled_energy
from conescope.dynamics.tangent_energy import TangentEnergy
from conescope.dynamics.visibility import curvature_visibility

__all__ = [
    "AnisotropyShare",
    "FrequencyGeometry",
    "GradientEnergy",
    "Proxy",
    "Recorder",
    "TangentEnergy",
    "anisotropy_share",
    "centroid_distance",
    "collapses",
    "curvature_visibility",
    "energy",
    "excess_ratio",
    "fit_proxy",
    "frequency_geometry",
    "gradient_energy",
    "isoscore_star_ceiling",
    "normal_frames",
    "random_frames",
    "shuffled_energies",
    "shuffled_energy",
    "variance_share",
]
