"""What the callbacks of all trainers share: the settings of a `TangentEnergy`, and what it has measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from conescope._files import write_text
from conescope.dynamics.proxy import Kind, Proxy, Rank
from conescope.dynamics.tangent_energy import TangentEnergy
from conescope.results.dynamics import TangentResult

if TYPE_CHECKING:
    from pandas import DataFrame


class Watching:
    """Holds the settings until a training begins, and then its `TangentEnergy`; steps are counted by hand."""

    def __init__(
        self,
        modules: Sequence[str] | None,
        rank: Rank,
        fit_fraction: float,
        every: int,
        draws: int,
        path: str | Path | None,
        seed: int,
        others: Mapping[str, Proxy] | None,
        proxy: Kind,
        refit_every: int,
        reservoir: int,
    ) -> None:
        self.modules, self.rank, self.fit_fraction = modules, rank, fit_fraction
        self.every, self.draws, self.seed = every, draws, seed
        self.others, self.proxy = others, proxy
        self.refit_every, self.reservoir = refit_every, reservoir
        self.path = None if path is None else Path(path)
        self.energy: TangentEnergy | None = None

    def result(self) -> TangentResult:
        """Return what was measured so far.

        Raises:
            RuntimeError: if no training has begun, or only in another process.
        """
        if self.energy is None:
            raise RuntimeError("no training has begun with this callback in this process; train first")
        return self.energy.result()

    def frame(self) -> "DataFrame":
        """Return `result().to_frame()`: a pandas row for each module and sampled step."""
        return self.result().to_frame()

    def close(self) -> None:
        """Take the hooks off the model, as the end of a training does."""
        if self.energy is not None:
            self.energy.__exit__(None, None, None)

    def _made(self, model: nn.Module, steps: int) -> TangentEnergy:
        """Return what measures a training of so many steps; the trainer knows when one ends."""
        return TangentEnergy(
            model,
            self.modules,
            self.rank,
            self.fit_fraction,
            steps,
            self.every,
            self.draws,
            self.seed,
            count="manual",
            others=self.others,
            proxy=self.proxy,
            refit_every=self.refit_every,
            reservoir=self.reservoir,
        )

    def _write(self) -> None:
        if self.path is not None and self.energy is not None:
            write_text(self.path, self.result().to_json())
