"""Rows of the sphere: how evenly do directions cover it?"""

from conescope.measures.alignment import alignment
from conescope.measures.partition_isotropy import partition_isotropy
from conescope.measures.row import Measure
from conescope.measures.uniformity import isotropic_uniformity, uniformity

ROWS = (
    Measure(
        name="partition_isotropy",
        function=partition_isotropy,
        meaning="least over greatest partition function; raw, in the unit of the points",
        bounds=lambda n, d: (0, 1),
        isotropic=lambda n, d: None,  # depends on the unit, and on n by extremes of 2 d sums
        better="higher",
        invariant="rotation permutation duplication",
        undefined="there is no point, or vectors are too long (1e10 and more) to compare their exponentials",
        cost="n d min(n, d)",
        paper="arXiv:1702.01417",
        differentiable=False,
    ),
    Measure(
        name="uniformity",
        function=uniformity,
        meaning="log mean potential of directions, not centered; about -4 if even",
        bounds=lambda n, d: (-8, 0),
        isotropic=lambda n, d: None if n < 2 else isotropic_uniformity(d),
        better="lower",
        invariant="rotation scale row-scale permutation",
        undefined="fewer than two points differ from zero",
        cost="n^2 d",
        paper="arXiv:2005.10242",
    ),
    Measure(
        name="alignment",
        function=alignment,
        meaning="mean squared distance of the directions of partners, not centered",
        bounds=lambda n, d: (0, 4),
        isotropic=lambda n, d: None if n < 1 else 2.0,
        better="neither",
        invariant="rotation scale row-scale permutation duplication",
        undefined="in no pair both points differ from zero",
        cost="n d",
        paper="arXiv:2005.10242",
        needs="partners",
    ),
)
