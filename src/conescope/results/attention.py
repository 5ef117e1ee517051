"""What was measured of the attention heads of a model: drift of queries and keys, sharpness, and both."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from conescope._optional import require
from conescope.results.measurement import MeasuredValue

if TYPE_CHECKING:
    from pandas import DataFrame

Source = Literal["self", "cross"]


class Head(BaseModel):
    """The numbers of one attention head.

    `layer` counts the attention modules of its stack and kind from 0, in the order in which they run;
    `key_head` is the head whose keys it reads, which several share in grouped-query attention. `kind` is
    "cross" where keys come from elsewhere than queries, as from an encoder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    kind: Source
    layer: int
    module: str
    head: int
    key_head: int
    d: int
    values: tuple[MeasuredValue, ...]

    def measured(self, name: str) -> MeasuredValue:
        """Return a number with its interval.

        Raises:
            KeyError: naming the numbers there are.
        """
        for found in self.values:
            if found.name == name:
                return found
        raise KeyError(f"there is no {name!r}; there are {', '.join(found.name for found in self.values)}")


class Correlation(BaseModel):
    """How one number goes with another over the heads of a stack, with 95 % intervals over heads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    kind: Source
    drift: str
    sharpness: str
    heads: int
    rank: MeasuredValue
    linear: MeasuredValue


class AttentionProfile(BaseModel):
    """The attention heads of a model on some inputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.attention/1"] = "conescope.attention/1"
    title: str
    architecture: str
    modality: str
    special_tokens: bool
    inputs: int
    seed: int
    heads: tuple[Head, ...]
    correlations: tuple[Correlation, ...]
    notes: tuple[str, ...] = ()

    def head(self, layer: int, head: int, *, stack: str | None = None, kind: Source | None = None) -> Head:
        """Return one head; stack and kind may be left out where there is one of each.

        Raises:
            ValueError: naming the stacks, or the layers and heads, there are.
        """
        mine = [
            one
            for one in self.heads
            if (stack is None or one.stack == stack) and (kind is None or one.kind == kind)
        ]
        places = sorted({(one.stack, one.kind) for one in mine or self.heads})
        if not mine or len(places) > 1:
            told = ", ".join(f"stack={stack!r} kind={kind!r}" for stack, kind in places)
            raise ValueError(f"say which stack and kind: there are {told}")
        for one in mine:
            if (one.layer, one.head) == (layer, head):
                return one
        last, most = max(one.layer for one in mine), max(one.head for one in mine)
        raise ValueError(
            f"there is no head {head} in layer {layer}; there are layers 0 to {last}, heads 0 to {most}"
        )

    def value(
        self, name: str, layer: int, head: int, *, stack: str | None = None, kind: Source | None = None
    ) -> float:
        """Return a number of a head.

        Raises:
            ValueError: saying why it is undefined, or which heads there are.
            KeyError: naming the numbers there are.
        """
        found = self.head(layer, head, stack=stack, kind=kind).measured(name)
        if found.value is None:
            raise ValueError(f"{name} is undefined here: {found.note}")
        return found.value

    def to_json(self) -> str:
        """Return the profile as JSON, which `AttentionProfile.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)

    def to_frame(self) -> "DataFrame":
        """Return a pandas table with a row for each head and number.

        Raises:
            ImportError: if pandas is missing.
        """
        frame: type[DataFrame] = require("pandas", extra="frames").DataFrame
        return frame(
            [
                {
                    "stack": one.stack,
                    "kind": one.kind,
                    "layer": one.layer,
                    "head": one.head,
                    "measure": found.name,
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                    "note": found.note,
                }
                for one in self.heads
                for found in one.values
            ]
        )
