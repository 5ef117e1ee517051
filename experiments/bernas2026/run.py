"""Four trainings, three seeds: do gradients follow the directions of the activations, beyond mechanics?

    python -m experiments.bernas2026.run --wikitext FOLDER --cola FOLDER --folder OUT

Each run is kept as OUT/<model>-<seed>.json, so the same command goes on where it was; a run that was stopped
begins anew. With all twelve there, results.json and table.md beside this file are written. `--quick` does all
of it in miniature, and writes them into OUT.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import torch
from experiments.bernas2026.tasks import NAMES, task_of
from experiments.bernas2026.training import run

from conescope._files import write_text
from conescope.dynamics import Proxy

HERE = Path(__file__).parent
COMMAND = "python -m experiments.bernas2026.run --wikitext FOLDER --cola FOLDER --folder OUT"
SEEDS = (0, 1, 2)


def measured(wanted):
    """Do every run that was asked for and is not there."""
    tasks = {}
    for seed in wanted.seeds:
        for name in wanted.only or NAMES:
            kept = wanted.folder / f"{name}-{seed}.json"
            if kept.exists():
                continue
            began = time.perf_counter()
            if name not in tasks:
                tasks[name] = task_of(
                    name,
                    texts=wanted.wikitext,
                    sentences=wanted.cola,
                    root=wanted.models or wanted.folder / "models",
                    quick=wanted.quick,
                )
            other = None if seed == SEEDS[0] else load_proxies(proxies_path(wanted.folder, name))
            found, proxies = run(tasks[name], seed, other)
            if seed == SEEDS[0]:
                save_proxies(proxies_path(wanted.folder, name), proxies)
            write_text(kept, json.dumps(found, separators=(",", ":")))
            print(f"{name} {seed}: done in {time.perf_counter() - began:.0f} s", flush=True)


def proxies_path(folder, name):
    """Return where the proxies of the first seed are kept."""
    return folder / f"{name}-proxies.pt"


def save_proxies(path, proxies):
    """Keep proxies by module."""
    torch.save({module: tuple(proxy) for module, proxy in proxies.items()}, path)


def load_proxies(path):
    """Return proxies by module."""
    if not path.exists():
        raise SystemExit(
            f"{path} is missing: run seed {SEEDS[0]} first, its proxies are a control of the others"
        )
    return {module: Proxy(*proxy) for module, proxy in torch.load(path, weights_only=True).items()}


def written(folder, place, *, quick):
    """Write results.json and table.md, if all runs are there."""
    paths = {(name, seed): folder / f"{name}-{seed}.json" for name in NAMES for seed in SEEDS}
    missing = [path.name for path in paths.values() if not path.exists()]
    if missing:
        print(f"results.json waits for {', '.join(missing)}")
        return
    from experiments.bernas2026.summary import summary
    from experiments.bernas2026.table import table

    runs = [summary(json.loads(path.read_text())) for path in paths.values()]
    facts = {
        "command": COMMAND + (" --quick" if quick else ""),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {
            "python": platform.python_version(),
            **{one: version(one) for one in ("conescope", "tokenizers", "torch", "transformers")},
        },
        "minutes": round(sum(found["seconds"] for found in runs) / 60, 1),
        "runs": runs,
    }
    write_text(place / "results.json", json.dumps(facts, separators=(",", ":")) + "\n")
    write_text(place / "table.md", table(facts) + "\n")


def main(arguments=None) -> None:
    """Do the runs, then write what was found."""
    asked = argparse.ArgumentParser(description="Gradient energy in tangent directions, in four trainings.")
    asked.add_argument("--wikitext", type=Path, required=True, help="valid.txt, and train.txt or test.txt")
    asked.add_argument("--cola", type=Path, required=True, help="a folder with train.tsv and dev.tsv")
    asked.add_argument("--folder", type=Path, required=True, help="where runs are kept")
    asked.add_argument("--models", type=Path, help="where minilm and smollm2 are unpacked; FOLDER/models")
    asked.add_argument("--only", action="append", choices=NAMES, help="one of the models; may be repeated")
    asked.add_argument(
        "--seeds", type=lambda text: [int(part) for part in text.split(",")], default=list(SEEDS)
    )
    asked.add_argument("--quick", action="store_true", help="tiny models, few steps")
    wanted = asked.parse_args(arguments)
    wanted.folder.mkdir(parents=True, exist_ok=True)
    measured(wanted)
    written(wanted.folder, wanted.folder if wanted.quick else HERE, quick=wanted.quick)


if __name__ == "__main__":
    main()
