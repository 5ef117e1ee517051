"""Profiles of several models side by side, and which differences exceed their intervals."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from conescope.results.comparison import ComparedValue
from conescope.results.profile import Layer, Profile


class ComparedLayer(BaseModel):
    """A layer of a profile against the layer of the first one that it was matched with.

    `stack` and `depth` are those of the first profile, `other_stack` and `other_depth` those of the profile
    `space`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: str
    stack: str
    depth: int
    other_stack: str
    other_depth: int
    differences: tuple[ComparedValue, ...]

    def difference(self, measure: str) -> ComparedValue:
        """Return how a measure differs in this layer.

        Raises:
            KeyError: naming the measures that were compared.
        """
        for compared in self.differences:
            if compared.measure == measure:
                return compared
        names = ", ".join(compared.measure for compared in self.differences)
        raise KeyError(f"{measure} was not compared; there are {names}")


class ProfileComparison(BaseModel):
    """Profiles by name; differences are taken from the first one, layer by layer.

    The intervals treat the profiles as made of inputs drawn independently. For two models of the same
    inputs that is as a rule too wide rather than too narrow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.profiles/1"] = "conescope.profiles/1"
    profiles: dict[str, Profile]
    layers: tuple[ComparedLayer, ...]
    notes: tuple[str, ...] = ()

    def of(self, space: str, stack: str | None = None) -> tuple[ComparedLayer, ...]:
        """Return the compared layers of a profile; the stack is that of the first profile, None for all.

        Raises:
            KeyError: if no layer of such a profile and stack was compared.
        """
        found = tuple(layer for layer in self.layers if layer.space == space and stack in (None, layer.stack))
        if not found:
            raise KeyError(f"no layer of {space}, stack {stack!r}, was compared")
        return found

    def difference(self, measure: str, space: str, layer: int, stack: str | None = None) -> ComparedValue:
        """Return how a measure of a profile differs in a layer, counted as in the first profile.

        Raises:
            KeyError: if there is no such layer or measure, or several stacks have it and none is named.
        """
        found = [each for each in self.of(space, stack) if each.depth == layer]
        if len(found) != 1:
            there = "several stacks have" if found else "there is no"
            raise KeyError(f"{there} layer {layer} compared between {space} and the first profile")
        return found[0].difference(measure)

    def names(self) -> tuple[str, ...]:
        """Return the measures that were compared, in the order of the table."""
        return tuple(dict.fromkeys(each.measure for layer in self.layers for each in layer.differences))

    def __str__(self) -> str:
        first, *others = self.profiles
        lines = []
        for space in others:
            for layer in self.of(space):
                head = f"{space} against {first}, {place(layer.stack, layer.depth)}"
                lines.append(f"{head}: " + "; ".join(map(_told, layer.differences)))
        return "\n".join([*lines, *self.notes])


def place(stack: str, depth: int) -> str:
    """Return what a layer is called: by its depth, and by its stack where that has a name."""
    return f"{stack} layer {depth}".strip()


def blocks(layers: tuple[Layer, ...]) -> int:
    """Return how many blocks the layers of one stack show: the final normalization is none."""
    return max((layer.depth for layer in layers if layer.kind != "final"), default=0)


def relative_depth(layer: Layer, layers: tuple[Layer, ...]) -> float:
    """Return the depth of a layer over the number of blocks of its stack, from 0 to 1."""
    return min(layer.depth / max(blocks(layers), 1), 1.0)


def _told(compared: ComparedValue) -> str:
    if compared.difference is None:
        return f"{compared.measure} undefined"
    return f"{compared.measure} {compared.difference:+.4f} {compared.outcome}"
