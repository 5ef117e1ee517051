"""What it costs to look at every layer: a profile against the forward passes that it needs anyway.

    python -m benchmarks.profiles [--quick] [-o FILE]

MiniLM on sentences of BBC News, both out of wheels. All arms run the same batches, of texts tokenized before.
A full run writes results/profiles.json; `--quick` takes a few texts and writes only where `-o` says.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from experiments.encoders.embed import bbc, weights
from torch import Tensor, nn

from benchmarks.record import RESULTS, Agreement, Row, run_alone, seconds
from benchmarks.timing import in_turns, quotient
from conescope.capture import Prepared
from conescope.capture.batch import ordered
from conescope.capture.opening import open_model, prepare
from conescope.measures import MEASURES, mean_cosine
from conescope.profile.gathered import gathered
from conescope.profile.layers import measured_layers
from conescope.profile.running import evaluating, forward, layers_of
from conescope.profile.settings import Settings
from conescope.results import Layer

CPU = torch.device("cpu")
TEXTS = {"full": 2000, "quick": 40}
ROUNDS = {"full": 5, "quick": 1}
PLAIN, PROFILE, STATES = "forward passes", "profile of all layers", "output_hidden_states, pooled and kept"
ROWS = tuple(
    row for row in MEASURES.values() if row.reads in ("moments", "spectrum") and row.needs == "nothing"
)


def forward_passes(model: nn.Module, prepared: Prepared, batches: Sequence[Sequence[int]]) -> None:
    """Run the model and keep nothing."""
    for numbers in batches:
        forward(model, prepared.batch(numbers), CPU)


def profiled(model: nn.Module, prepared: Prepared, settings: Settings) -> tuple[Layer, ...]:
    """Return all measures of moments, at every layer."""
    found = layers_of(model, prepared, CPU, None)
    states = gathered(model, prepared, found, settings, device=CPU)
    return measured_layers(states, ROWS, settings, len(prepared.sizes), intervals=False)


def kept_states(model: nn.Module, prepared: Prepared, batches: Sequence[Sequence[int]]) -> Tensor:
    """Return the mean over real tokens of every hidden state, as it is mostly done: (layers, n, d)."""
    kept = []
    for numbers in batches:
        batch = prepared.batch(numbers)
        assert batch.tokens is not None
        states = torch.stack(model(**batch.arguments, output_hidden_states=True).hidden_states)
        real = (batch.tokens.real & ~batch.tokens.special)[..., None].to(states.dtype)
        kept.append((states * real).sum(dim=2) / real.sum(dim=1))
    return torch.cat(kept, dim=1)


def rows(size: str) -> list[Row]:
    """Return the cost of a profile over that of its forward passes."""
    folder = Path(weights("minilm", RESULTS))
    opened = open_model(folder)
    model, prepared = prepare(opened, bbc(TEXTS[size]).texts, max_length=128)
    settings = Settings()
    batches = ordered(prepared, settings.batch_size)
    with evaluating(model, CPU), torch.no_grad():
        times, values = in_turns(
            {
                PLAIN: lambda: forward_passes(model, prepared, batches),
                PROFILE: lambda: profiled(model, prepared, settings),
                STATES: lambda: kept_states(model, prepared, batches),
            },
            ROUNDS[size],
        )
    layers, states = values[PROFILE], values[STATES]
    what = f"all {len(layers)} layers of MiniLM, {len(prepared.sizes)} texts, {len(ROWS)} measures of moments"
    agreements = tuple(
        Agreement.of(
            f"mean_cosine of layer {layer.depth}, output_hidden_states",
            layer.measurement.value("mean_cosine"),
            float(mean_cosine(states[layer.depth])),
            1e-5,
        )
        for layer in layers
    )
    return [
        Row(
            benchmark="profiles",
            what=f"{what}: time beyond that of the forward passes",
            n=len(prepared.sizes),
            d=layers[0].measurement.d,
            value=100 * (quotient(times[PROFILE], times[PLAIN]) - 1),
            unit="%",
            most=10,
            seconds=seconds(times, PLAIN, PROFILE),
            agreements=agreements,
        ),
        Row(
            benchmark="profiles",
            what="the same hidden states by output_hidden_states, pooled and kept, without a measure",
            n=len(prepared.sizes),
            d=layers[0].measurement.d,
            value=100 * (quotient(times[STATES], times[PLAIN]) - 1),
            unit="%",
            seconds=seconds(times, STATES),
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the arms; return 1 if they disagree in value."""
    return run_alone("profiles", __doc__ or "", rows, arguments)


if __name__ == "__main__":
    sys.exit(main())
