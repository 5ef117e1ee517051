"""The tables of the study, from its results."""


def table(found: dict) -> str:
    """Return four tables: captions, correlations given the dose, regressions, and differences."""
    parts = _captions(found), _dose(found), _regressions(found), _differences(found)
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _head(*cells: str) -> list[str]:
    return [_line(*cells), "|" + " --- |" * len(cells)]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _ends(ends: list | None, digits: str = ".2f") -> str:
    return "" if ends is None or None in ends else f" [{ends[0]:{digits}}, {ends[1]:{digits}}]"


def _captions(found: dict) -> list[str]:
    lines = _head("number", "published", "a-patchiness", "p-patchiness", "rows")
    for row in found["captions"]:
        cells = [
            f"{row[name]:.4f}{_ends(row[f'{name} interval'])}" for name in ("a-patchiness", "p-patchiness")
        ]
        lines.append(_line(row["what"], row["published"], *cells, str(row["rows"])))
    return lines


def _dose(found: dict) -> list[str]:
    lines = _head("models", "correlation", "given", "r and 95 % interval", "rows")
    for row in found["given_the_dose"]:
        kind = "Pearson" if row["kind"] == "linear" else "Spearman"
        value = f"{row['value']:.2f}{_ends([row['low'], row['high']])}"
        lines.append(_line(row["models"], kind, ", ".join(row["given"]) or "-", value, str(row["rows"])))
    return lines


def _regressions(found: dict) -> list[str]:
    lines = _head(
        "regression", "R^2", "row out", "family out", "13 others", "r, 13", "in interval, 13", "width"
    )
    chosen = found["chosen"]
    name = f"chosen: {', '.join(chosen['features'])} ({chosen['kind']})"
    for what, row in [*found["published"].items(), (name, chosen)]:
        new, out = row["others"], row["family_out"]
        lines.append(
            _line(
                what,
                f"{row['r2']:.2f}",
                f"{row['leave_one_out']['rmse']:.3f}",
                f"{out['rmse']:.3f} (mean {out['baseline_rmse']:.3f})",
                f"{new['rmse']:.3f}{_ends(new['rmse_interval'], '.3f')}",
                f"{new['r']:+.2f}",
                f"{new['covered']} of {len(new['rows'])}{_ends(new['coverage_interval'])}",
                f"{new['mean_width']:.2f}",
            )
        )
    mean = found["mean"]
    lines.append(
        _line("mean", "", "", "", f"{mean['rmse']:.3f}{_ends(mean['rmse_interval'], '.3f')}", "", "", "")
    )
    return lines


def _differences(found: dict) -> list[str]:
    lines = _head("difference of errors on the 13", "value and 95 % interval")
    for name, row in found["differences"].items():
        lines.append(_line(name, f"{row['difference']:+.3f}{_ends(row['interval'], '+.3f')}"))
    return lines
