"""What is kept of one linear map over a training: the fit, then the sampled steps."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.concepts import concept_proxy
from conescope.dynamics.null_frames import NullFrames
from conescope.dynamics.passing import Passed
from conescope.dynamics.proxy import Proxy, Rank, fit_proxy
from conescope.dynamics.reservoir import refilled
from conescope.dynamics.sites import Site
from conescope.dynamics.step_sums import Skipped, StepSums, controls
from conescope.dynamics.streamed import Streamed, merged, streamed
from conescope.dynamics.verdict import phases
from conescope.results.dynamics import TangentSite, TangentStep


@dataclass
class SiteRecord:
    """The state of one site; moments and reservoir last as long as a fit, the sums as long as a step."""

    site: Site
    proxy: Proxy | None = None
    other: Proxy | None = None  # of another run, as a control
    moments: Streamed | None = None
    reservoir: Tensor | None = None
    seen: int = 0  # inputs of the reservoir and those that it passed over
    sums: StepSums | None = None
    steps: list[TangentStep] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    note: str = ""

    def see(self, inputs: Float[Tensor, "n d"]) -> None:
        """Add inputs to the fit; those of a step that a gradient scaler will skip are left out."""
        if len(inputs) and bool(torch.isfinite(inputs).all()):
            found = streamed(inputs)
            self.moments = found if self.moments is None else merged(self.moments, found)

    def sample(self, inputs: Float[Tensor, "n d"], *, size: int, seed: int) -> None:
        """Add inputs to the reservoir of a fit of concepts."""
        if len(inputs) and bool(torch.isfinite(inputs).all()):
            self.reservoir = refilled(self.reservoir, self.seen, inputs.float(), size, seed)
            self.seen += len(inputs)

    def add(self, passed: Passed, *, seed: int) -> None:
        """Add a run of the module to the step; the seed is that of its shuffled null."""
        if self.proxy is None:
            return
        if self.proxy.tangent.device != passed.inputs.device:  # of another run, or a model that moved
            self.proxy = self.proxy.on(passed.inputs.device)
        if self.other is not None and self.other.tangent.device != passed.inputs.device:
            self.other = self.other.on(passed.inputs.device)
        if self.sums is None:
            zeros = torch.zeros(self.site.o, self.site.d, device=passed.inputs.device)
            self.sums = StepSums(zeros, zeros.clone())
        self.sums.add(passed, self.proxy, seed=seed)

    def end(self, step: int, frames: NullFrames) -> None:
        """End the step: compare its gradient, if there is one, and forget it."""
        if self.sums is not None and self.proxy is not None:
            found = controls(self.sums, self.proxy, self.other, step=step, frames=frames)
            if isinstance(found, Skipped):
                self.skipped.append(found.why)
            else:
                self.steps.append(found)
        self.sums = None

    def fit(self, rank: Rank, fitted: dict[int, Proxy]) -> None:
        """Freeze the proxy, or note why there is none; `fitted` has those of moments that sites share."""
        known, self.moments = self.moments, None
        if known is None:
            self.note = "no inputs were seen: the module did not run, or without a gradient"
        elif not float(known.scatter.trace()) > 0:
            self.note = "all inputs coincide: there are no directions to fit"
        else:
            self.proxy = fitted.get(id(known)) or fit_proxy(known, rank)
            fitted[id(known)] = self.proxy
            if known.n < self.site.d:
                self.note = f"fitted on {known.n} inputs of {self.site.d} dimensions, which is few"

    def refit(self) -> None:
        """Freeze another proxy, of the same rank, on the inputs since the last, if they have directions."""
        known, self.moments = self.moments, None
        if known is None or self.proxy is None:
            return
        if float(known.scatter.trace()) > 0:
            self.proxy = fit_proxy(known, self.proxy.tangent.shape[1])

    def fit_concepts(self, rank: Rank, *, seed: int) -> None:
        """Freeze the proxy of concepts, or note why there is none."""
        points, self.reservoir = self.reservoir, None
        if points is None:
            self.note = "no inputs were seen: the module did not run, or without a gradient"
            return
        try:
            self.proxy = concept_proxy(points, rank, seed=seed)
        except ValueError as problem:  # a training goes on without one proxy
            self.note = str(problem)

    def result(self) -> TangentSite:
        """Return what was found so far."""
        return TangentSite(
            module=self.site.name,
            o=self.site.o,
            d=self.site.d,
            k=0 if self.proxy is None else self.proxy.tangent.shape[1],
            explained=None if self.proxy is None else self.proxy.explained,
            points=0 if self.proxy is None else self.proxy.points,
            zero=self.skipped.count("zero"),
            not_finite=self.skipped.count("not finite"),
            steps=tuple(self.steps),
            phases=phases(self.steps),
            note=self.note,
        )
