"""Notes: facts about the points that bend all values, told before anything is judged."""

from collections.abc import Sequence

from conescope.measures import Measure
from conescope.scale.moments import SINGLE_RESOLUTION
from conescope.scale.state import State
from conescope.survey.statistics import Statistics


def notes_of(state: State, found: Statistics, rows: Sequence[Measure]) -> list[str]:
    """Return facts that bend the values."""
    n, d = state.n, state.d
    notes: list[str] = []
    if n < 5:
        notes.append(f"n = {n}: too few points to tell a shape; take n well above d = {d}")
    elif n < d:
        notes.append(
            f"n = {n} < d = {d}: covariance-based values read low (isoscore, effective_rank) or high "
            f"(anisotropy); take n well above d, and check that each row is one point"
        )
    if d == 1:
        notes.append("d = 1: there are no directions to compare; check that each row is one point")
    zeros = n - state.moments.directions
    if zeros > 0:
        notes.append(f"{zeros} of {n} points are zero and have no direction: left out of mean_cosine")
    at_hand = len(found.points)
    if found.copies:
        notes.append(
            f"{found.copies} of {at_hand} points repeat another one; each adds an H0 bar of length zero"
        )
    if found.near_copies:
        notes.append(
            f"{found.near_copies} of {at_hand} points are nearly a copy of another one; twonn and "
            "mle_dimension read low"
        )
    classes = state.moments.classes
    if classes is not None:
        single = int((classes.counts == 1).sum())
        if single:
            count = int((classes.counts > 0).sum())
            notes.append(f"classes with one point, which say nothing within a class: {single} of {count}")
    hidden = _hidden(state, found, rows)
    if hidden:
        notes.append(
            f"{hidden} of {min(n - 1, d)} directions hold less than a millionth of the strongest variance "
            "and count as empty, since products were made in single precision; double tells them apart"
        )
    return notes


def _hidden(state: State, found: Statistics, rows: Sequence[Measure]) -> int:
    """Return how many directions the single precision of the products may have emptied."""
    single = state.moments.resolution >= SINGLE_RESOLUTION
    if not single or not any(row.reads == "spectrum" for row in rows):
        return 0
    squares = found.spectrum.squares[: max(state.n - 1, 0)]  # centering empties one more
    return int((squares == 0).sum()) if bool((squares > 0).any()) else 0
