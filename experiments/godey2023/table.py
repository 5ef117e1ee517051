"""results.json -> table.md: claims, decomposition, every layer. A difference counts beyond its interval."""

import math
from statistics import median

NAMES = {
    "minilm": "MiniLM-L6",
    "mpnet": "MPNet",
    "smollm2": "SmolLM2-135M",
    "whisper": "Whisper base",
    "dinov2": "DINOv2-S",
}
DATA = {"cola": "CoLA", "wikitext2": "WikiText-2", "fsdd": "spoken digits", "cifar10_sample": "CIFAR-10"}
COLUMNS = {
    "mean_cosine": "mean cosine",
    "mean_cosine_centered": "centered",
    "anisotropy_1": "anisotropy_1",
    "anisotropy_1_uncentered": "uncentered",
    "isoscore": "IsoScore",
    "twonn": "TwoNN",
    "relative_drift": "relative drift",
    "rogue_share": "rogue share",
}


def stacks(facts):
    """Yield (model, data, stack, trained layers, layers of the untrained twin)."""
    for name, run in facts["runs"].items():
        if name.endswith(" untrained"):
            continue
        model, data = name.split()
        twin = facts["runs"][f"{name} untrained"]
        for stack in dict.fromkeys(layer["stack"] for layer in run["layers"]):
            mine, other = (
                [layer for layer in found["layers"] if layer["stack"] == stack] for found in (run, twin)
            )
            yield model, data, stack, mine, other


def title(model, data, stack):
    """Return what a stack is called in the tables."""
    return f"{NAMES[model]}{f' {stack}' if stack else ''}, {DATA[data]}"


def value(layer, name):
    """Return value and ends of a measure of a layer."""
    return layer["measures"][name]


def outcome(one, other):
    """Return whether one value is higher, lower, or neither beyond both intervals, in quadrature."""
    if None in (*one, *other):
        return None
    half = math.hypot((one[2] - one[1]) / 2, (other[2] - other[1]) / 2)
    difference = one[0] - other[0]
    return 0 if abs(difference) <= half else int(math.copysign(1, difference))


def table(facts):
    """Return all tables in Markdown."""
    parts = ["## What was run", _runs(facts)]
    parts += ["## Mean cosine: where it is highest, and in the untrained twin", _claims(facts)]
    parts += ["## Mean cosine and squared relative drift", _drift(facts)]
    parts += ["## What the uncentered anisotropy is made of", _decomposition(facts)]
    parts += ["## Every layer"]
    for model, data, stack, mine, twin in stacks(facts):
        for layers, kind in ((mine, ""), (twin, ", untrained")):
            parts += [f"### {title(model, data, stack)}{kind}", _layers(layers)]
    return "\n\n".join(parts)


def _runs(facts):
    rows = []
    for name, run in facts["runs"].items():
        first = run["layers"][0]
        share = f"{run['inputs'] / first['n']:.3f}"
        rows.append([name, str(run["inputs"]), str(first["n"]), share, f"{run['seconds'] / 60:.1f}"])
    minutes = sum(run["seconds"] for run in facts["runs"].values()) / 60
    rows.append(["all", "", "", "", f"{minutes:.0f}"])
    return markdown(["run", "inputs", "tokens (of the first stack)", "inputs a token", "minutes"], rows)


def _drift(facts):
    apart = {
        name: [
            abs(value(layer, "mean_cosine")[0] - value(layer, "relative_drift")[0] ** 2)
            for layer in run["layers"]
            if None not in (value(layer, "mean_cosine")[0], value(layer, "relative_drift")[0])
        ]
        for name, run in facts["runs"].items()
    }
    apart["all"] = [difference for found in apart.values() for difference in found]
    rows = [[name, f"{median(found):.4f}", f"{max(found):.3f}"] for name, found in apart.items()]
    return markdown(["run", "median difference over the layers", "largest"], rows)


def _claims(facts):
    head = ["model, data", "layers", "first", "highest inner layer", "last", "an inner layer is highest"]
    head += ["centered, largest", "untrained, first and last", "layers where training raised, lowered it"]
    rows = []
    for model, data, stack, mine, twin in stacks(facts):
        inner = max(mine[1:-1], key=lambda layer: value(layer, "mean_cosine")[0] or -1)
        ends = [
            outcome(value(inner, "mean_cosine"), value(end, "mean_cosine")) for end in (mine[0], mine[-1])
        ]
        changes = [
            outcome(value(a, "mean_cosine"), value(b, "mean_cosine")) for a, b in zip(mine, twin, strict=True)
        ]
        centered = max(
            (value(layer, "mean_cosine_centered") for layer in mine), key=lambda found: abs(found[0] or 0)
        )
        rows.append(
            [
                title(model, data, stack),
                str(len(mine) - 1),
                cell(value(mine[0], "mean_cosine")),
                f"{inner['depth']}: {cell(value(inner, 'mean_cosine'))}",
                cell(value(mine[-1], "mean_cosine")),
                "not known"
                if None in ends
                else "yes"
                if ends == [1, 1]
                else "within noise"
                if min(ends) == 0
                else "no",
                cell(centered),
                f"{_short(value(twin[0], 'mean_cosine')[0])}, {_short(value(twin[-1], 'mean_cosine')[0])}",
                f"{changes.count(1)}, {changes.count(-1)} of {len(changes)}",
            ]
        )
    return markdown(head, rows)


def _decomposition(facts):
    head = ["model, data", "measure", "layer", "raw", "share of the mean", "of three coordinates", "left"]
    rows = []
    for model, data, stack, mine, _ in stacks(facts):
        for measure in ("mean_cosine", "anisotropy_1"):
            known = [layer for layer in mine if layer["parts"][measure]["raw"][0] is not None]
            top = max(known, key=lambda layer: layer["parts"][measure]["raw"][0])
            for layer in {top["depth"]: top, mine[-1]["depth"]: mine[-1]}.values():
                parts = layer["parts"][measure]
                shares = [cell(parts[name]) for name in ("raw", "mean_share", "rogue_share", "left")]
                rows.append([title(model, data, stack), measure, str(layer["depth"]), *shares])
    return markdown(head, rows)


def _layers(layers):
    rows = []
    for layer in layers:
        kind = "" if layer["kind"] == "block" else f" {layer['kind']}"
        rows.append([f"{layer['depth']}{kind}", *(cell(value(layer, name)) for name in COLUMNS)])
    return markdown(["layer", *COLUMNS.values()], rows)


def cell(found):
    """Return a value with its interval."""
    number, low, high = found
    if number is None:
        return "undefined"
    return _short(number) if low is None else f"{_short(number)} [{_short(low)}, {_short(high)}]"


def _short(number):
    if number is None:
        return "undefined"
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.3g}"


def markdown(head, rows):
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])
