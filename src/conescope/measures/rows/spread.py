"""Rows of the spread in all directions, after Marbut et al.: how far from an isotropic Gaussian?"""

from conescope.measures.eee import eee, eee_from_spectrum, isotropic_eee, least_eee
from conescope.measures.row import Measure
from conescope.measures.vrm import greatest_vrm, vrm

ROWS = (
    Measure(
        name="eee",
        function=eee,
        meaning="how soon the first directions use up the variance",
        bounds=lambda n, d: (least_eee(n, d), max(1 - 1 / max(min(n, d), 1), 0) ** 2),
        isotropic=isotropic_eee,
        better="lower",
        invariant="translation rotation scale permutation",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="arXiv:2212.08172",
        reads="spectrum",
        finish=eee_from_spectrum,
    ),
    Measure(
        name="vrm",
        function=vrm,
        meaning="distance of principal scores from a standard Gaussian",
        bounds=lambda n, d: (0, greatest_vrm(d)),
        isotropic=lambda n, d: None,
        better="lower",
        invariant="translation rotation scale permutation",
        undefined="there are fewer than five points, or no two differ",
        cost="n d min(n, d)",
        paper="arXiv:2212.08172",
    ),
)
