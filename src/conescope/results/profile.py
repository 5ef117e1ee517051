"""What was measured of the hidden states of one model, layer by layer."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from conescope._optional import require
from conescope.results.measurement import MeasuredValue, Measurement

if TYPE_CHECKING:
    from pandas import DataFrame

Kind = Literal["input", "block", "final"]
CONSTANT = "constant: all points coincide"


class Rows(BaseModel):
    """Numbers of one kind within a layer, such as those of each frequency bin; columns as they are named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]


class Layer(BaseModel):
    """The measures of one layer.

    `depth` counts within its stack: 0 is what enters the first block, i what block i returns, and one more
    is what the stack returns if a normalization stands behind its last block (`kind` "final"). `module` is
    the name of the module. `constant` says that all points coincide, as a CLS vector does before the first
    block: no measure of such a layer is a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    depth: int
    module: str
    kind: Kind
    constant: bool
    measurement: Measurement
    tables: tuple[Rows, ...] = ()


class Profile(BaseModel):
    """The layers of a model on some inputs, stack by stack.

    A model has one stack of blocks, or several, such as an encoder and a decoder, whose names differ.
    `points` says what one point is: the pooling. `step` is that of a checkpoint, where it is one of a series.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.profile/1"] = "conescope.profile/1"
    title: str
    architecture: str
    modality: str
    pooling: str
    special_tokens: bool
    inputs: int
    seed: int
    key: str = ""  # a hash of model, inputs and settings: what has the same key need not be made again
    untrained: bool = False
    step: int | None = None
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()

    def stacks(self) -> tuple[str, ...]:
        """Return the names of the stacks, in the order in which they run."""
        return tuple(dict.fromkeys(layer.stack for layer in self.layers))

    def of(self, stack: str | None = None) -> tuple[Layer, ...]:
        """Return the layers of a stack; its name may be left out where there is one.

        Raises:
            ValueError: naming the stacks there are.
        """
        names = self.stacks()
        if stack is None and len(names) == 1:
            return self.layers
        if stack not in names:
            asked = "say which stack" if stack is None else f"there is no stack {stack!r}"
            raise ValueError(f"{asked}: there are {', '.join(names)}")
        return tuple(layer for layer in self.layers if layer.stack == stack)

    def layer(self, layer: int = -1, stack: str | None = None) -> Layer:
        """Return a layer by its depth, or counted from the end if negative.

        Raises:
            ValueError: naming the depths, or the stacks, there are.
        """
        found = self.of(stack)
        for one in found:
            if one.depth == layer:
                return one
        if -len(found) <= layer < 0:
            return found[layer]
        depths = ", ".join(str(one.depth) for one in found)
        raise ValueError(
            f"there is no layer {layer}; there are {depths}, or -1 to {-len(found)} from the end"
        )

    def measured(self, name: str, layer: int = -1, stack: str | None = None) -> MeasuredValue:
        """Return a measure of a layer with its interval; errors as `layer` and `Measurement.measured`."""
        return self.layer(layer, stack).measurement.measured(name)

    def value(self, name: str, layer: int = -1, stack: str | None = None) -> float:
        """Return a measure of a layer as a number.

        Raises:
            ValueError: saying why the measure is undefined there, or which layers and stacks there are.
            KeyError: naming the measures there are.
        """
        return self.layer(layer, stack).measurement.value(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of the measures, in the order of the table."""
        return self.layers[0].measurement.names() if self.layers else ()

    def to_json(self) -> str:
        """Return the profile as JSON, which `Profile.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)

    def to_frame(self) -> "DataFrame":
        """Return a pandas table with a row for each layer and measure.

        Raises:
            ImportError: if pandas is missing.
        """
        frame: type[DataFrame] = require("pandas", extra="frames").DataFrame
        return frame(
            [
                {
                    "stack": layer.stack,
                    "layer": layer.depth,
                    "kind": layer.kind,
                    "measure": found.name,
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                    "n": layer.measurement.n,
                    "d": layer.measurement.d,
                    "note": found.note,
                }
                for layer in self.layers
                for found in layer.measurement.values
            ]
        )

    def __str__(self) -> str:
        lines = [f"{self.title} ({self.architecture}): {self.inputs} inputs, pooling {self.pooling}"]
        width = max(map(len, self.names()), default=0)
        for stack in self.stacks():
            layers = self.of(stack)
            head = "".join(f"{layer.depth:>9}" for layer in layers)
            lines.append(f"{stack or 'layer':<{width}}{head}")
            for name in self.names():
                cells = "".join(f"{_cell(layer.measurement.measured(name)):>9}" for layer in layers)
                lines.append(f"{name:<{width}}{cells}")
            constant = [str(layer.depth) for layer in layers if layer.constant]
            if constant:
                lines.append(f"constant, all points coincide: layer {', '.join(constant)}")
        return "\n".join([*lines, *self.notes])


def _cell(found: MeasuredValue) -> str:
    if found.value is None:
        return "-"
    return f"{found.value:.4f}" if abs(found.value) < 100 else f"{found.value:.4g}"
