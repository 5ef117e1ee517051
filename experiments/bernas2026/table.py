"""results.json -> table.md: ratio, excess ratio and Delta in each phase, and what is left of the claims.

    python -m experiments.bernas2026.table

A number of a model is the mean over its sites, then over seeds; intervals are 95 %, Student's over seeds.
"""

import json
import math
from collections import Counter
from pathlib import Path

from experiments.bernas2026.claims import claims
from experiments.bernas2026.means import NAMES, of_model, over_seeds, over_sites, rho

HERE = Path(__file__).parent
PHASES = ("early", "after", "late")
HEADS = {
    "energy": "energy",
    "ratio": "ratio",
    "over_shuffled": "/ shuffled",
    "excess": "excess",
    "delta": "Delta x 1000",
}
NULLS = {
    "normal": "normal",
    "random": "random",
    "following": "k + 1 to 2k",
    "uncentered": "uncentered",
    "shuffled": "shuffled",
    "variance_share": "variance share",
    "other": "other seed",
}
VERDICTS = ("beyond mechanical", "mechanical", "not known")


def cell(found, scale=1.0):
    """Return a mean with its interval, as a cell."""
    if found is None:
        return ""
    value, *ends = (None if part is None else part * scale for part in found)
    if not ends or None in ends:
        return _number(value)
    return f"{_number(value)} [{', '.join(map(_number, ends))}]"


def _number(value):
    digits = 3 - (math.floor(math.log10(abs(value))) + 1 if value else 0)
    return f"{value:.{min(max(digits, 0), 4)}f}"


def grid(heads, rows):
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def energies(facts):
    """Return the table of ratio, excess and Delta."""
    rows = [
        [NAMES[model], phase]
        + [cell(_phase_mean(facts, model, phase, name), 1000 if name == "delta" else 1) for name in HEADS]
        for model in NAMES
        for phase in PHASES
    ]
    return grid(["model", "phase", *HEADS.values()], rows)


def _phase_mean(facts, model, phase, name):
    """Return mean and interval of a number over seeds; of ratios, of their logarithms."""
    values = [over_sites(run, phase, name) for run in of_model(facts, model)]
    if name == "ratio" and all(value for value in values):
        return tuple(end and math.exp(end) for end in over_seeds(values, math.log))
    return over_seeds(values, lambda value: value)


def nulls(facts):
    """Return the table of the energies in all other directions, without intervals."""
    rows = []
    for model in NAMES:
        for phase in PHASES:
            found = {name: _phase_mean(facts, model, phase, name) for name in ("energy", *NULLS)}
            rows.append(
                [NAMES[model], phase, *("" if one is None else cell(one[:1]) for one in found.values())]
            )
    return grid(["model", "phase", "energy", *NULLS.values()], rows)


def verdicts(facts):
    """Return the table of verdicts of all sites of all seeds, where all agree on more, and Delta's sign."""
    rows = []
    for model in NAMES:
        runs = of_model(facts, model)
        for phase in PHASES:
            given = [[site["phases"][phase]["verdict"] for site in run["sites"]] for run in runs]
            counted = Counter(verdict for run in given for verdict in run)
            agreed = sum(set(site) == {VERDICTS[0]} for site in zip(*given, strict=True))
            deltas = [site["phases"][phase]["delta"] for run in runs for site in run["sites"]]
            above = sum(delta is not None and delta > 0 for delta in deltas)
            numbers = [str(counted[one]) for one in VERDICTS]
            shares = [f"{agreed} of {len(given[0])}", f"{above} of {len(deltas)}"]
            rows.append([NAMES[model], phase, *numbers, *shares])
    return grid(["model", "phase", *VERDICTS, "beyond in every seed", "Delta above 0"], rows)


def blocks(facts):
    """Return the table of excess and of energy over shuffled gradients, block by block."""
    rows = []
    for model in NAMES:
        runs = of_model(facts, model)
        for block in sorted({_block(site) for site in runs[0]["sites"]}):
            row = [NAMES[model], str(block)]
            for phase in ("early", "late"):
                for name in ("over_shuffled", "excess"):
                    row.append(
                        cell(over_seeds(runs, lambda run, b=block, p=phase, n=name: _in_block(run, b, p, n)))
                    )
            rows.append(row)
    heads = [f"{HEADS[name]}, {phase}" for phase in ("early", "late") for name in ("over_shuffled", "excess")]
    return grid(["model", "block", *heads], rows)


def _block(site):
    """Return the number of the block that a map stands in: the first number in its name."""
    return next(int(part) for part in site["module"].split(".") if part.isdigit())


def _in_block(run, block, phase, name):
    return over_sites({"sites": [site for site in run["sites"] if _block(site) == block]}, phase, name)


def trainings(facts):
    """Return the table of what the trainings were, and what they reached."""
    rows = []
    for model in NAMES:
        runs = of_model(facts, model)
        plan, corpus = runs[0]["plan"], runs[0]["corpus"]
        score = "mcc" if model == "minilm" else "perplexity"
        before, after = (
            over_seeds(runs, lambda run, w=when, s=score: run["validation"][w][s])
            for when in ("before", "after")
        )
        units = "sentences" if model == "minilm" else "tokens"
        seen = plan["steps"] * plan["batch"] * (1 if model == "minilm" else plan["length"])
        rows.append(
            [
                NAMES[model],
                f"{runs[0]['parameters'] / 1e6:.1f} M",
                str(plan["steps"]),
                f"{seen:,} {units}",
                f"{seen / corpus[units]:.2f}",
                f"{score} {cell(before)}",
                cell(after),
                cell(over_seeds(runs, lambda run: run["seconds"] / 60)[:1]),  # beside other work: no interval
            ]
        )
    heads = ["model", "weights", "steps", "seen", "passes", "held out, before", "after", "minutes"]
    return grid(heads, rows)


def frequencies(facts):
    """Return the table of rank correlations with log count."""
    rows = []
    for model in ("decoder", "encoder"):
        runs = of_model(facts, model)
        for when in ("before", "after"):
            for layer in runs[0]["frequency"][when]:
                found = [
                    over_seeds(runs, lambda run, w=when, n=layer, m=measure: rho(run, w, n, m))
                    for measure in ("distance", "visibility")
                ]
                types = runs[0]["frequency"][when][layer]["distance"]["types"]
                rows.append([NAMES[model], f"{when} training", layer, str(types), *map(cell, found)])
    return grid(["model", "weights", "layer", "types", "distance", "curvature visibility"], rows)


def trajectories(facts):
    """Return the table of the middle and last layer at the first, the middle and the last recorded step."""
    rows = []
    for model in NAMES:
        runs = of_model(facts, model)
        layers, steps = runs[0]["trajectory"]["layers"], runs[0]["trajectory"]["steps"]
        for number in (len(layers) // 2, len(layers) - 1):
            for name in ("mean_cosine", "anisotropy_1", "effective_rank"):
                found = [
                    cell(over_seeds(runs, lambda run, n=name, at=at, i=number: recorded(run, n, i, at)))
                    for at in (0, len(steps) // 2, len(steps) - 1)
                ]
                rows.append([NAMES[model], layers[number], name, *found])
    return grid(["model", "layer", "measure", "first", "middle", "last recorded step"], rows)


def recorded(run, name, layer, at):
    """Return one number of a trajectory."""
    return run["trajectory"]["tables"][name][layer][at]


def table(facts):
    """Return all tables in Markdown."""
    replayed = sum(run["replayed"] for run in facts["runs"])
    parts = {
        "Trainings": trainings(facts),
        "Gradient energy in the tangent proxy": energies(facts),
        "Energy in all other directions": nulls(facts),
        "Block by block": blocks(facts),
        "Verdicts": verdicts(facts),
        "Frequency, Spearman with log count": frequencies(facts),
        "Trajectories": trajectories(facts),
        "What is left of the claims": "\n".join(f"- {line}" for line in claims(facts)),
    }
    head = (
        "Means over sites, then over seeds (of the ratio: geometric), with 95 % intervals of Student over "
        "seeds. "
        f"The fit was repeated to the last digit of every loss in {replayed} of {len(facts['runs'])} runs."
    )
    return "\n\n".join([head, *(f"## {title}\n\n{text}" for title, text in parts.items())])


if __name__ == "__main__":
    (HERE / "table.md").write_text(table(json.loads((HERE / "results.json").read_text())) + "\n")
