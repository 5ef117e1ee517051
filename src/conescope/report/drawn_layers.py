"""What the figures of profiles draw: each stack of each profile a line, with a name and a color."""

from collections.abc import Sequence
from typing import NamedTuple

from conescope.report.drawing import class_color, class_symbol, rounded
from conescope.results import MeasuredValue, Profile
from conescope.results.profile import Layer
from conescope.results.profiles import blocks


class Line(NamedTuple):
    """One stack of one profile: a line in the figure and an entry of the legend."""

    name: str
    group: str
    color: str
    opacity: float
    symbol: str
    layers: tuple[Layer, ...]


def names_of(profiles: Sequence[Profile]) -> list[str]:
    """Return what each profile is called: by its title, what sets it apart, and else a number."""
    steps = len({profile.step for profile in profiles}) > 1
    called = []
    for profile in profiles:
        step = f", step {profile.step}" if steps and profile.step is not None else ""
        untrained = ", untrained" if profile.untrained and "untrained" not in profile.title else ""
        called.append(f"{profile.title}{untrained}{step}")
    return [
        f"{name} ({called[:place].count(name) + 1})" if called.count(name) > 1 else name
        for place, name in enumerate(called)
    ]


def measures_of(profiles: Sequence[Profile]) -> list[str]:
    """Return the measures of all profiles, each once, in the order of the tables."""
    return list(dict.fromkeys(name for profile in profiles for name in profile.names()))


def is_series(profiles: Sequence[Profile]) -> bool:
    """Return whether the profiles are checkpoints: each has a step, and no two the same."""
    steps = {profile.step for profile in profiles}
    return len(profiles) > 1 and None not in steps and len(steps) == len(profiles)


def lines(profiles: Sequence[Profile]) -> list[Line]:
    """Return the lines of the figure. Steps of a series share a color, and deepen with time."""
    found: list[Line] = []
    series = is_series(profiles)
    steps = sorted(profile.step or 0 for profile in profiles)
    for place, (profile, called) in enumerate(zip(profiles, names_of(profiles), strict=True)):
        stacks = profile.stacks()
        for number, stack in enumerate(stacks):
            index = number if series else len(found)
            age = steps.index(profile.step or 0) / max(len(steps) - 1, 1) if series else 1.0
            found.append(
                Line(
                    name=f"{called}: {stack}" if len(stacks) > 1 else called,
                    group=f"line-{place}-{number}",
                    color=class_color(index),
                    opacity=0.25 + 0.75 * age,
                    symbol=class_symbol(index),
                    layers=profile.of(stack),
                )
            )
    return found


def depths_differ(drawn: Sequence[Line]) -> bool:
    """Return whether stacks have different numbers of blocks."""
    return len({blocks(line.layers) for line in drawn}) > 1


def called(layer: Layer) -> str:
    """Return what a layer is called on the axis of a table or figure."""
    return "final" if layer.kind == "final" else str(layer.depth)


def measure_of(layer: Layer, name: str) -> MeasuredValue | None:
    """Return a measure of a layer, None if it has not been taken."""
    return next((value for value in layer.measurement.values if value.name == name), None)


def y_of(value: float | None) -> float | None:
    """Return a number as a figure holds it."""
    return None if value is None else rounded([value])[0]
