"""Tangent energy of a training: a context manager around any loop.

First the inputs of the chosen linear maps are streamed into a covariance; then their principal directions are
frozen, and at every k-th step the true weight gradient is compared with them and with all nulls.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from conescope.capture import unwrapped
from conescope.dynamics.energy import check_basis, check_rank
from conescope.dynamics.gradient_energy import DRAWS
from conescope.dynamics.null_frames import NullFrames
from conescope.dynamics.passing import Passed, Passing
from conescope.dynamics.proxy import Kind, Proxy, Rank
from conescope.dynamics.site_record import SiteRecord
from conescope.dynamics.sites import linear_maps
from conescope.dynamics.step_counter import StepCounter
from conescope.dynamics.streamed import Streamed
from conescope.results.dynamics import TangentResult

if TYPE_CHECKING:
    from pandas import DataFrame

FIT_STEPS = 300  # of a training whose length is not told
PRIME = 1_000_003  # so that steps draw other frames


class _Shared(NamedTuple):
    """Inputs that were seen last, and moments before and after them: query, key and value share theirs."""

    inputs: Tensor
    before: Streamed | None
    after: Streamed | None


class TangentEnergy:
    """Measures gradient energy in the tangent directions of linear maps while a model trains.

    A step is one of the first optimizer that turns out to hold weights of the model, whatever the number of
    backward passes before it: their gradients are added. With `count="manual"` it ends at `step()`. Nothing
    that training computes or draws is changed. Memory per map is a d x d covariance during the fit; after it
    3 d k numbers, and in a sampled step its weight gradient and the inputs until they were used. Each process
    of a distributed training sees its own part of the batch.

    Args:
        model: any module; its forward pass may be given an `attention_mask` of shape (inputs, tokens), and
            padding is then left out of the fit and of the shuffled null. `mask` sets another one by hand.
        modules: names of linear maps; None takes the trainable ones of the blocks.
        rank: of the proxies; "auto" explains 90 % of the variance, with at most d / 8 directions.
        fit_fraction: of the steps, in which the inputs are streamed.
        total_steps: of the training; None fits during the first 300 steps.
        every: of so many steps one is looked at, in the fit and after it.
        draws: of random frames; the smallest p is 1 / (draws + 1).
        seed: of these draws.
        proxies: from another run (`proxies()`), such as one of another seed; nothing is fitted then, and
            gradients are sampled from the first step on, so they go with the `proxy` "pca" alone.
        others: proxies of another run as a control: the energy in as many of their directions stands beside
            that in the own ones (fewer, if they are fewer), for modules that have one.
        count: what ends a step.
        proxy: "pca" is fitted once; "windowed" is fitted in the same way first, and again, at the same rank,
            after every `refit_every` sampled steps, on their inputs; "concepts" are atoms (`concept_proxy`).
        refit_every: sampled steps of a window.
        reservoir: inputs of each map that concepts are fitted on, a random choice of those seen.

    Raises:
        ValueError: for an option out of its range, a name that is no linear map, a rank with 2 k > d, or
            proxies that lack a module, have another width or are not orthonormal, or with another `proxy`.
    """

    def __init__(
        self,
        model: nn.Module,
        modules: Sequence[str] | None = None,
        rank: Rank = "auto",
        fit_fraction: float = 0.3,
        total_steps: int | None = None,
        every: int = 20,
        draws: int = DRAWS,
        seed: int = 0,
        *,
        proxies: Mapping[str, Proxy] | None = None,
        others: Mapping[str, Proxy] | None = None,
        count: Literal["optimizer", "manual"] = "optimizer",
        proxy: Kind = "pca",
        refit_every: int = 10,
        reservoir: int = 2048,
    ) -> None:
        if (
            not 0 < fit_fraction < 1
            or every < 1
            or draws < 1
            or (total_steps is not None and total_steps < 2)
        ):
            raise ValueError(
                "expected 0 < fit_fraction < 1, every >= 1, draws >= 1 and total_steps >= 2, got "
                f"{fit_fraction}, {every}, {draws} and {total_steps}"
            )
        if proxy not in get_args(Kind) or refit_every < 1 or reservoir < 2:
            raise ValueError(
                f"expected a proxy among {', '.join(get_args(Kind))}, refit_every >= 1 and reservoir >= 2, "
                f"got {proxy!r}, {refit_every} and {reservoir}"
            )
        if proxies is not None and proxy != "pca":
            raise ValueError(f"proxies that are given are not fitted again; leave out proxy={proxy!r}")
        sites = linear_maps(model, modules)
        self.proxy, self.refit_every, self.reservoir = proxy, refit_every, reservoir
        self.rank, self.every, self.draws, self.seed, self.count = rank, every, draws, seed, count
        self.fit_steps = FIT_STEPS if total_steps is None else max(round(fit_fraction * total_steps), 1)
        self.steps_seen = 0
        self.records = tuple(
            SiteRecord(site, (proxies or {}).get(site.name), (others or {}).get(site.name)) for site in sites
        )
        self._told = total_steps is not None or proxies is not None
        self._given = proxies is not None
        self._alone = 0 if others is None else sum(site.name not in others for site in sites)
        self._check_widths()
        self._architecture = type(unwrapped(model)).__name__
        self._shared: _Shared | None = None
        self._passing = Passing(model, sites, self._see, self._see_both)
        self._counter = StepCounter(model, self._end)

    @property
    def mask(self) -> Tensor | None:
        """Which tokens are real, (inputs, tokens), to set before a forward pass; None asks the model."""
        return self._passing.mask

    @mask.setter
    def mask(self, mask: Tensor | None) -> None:
        self._passing.mask = None if mask is None else mask > 0

    def __enter__(self) -> "TangentEnergy":
        self._passing.__enter__()
        if self.count == "optimizer":
            self._counter.open()
        self._aim()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._passing.__exit__(kind, error, trace)
        self._counter.close()
        for record in self.records:
            record.sums = None  # of a step that did not end
        self._shared = None

    def step(self) -> None:
        """End a step by hand, after its last backward pass.

        Raises:
            RuntimeError: if steps of the optimizer are counted.
        """
        if self.count == "optimizer":
            raise RuntimeError(
                'steps of the optimizer are counted; ask for TangentEnergy(..., count="manual")'
            )
        self._end()

    def proxies(self) -> dict[str, Proxy]:
        """Return the fitted proxies by module, for a run of another seed."""
        return {record.site.name: record.proxy for record in self.records if record.proxy is not None}

    def frame(self) -> "DataFrame":
        """Return `result().to_frame()`: a pandas row for each module and sampled step."""
        return self.result().to_frame()

    def result(self) -> TangentResult:
        """Return what was measured so far."""
        notes = (
            [] if self._told else [f"total_steps was not given: the fit takes the first {FIT_STEPS} steps"]
        )
        if self._fitting():
            notes.append(
                f"the fit is not done: {self.steps_seen} of {self.fit_steps} steps; give total_steps"
            )
        if self._alone:
            notes.append(
                f"others: the other run has no proxy for {self._alone} of {len(self.records)} modules"
            )
        if self.proxy == "windowed":
            notes.append(f"windowed: proxies are fitted anew after every {self.refit_every} sampled steps")
        if self.proxy == "concepts":
            notes.append("concepts: proxies are spanned by atoms of the inputs, not by principal directions")
        return TangentResult(
            architecture=self._architecture,
            fitted=None if self._given else self.fit_steps,
            seen=self.steps_seen,
            every=self.every,
            draws=self.draws,
            seed=self.seed,
            sites=tuple(record.result() for record in self.records),
            notes=tuple(notes),
        )

    def _check_widths(self) -> None:
        for record in self.records:
            site, proxy = record.site, record.proxy
            check_rank(1 if self.rank == "auto" else self.rank, site.d)
            if self._given and (proxy is None or len(proxy.tangent) != site.d):
                raise ValueError(
                    f"proxies must have directions of {site.d} dimensions for {site.name}; choose modules "
                    f"among {', '.join(self.proxies()) or 'none'}, or fit anew without proxies"
                )
            for each in (proxy, record.other):
                if each is not None:
                    check_basis(each.tangent, site.d)

    def _fitting(self) -> bool:
        return not self._given and self.steps_seen < self.fit_steps

    def _aim(self) -> None:
        """Choose what the hooks show in the step that begins."""
        fitting = self._fitting()
        self._passing.inputs = fitting and self.steps_seen % self.every == 0
        self._passing.gradients = not fitting and self._since() % self.every == 0

    def _see(self, number: int, inputs: Tensor) -> None:
        record = self.records[number]
        if self.proxy == "concepts":
            record.sample(inputs, size=self.reservoir, seed=self.seed)
            return
        before, known = record.moments, self._shared
        if known is not None and known.inputs is inputs and known.before is before:
            record.moments = known.after
            return
        record.see(inputs)
        self._shared = _Shared(inputs, before, record.moments)

    def _see_both(self, number: int, passed: Passed) -> None:
        self.records[number].add(passed, seed=hash((self.seed, self.steps_seen, number)))
        if self.proxy == "windowed":
            inputs, _, real = passed
            self.records[number].see(inputs if real is None else inputs[real])

    @torch.no_grad()
    def _end(self) -> None:
        frames = NullFrames(self.draws, self.seed + PRIME * self.steps_seen)
        for record in self.records:
            record.end(self.steps_seen, frames)
        sampled, between = divmod(self._since(), self.every)
        if self.proxy == "windowed" and sampled >= 0 == between and (sampled + 1) % self.refit_every == 0:
            for record in self.records:
                record.refit()
        self.steps_seen += 1
        self._shared = None
        self._passing.forget()
        if not self._given and self.steps_seen == self.fit_steps:
            self._fit()
        self._aim()

    def _fit(self) -> None:
        shared = [record.moments for record in self.records]  # alive, so that no two have one id
        fitted: dict[int, Proxy] = {}
        for record in self.records:
            if self.proxy == "concepts":
                record.fit_concepts(self.rank, seed=self.seed)
            else:
                record.fit(self.rank, fitted)
        del shared

    def _since(self) -> int:
        """Return how many steps after the fit this one is."""
        return self.steps_seen - (0 if self._given else self.fit_steps)
