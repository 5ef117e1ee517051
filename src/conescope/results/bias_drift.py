"""How the blocks of a model change the mean cosine of inputs with a common bias."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PartName = Literal["block", "attention", "mlp"]
Pairs = Literal["across", "within"]
Effect = Literal["amplifies", "leaves", "reduces", "unknown"]
PART_NAMES: dict[PartName, str] = {"block": "the whole block", "attention": "attention", "mlp": "MLP"}
PAIR_NAMES: dict[Pairs, str] = {
    "across": "tokens of different sequences",
    "within": "tokens of one sequence",
}
EFFECTS: tuple[Effect, ...] = ("amplifies", "leaves", "reduces", "unknown")


class Change(BaseModel):
    """The mean cosine before and after a part: means over seeds, with 95 % intervals.

    `change` is after minus before, seed by seed. The part amplifies if the interval of that lies above zero,
    reduces if below, else leaves the mean cosine as it is; with one seed that is unknown, and so it is where
    tokens are zero vectors, which have no cosine: then values are None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: float | None
    after: float | None
    low: float | None
    high: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    effect: Effect


class DriftPoint(BaseModel):
    """One norm of the bias, as a multiple of sqrt(d), and what a part does there, for both kinds of pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: float
    across: Change
    within: Change

    @property
    def share(self) -> float:
        """|b|^2 / d, the squared norm of the bias beside that of the noise."""
        return self.length**2

    @property
    def theory(self) -> float:
        """The mean cosine of z + b for large d: |b|^2 / (|b|^2 + d)."""
        return self.share / (1 + self.share)


class PartDrift(BaseModel):
    """One part of a block, or the block itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: PartName
    module: str
    points: tuple[DriftPoint, ...]


class BlockDrift(BaseModel):
    """One block; `depth` counts from 1 within its stack, and `fed` is the mean cosine of the z + b it got.

    `fed` has one number a bias, of pairs of tokens of different sequences.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    depth: int
    module: str
    d: int
    tokens: int
    fed: tuple[float, ...]
    parts: tuple[PartDrift, ...]

    @property
    def name(self) -> str:
        """The stack and the depth, as a reader calls the block."""
        return f"{self.stack} block {self.depth}".strip()

    def part(self, name: PartName) -> PartDrift:
        """Return a part by its name.

        Raises:
            KeyError: naming the parts there are.
        """
        for part in self.parts:
            if part.part == name:
                return part
        raise KeyError(f"{self.name} has no {name}; it has {', '.join(part.part for part in self.parts)}")


class BiasDrift(BaseModel):
    """The common-bias experiment on the blocks of a model.

    `untrained` says that each seed drew weights of its own; else seeds drew noise and bias only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.bias_drift/1"] = "conescope.bias_drift/1"
    title: str
    architecture: str
    untrained: bool
    sequences: int
    seeds: tuple[int, ...]
    lengths: tuple[float, ...]
    blocks: tuple[BlockDrift, ...]
    notes: tuple[str, ...] = ()

    def block(self, depth: int, stack: str | None = None) -> BlockDrift:
        """Return a block by its depth, from 1; the stack may be left out where there is one.

        Raises:
            KeyError: naming the blocks there are.
        """
        found = [block for block in self.blocks if block.depth == depth and stack in (None, block.stack)]
        if len(found) != 1:
            names = ", ".join(block.name for block in self.blocks)
            raise KeyError(f"there is no one block {depth} of stack {stack}; there are {names}")
        return found[0]

    def verdict(self, pairs: Pairs = "across") -> tuple[str, ...]:
        """Return a sentence for each part: in how many blocks it amplifies, and at which biases."""
        sentences = []
        for name, spoken in PART_NAMES.items():
            mine = [part for block in self.blocks for part in block.parts if part.part == name]
            if not mine:
                continue
            said = [text for effect in EFFECTS if (text := _said(effect, mine, pairs))]
            sentences.append(f"{spoken[:1].upper()}{spoken[1:]}, {PAIR_NAMES[pairs]}: {'; '.join(said)}.")
        return tuple(sentences)

    def to_json(self) -> str:
        """Return the result as JSON, which `BiasDrift.model_validate_json` reads back."""
        return self.model_dump_json(indent=1)

    def __str__(self) -> str:
        head = "".join(f"{length**2:>9.4g}" for length in self.lengths)
        lines = [f"{self.title} ({self.architecture}): mean cosine after, of {PAIR_NAMES['across']}"]
        width = max(len(f"{block.name} attention") for block in self.blocks)
        lines.append(f"{'|b|^2 / d':<{width}}{head}")
        for block in self.blocks:
            lines.append(
                f"{f'{block.name} given':<{width}}" + "".join(f"{value:>9.4f}" for value in block.fed)
            )
            for part in block.parts:
                cells = "".join(_cell(point.across.after) for point in part.points)
                lines.append(f"{f'{block.name} {part.part}':<{width}}{cells}")
        return "\n".join([*lines, *self.verdict("across"), *self.verdict("within"), *self.notes])


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:>9.4f}"


def _said(effect: Effect, mine: list[PartDrift], pairs: Pairs) -> str:
    """Return in how many blocks a part has an effect, and at which biases, in words."""
    where = [
        [point.share for point in part.points if getattr(point, pairs).effect == effect] for part in mine
    ]
    shares = sorted({share for found in where for share in found})
    if not shares:
        return ""
    verb = {"leaves": "leaves it as it is", "unknown": "is unknown"}.get(effect, effect)
    at = ", ".join(f"{share:.3g}" for share in shares)
    return f"{verb} in {sum(map(bool, where))} of {len(mine)} blocks (|b|^2/d = {at})"
