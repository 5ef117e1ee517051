"""Do a few long vectors make the cone? The same measures without the tokens of massive norm.

    python -m experiments.godey2023.massive FOLDER --data DATA

A token is massive in a layer if its vector is more than TIMES as long as the median one there (after Sun et
al. 2024, arXiv:2402.17762, who speak of activations). Of each of the five trained models, on one set of
inputs, a sample of tokens gives for every layer: the share of massive tokens, the share of the sum of squared
lengths that they have, and the mean cosine, raw and centered, with and without them. Writes massive.json and
massive.md.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from experiments.godey2023.decomposition import jackknifed
from experiments.godey2023.models import folder_of
from experiments.godey2023.run import SETTINGS, inputs_of
from experiments.godey2023.table import cell, markdown, title

from conescope.capture.opening import open_model, prepare
from conescope.measures import mean_cosine
from conescope.profile.gathered import gathered
from conescope.profile.running import evaluating, layers_of

HERE = Path(__file__).parent
COMMAND = "python -m experiments.godey2023.massive FOLDER --data DATA"
TIMES = 10
RUNS = (
    ("minilm", "cola"),
    ("mpnet", "cola"),
    ("smollm2", "cola"),
    ("whisper", "fsdd"),
    ("dinov2", "cifar10_sample"),
)
COLUMNS = {
    "massive": "massive tokens",
    "squares": "their share of squared lengths",
    "raw": "mean cosine",
    "centered": "centered",
    "raw_without": "mean cosine without them",
    "centered_without": "centered without them",
}


def parts(points):
    """Return what there is to know of the massive ones among some points."""
    lengths = torch.linalg.vector_norm(points, dim=1)
    massive = lengths > TIMES * lengths.median()
    rest = points[~massive]
    return {
        "massive": float(massive.double().mean()),
        "squares": float(lengths[massive].square().sum() / lengths.square().sum()),
        "raw": float(mean_cosine(points)),
        "centered": float(mean_cosine(points, center=True)),
        "raw_without": float(mean_cosine(rest)),
        "centered_without": float(mean_cosine(rest, center=True)),
    }


@torch.no_grad()
def measured(folder, data, root):
    """Return the layers of one model."""
    inputs, modality, further = inputs_of(data, root)
    model, prepared = prepare(open_model(folder), inputs, modality=modality, **further)
    device = torch.device("cpu")
    with evaluating(model, device):
        states = gathered(model, prepared, layers_of(model, prepared, device, None), SETTINGS, device=device)
    found = []
    for layer in states.layers:
        sample = layer.state.sample
        values = jackknifed(sample.points.double(), sample.labels, parts)
        found.append({"stack": layer.spot.stack, "depth": layer.spot.depth, "parts": values})
    return found


def table(facts):
    """Return a table a stack, in Markdown: the layers in which there are massive tokens, and the last."""
    rows = []
    for name, run in facts["runs"].items():
        model, data = name.split()
        for stack in dict.fromkeys(layer["stack"] for layer in run["layers"]):
            mine = [layer for layer in run["layers"] if layer["stack"] == stack]
            for layer in mine:
                if layer["parts"]["massive"][0] > 0 or layer is mine[-1]:
                    cells = [cell(layer["parts"][part]) for part in COLUMNS]
                    rows.append([title(model, data, stack), str(layer["depth"]), *cells])
    return markdown(["model, data", "layer", *COLUMNS.values()], rows)


def main() -> None:
    """Measure, and write the table."""
    asked = argparse.ArgumentParser(description="Massive tokens in the layers of five models.")
    asked.add_argument("folder", type=Path, nargs="?", help="where models and measurements are kept")
    asked.add_argument("--data", type=Path, help="the folder of cola, fsdd and cifar10_sample")
    asked.add_argument("--table", action="store_true", help="write the table of massive.json again")
    wanted = asked.parse_args()
    path = HERE / "massive.json"
    if not wanted.table:
        if wanted.folder is None or wanted.data is None:
            asked.error("name a folder and --data, or --table")
        runs = {}
        for model, data in RUNS:
            began = time.perf_counter()
            layers = measured(folder_of(model, wanted.folder / "models"), data, wanted.data)
            seconds = round(time.perf_counter() - began, 1)
            runs[f"{model} {data}"] = {"seconds": seconds, "layers": layers}
            print(f"{model} {data}: {seconds} s", flush=True)
        facts = {"command": COMMAND, "times": TIMES, "runs": runs}
        path.write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    (HERE / "massive.md").write_text(table(json.loads(path.read_text())) + "\n")


if __name__ == "__main__":
    main()
