"""Every layer of five pretrained models and of their untrained twins: where is the cone, and what is in it?

    python -m experiments.godey2023.run FOLDER --data DATA

DATA holds the folders cola, wikitext2, fsdd and cifar10_sample. Models are unpacked into FOLDER/models and
what was measured is kept in FOLDER/measured, so the same command goes on where it was. Writes results.json
and table.md beside this file; `--table` writes table.md again from results.json.
"""

import argparse
import json
import os
import platform
import random
import time
from importlib.metadata import version
from pathlib import Path

import torch
from experiments.godey2023.decomposition import decomposed
from experiments.godey2023.models import folder_of
from experiments.godey2023.table import table

from conescope._files import write_text
from conescope.capture.opening import open_model, prepare
from conescope.capture.reading import read_inputs
from conescope.profile.gathered import gathered
from conescope.profile.layers import measured_layers
from conescope.profile.running import evaluating, layers_of
from conescope.profile.settings import Settings
from conescope.survey.rows import chosen

HERE = Path(__file__).parent
COMMAND = "python -m experiments.godey2023.run FOLDER --data DATA"
MEASURES = (
    "mean_cosine",
    "mean_cosine_centered",
    "anisotropy_1",
    "anisotropy_1_uncentered",
    "isoscore",
    "twonn",
    "mle_dimension",
    "drift",
    "relative_drift",
    "mean_norm",
    "rogue_share",
)
TEXT_MODELS = ("minilm", "mpnet", "smollm2")
RUNS = [
    *((model, data) for model in TEXT_MODELS for data in ("cola", "wikitext2")),
    ("whisper", "fsdd"),
    ("dinov2", "cifar10_sample"),
]
PARAGRAPHS, SHORTEST, LONGEST = 300, 20, 128  # of WikiText-2: how many, least words, most tokens
SPOKEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SETTINGS = Settings(pooling="tokens", batch_size=16, sample=2048, seed=0)


def inputs_of(data, root):
    """Return inputs, modality, and further arguments of `prepare`."""
    if data == "cola":  # both parts of the development set
        return *read_inputs(root / "cola" / "dev.tsv", column="sentence"), {"max_length": LONGEST}
    if data == "wikitext2":
        lines = (root / "wikitext2" / "test.txt").read_text(encoding="utf-8").splitlines()
        paragraphs = [line.strip() for line in lines if len(line.split()) >= SHORTEST]
        return random.Random(0).sample(paragraphs, PARAGRAPHS), "text", {"max_length": LONGEST}
    inputs, modality = read_inputs(root / data)
    if data != "fsdd":
        return inputs, modality, {}
    spoken = [SPOKEN[int(path.name.split("_")[0])] for path in inputs]
    return inputs, modality, {"transcripts": spoken}


@torch.no_grad()
def profiled(folder, data, root, *, untrained):
    """Return the layers of one model on one set of inputs."""
    inputs, modality, further = inputs_of(data, root)
    opened = open_model(folder, untrained=untrained, seed=0)
    model, prepared = prepare(opened, inputs, modality=modality, **further)
    device = torch.device("cpu")
    with evaluating(model, device):
        found = layers_of(model, prepared, device, None)
        states = gathered(model, prepared, found, SETTINGS, device=device)
    rows = chosen(MEASURES, labels=False, partners=False)
    layers = measured_layers(states, rows, SETTINGS, len(inputs))
    samples = [layer.state.sample for layer in states.layers]
    parts = [decomposed(sample.points, sample.labels) for sample in samples]
    return {
        "inputs": len(inputs),
        "layers": [
            {
                "stack": layer.stack,
                "depth": layer.depth,
                "kind": layer.kind,
                "n": layer.measurement.n,
                "d": layer.measurement.d,
                "measures": {
                    one.name: _rounded((one.value, one.low, one.high)) for one in layer.measurement.values
                },
                "parts": {
                    name: {part: _rounded(ends) for part, ends in values.items()}
                    for name, values in found.items()
                },
            }
            for layer, found in zip(layers, parts, strict=True)
        ],
    }


def _rounded(values):
    return [None if value is None else float(f"{value:.6g}") for value in values]


def run(folder: Path, root: Path):
    """Return all that is committed."""
    done = {}
    for model, data in RUNS:
        for untrained in (False, True):
            name = f"{model} {data}{' untrained' if untrained else ''}"
            kept = folder / "measured" / f"{name}.json"
            if not kept.exists():
                began = time.perf_counter()
                found = profiled(folder_of(model, folder / "models"), data, root, untrained=untrained)
                found["seconds"] = round(time.perf_counter() - began, 1)
                write_text(kept, json.dumps(found))
                print(f"{name}: {len(found['layers'])} layers, {found['seconds']} s", flush=True)
            done[name] = json.loads(kept.read_text())
    return {
        "command": COMMAND,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "settings": {"pooling": SETTINGS.pooling, "sample": SETTINGS.sample, "seed": SETTINGS.seed},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("conescope", "numpy", "torch", "transformers")},
        },
        "runs": done,
    }


def main() -> None:
    """Measure, or only write the table."""
    asked = argparse.ArgumentParser(description="Layers of five models and of their untrained twins.")
    asked.add_argument("folder", type=Path, nargs="?", help="where models and measurements are kept")
    asked.add_argument("--data", type=Path, help="the folder of cola, wikitext2, fsdd and cifar10_sample")
    asked.add_argument("--table", action="store_true", help="write the table of results.json again")
    wanted = asked.parse_args()
    path = HERE / "results.json"
    if not wanted.table:
        if wanted.folder is None or wanted.data is None:
            asked.error("name a folder and --data, or --table")
        path.write_text(
            json.dumps(run(wanted.folder, wanted.data), indent=None, separators=(",", ":")) + "\n"
        )
    (HERE / "table.md").write_text(table(json.loads(path.read_text())) + "\n")


if __name__ == "__main__":
    main()
