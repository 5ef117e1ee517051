"""The tables of the pipeline, from its results."""

PLAIN, RANK, LEVEL = (), ("rank of percent",), ("level of percent",)
CERTAIN = 0.05


def table(found: dict) -> str:
    """Return the scores by level, and for each task the correlations of all measures with its score."""
    parts = [_scores(found), *(_measures(name, task) for name, task in found["tasks"].items())]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _scores(found: dict) -> list[str]:
    levels = [f"{level:g}" for level in found["levels"]]
    lines = _head("score, three runs", *(f"{level} %" for level in levels), "deviation, 0 %", "within others")
    for name, task in found["tasks"].items():
        cells = [" ".join(f"{value:.2f}" for value in task["levels"][level]) for level in levels]
        noise = task["deviation_without_noise"], task["deviation_within_levels"]
        lines.append(_line(f"{name}, {task['score']}", *cells, *(f"{value:.3f}" for value in noise)))
    return lines


def _measures(name: str, task: dict) -> list[str]:
    """Return a row a measure, the strongest first, by what is left of it between runs of one level."""
    lines = _head(
        f"{name}: measure", "rho [95 %]", "p", "given the dose [95 %]", "p", "within levels [95 %]", "p", ""
    )
    rows = {measure: {tuple(one["given"]): one for one in row} for measure, row in task["measures"].items()}
    for measure, row in sorted(
        rows.items(), key=lambda item: -abs(item[1].get(LEVEL, {"value": 0})["value"])
    ):
        cells = [cell for given in (PLAIN, RANK, LEVEL) for cell in _cells(row.get(given))]
        lines.append(_line(measure, *cells, verdict(row)))
    return lines


def verdict(row: dict) -> str:
    """Return what the corrected p of a measure's correlations say.

    Beyond the dose is what both partial correlations show, the same way: that given ranks alone can be a
    curve of the dose.
    """
    if PLAIN not in row or row[PLAIN]["holm"] >= CERTAIN:
        return "within noise"
    held = [row[given] for given in (RANK, LEVEL) if given in row]
    same = len({one["value"] > 0 for one in held}) == 1
    if len(held) == 2 and same and all(one["holm"] < CERTAIN for one in held):
        return "beyond the dose"
    return "follows the dose"


def _cells(one: dict | None) -> tuple[str, str]:
    if one is None:
        return "-", "-"
    ends = one["interval"]
    shown = "" if ends is None else f" [{max(ends[0], -1):+.2f}, {min(ends[1], 1):+.2f}]"
    return f"{one['value']:+.2f}{shown}", f"{one['holm']:.3f}"


def _head(*cells: str) -> list[str]:
    return [_line(*cells), "|" + " --- |" * len(cells)]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
