"""RUNS/<study>/ablation.json -> results/<study>.json and table.md: what is kept of the ablations.

    python -m experiments.ablation.record --runs FOLDER [--runs FOLDER ...]

A record is an ablation still, and `conescope.results.Ablation` reads it. It lacks what no table needs, which
is histories, curves and most of the geometry of tries, has numbers of six digits, and names no path.
`table.md` is written from all records that are there. Studies in miniature (`-quick`) are left out.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from experiments.ablation.run import STUDIES
from experiments.ablation.small_models import KINDS
from experiments.ablation.table import table

from conescope._files import write_text
from conescope.results import Ablation

HERE = Path(__file__).parent
EVERY = (*STUDIES, *KINDS, "pretraining")
PATH = re.compile(r"(?<![\w.)\]/\\~])(?:[A-Za-z]:|~)?(?:[/\\][\w.+@-]+)+[/\\]?")  # from a root or a home
DIGITS = 6


def record(found: Ablation, name: str) -> Ablation:
    """Return what is kept of an ablation."""
    kept = found.model_dump()
    if "model" in kept["recipe"]:
        kept["recipe"]["model"] = STUDIES[name].model if name in STUDIES else _last(kept["recipe"]["model"])
    for arm in kept["arms"]:
        for run in arm["runs"]:
            run |= {"history": (), "curve": ()}
    for tried in kept["tried"]:
        tried["geometry"] = {k: v for k, v in tried["geometry"].items() if k.startswith("anisotropy_1")}
    return Ablation.model_validate(_clean(kept))


def _clean(value: Any) -> Any:
    """Return a value whose numbers are short and whose strings name no folder."""
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_clean(one) for one in value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    return PATH.sub(lambda match: _last(match.group()), value) if isinstance(value, str) else value


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def recorded(runs: list[Path], place: Path) -> None:
    """Write a record of every study in the folders, and the table of all that are in `place`."""
    for path in sorted(path for folder in runs for path in folder.glob("*/ablation.json")):
        name = path.parent.name
        if name.endswith("-quick"):
            continue
        found = record(Ablation.model_validate_json(path.read_bytes()), name)
        text = json.dumps(found.model_dump(mode="json"), separators=(",", ":"), allow_nan=False)
        write_text(place / "results" / f"{name}.json", text + "\n")
        print(f"{name}: {len(text) / 1024:.0f} KB")
    write_text(place / "table.md", table(records(place), EVERY))


def records(place: Path) -> dict[str, Ablation]:
    """Return the records that are there, in the order of the studies."""
    found = {
        path.stem: Ablation.model_validate_json(path.read_bytes())
        for path in sorted((place / "results").glob("*.json"))
    }
    return {name: found[name] for name in (*EVERY, *found) if name in found}


def main(arguments=None) -> None:
    """Record what the command line names."""
    asked = argparse.ArgumentParser(description="What is kept of the ablations.")
    asked.add_argument("--runs", type=Path, action="append", required=True, metavar="FOLDER")
    recorded(asked.parse_args(arguments).runs, HERE)


if __name__ == "__main__":
    main()
