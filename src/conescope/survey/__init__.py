"""The whole table over one embedding space or several: intervals, nulls, notes and a verdict."""

from conescope.survey.advise import advise
from conescope.survey.barcode import barcode
from conescope.survey.compare import compare, comparison
from conescope.survey.measure import measure

__all__ = ["advise", "barcode", "compare", "comparison", "measure"]
