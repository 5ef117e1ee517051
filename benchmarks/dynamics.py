"""What it costs to measure tangent energy: a training loop with it against the plain loop.

    python -m benchmarks.dynamics [--quick] [-o FILE]

MiniLM out of a wheel, batches of 64 x 16 tokens, bfloat16 autocast, all linear maps of its blocks; every 20th
step is sampled, in the fit and after it. Arms take turns. A whole training is fit steps, sampled ones and the
others, and one fit at the end of the first 30 %, which is timed by itself and spread over the steps told. A
full run writes results/dynamics.json; `--quick` looks at one map and writes only where `-o` says.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from experiments.encoders.embed import weights
from torch import nn

from benchmarks.record import RESULTS, Row, run_alone, seconds
from benchmarks.timing import Timed, in_turns, once, quotient
from conescope._optional import require
from conescope.dynamics import TangentEnergy

EVERY = 20
STEPS = {"full": 2000, "quick": 200}  # of the training over which the one fit is spread
MODULES = {"full": None, "quick": ["bert.encoder.layer.0.attention.self.query"]}
ROUNDS = {"full": 15, "quick": 1}
PLAIN, UNSAMPLED, FIT, SAMPLED = "a step", "one that is not sampled", "one of the fit", "a sampled one"


def training(model: nn.Module) -> Callable[[], None]:
    """Return a function that makes one step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        ids = torch.randint(1000, 30_000, (64, 16), generator=generator)
        labels = torch.randint(2, (64,), generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def rows(size: str) -> list[Row]:
    """Return the cost of all kinds of steps, and of a training."""
    auto = require("transformers", extra="hf").AutoModelForSequenceClassification
    torch.manual_seed(0)
    model = auto.from_pretrained(Path(weights("minilm", RESULTS))).train()
    step = training(model)
    fitting = TangentEnergy(model, MODULES[size], total_steps=10, fit_fraction=0.2, every=1)
    with fitting:
        step()
        fit = once(step)  # the second of two steps ends the fit
    proxies = fitting.proxies()
    sampled = TangentEnergy(model, MODULES[size], every=1, proxies=proxies)
    idle = TangentEnergy(model, MODULES[size], every=10**9, proxies=proxies)
    idle.steps_seen = 1
    streaming = TangentEnergy(model, MODULES[size], total_steps=10**9, every=1)

    def within(energy: TangentEnergy) -> Callable[[], None]:
        def one() -> None:
            with energy:
                step()

        return one

    arms = {PLAIN: step, UNSAMPLED: within(idle), FIT: within(streaming), SAMPLED: within(sampled)}
    times, _ = in_turns(arms, ROUNDS[size])
    plain, once_fitted = times[PLAIN].median, fit - times[FIT].median
    more = {name: quotient(times[name], times[PLAIN]) - 1 for name in (UNSAMPLED, FIT, SAMPLED)}
    often = (0.3 * more[FIT] + 0.7 * more[SAMPLED] + (EVERY - 1) * more[UNSAMPLED]) / EVERY
    spread = max(once_fitted, 0) / plain / STEPS[size]
    what = f"tangent energy of {len(sampled.records)} maps of MiniLM, every {EVERY}th step"
    return [
        Row(
            benchmark="dynamics",
            what=f"{what}: time beyond that of the training of {STEPS[size]} steps, the fit included",
            value=100 * (often + spread),
            unit="%",
            most=15,
            seconds=seconds(times) | seconds({"the fit itself": Timed((max(once_fitted, 0.0),))}),
        ),
        *(
            Row(
                benchmark="dynamics",
                what=f"{name}: time beyond that of a step",
                value=100 * more[name],
                unit="%",
            )
            for name in more
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the arms."""
    return run_alone("dynamics", __doc__ or "", rows, arguments)


if __name__ == "__main__":
    sys.exit(main())
