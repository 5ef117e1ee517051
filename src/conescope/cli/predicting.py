"""Regressions and what they predict on the terminal."""

from typing import TYPE_CHECKING

from conescope.cli.reading import plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Predicted, Prediction
    from conescope.results.prediction import Association, Errors

KINDS = ("linear", "rank")


def show(found: "Prediction") -> None:
    """Print both regressions, the correlations, rows left out, and notes."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    head = f"{found.target} from {', '.join(found.features)}: {found.rows} rows"
    console.print(Text(plain(head), style="bold"))
    for content in (_fits(found), _coefficients(found), _correlations(found.associations)):
        console.print()
        console.print(content)
    if found.left_out:
        console.print()
        told = "; ".join(f"{row.name} ({row.why})" for row in found.left_out)
        console.print(Text(plain(f"{len(found.left_out)} rows left out: {told}"), style="dim"))
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _grid(*heads: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(heads[0], overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right", overflow="fold")
    return table


def _fits(found: "Prediction") -> "Table":
    """Return fit, chance and held-out errors, with those of the mean in brackets."""
    from conescope.cli.tables import number

    table = _grid("fit", *KINDS)
    both = (found.linear, found.rank)
    table.add_row("R^2", *(number(fit.r2) for fit in both))
    table.add_row("r", *(number(fit.r) for fit in both))
    table.add_row("R^2 by chance, 95 %", *(number(fit.chance.high) for fit in both))
    table.add_row("p of chance", *(number(fit.chance.p) for fit in both))
    table.add_row("error, each row out (mean)", *(_errors(fit.leave_one_out) for fit in both))
    if found.hold_out is not None:
        head = plain(f"error, each {found.hold_out} out (mean)")
        table.add_row(head, *(_errors(fit.leave_group_out) for fit in both))
        for one, other in zip(found.linear.groups_out, found.rank.groups_out, strict=True):
            table.add_row(plain(f"  {one.name}"), _errors(one.errors), _errors(other.errors))
    return table


def _errors(errors: "Errors | None") -> str:
    from conescope.cli.tables import number

    if errors is None or errors.rmse is None:
        return "-"
    return f"{number(errors.rmse)} ({number(errors.baseline_rmse) or '-'})"


def _coefficients(found: "Prediction") -> "Table":
    from conescope.cli.tables import number

    table = _grid("coefficient", "linear", "95 % interval", "p")
    for term in found.linear.coefficients:
        ends = f"{number(term.low)} {number(term.high)}"
        table.add_row(plain(term.name), number(term.value), ends, number(term.p))
    return table


def _correlations(found: "tuple[Association, ...]") -> "Table":
    from conescope.cli.tables import number

    table = _grid("correlation", "given", "r", "95 % interval", "")
    for one in found:
        ends = "" if one.low is None or one.high is None else f"{number(one.low)} {number(one.high)}"
        name = one.feature if one.kind == "linear" else f"{one.feature}, ranks"
        value = "fixed" if one.value is None else number(one.value)
        table.add_row(plain(name), plain(", ".join(one.given)), value, ends, "=" if one.within_noise else "")
    table.caption = "= within noise"
    table.caption_justify = "left"
    return table


def show_applied(found: "Predicted") -> None:
    """Print what is predicted for each row, and how well where that is known."""
    from rich.console import Console
    from rich.text import Text

    from conescope.cli.tables import number

    console = Console(highlight=False)
    table = _grid("row", "predicted", "95 % interval", found.target, "outside of")
    for row in found.rows:
        ends = "" if row.low is None or row.high is None else f"{number(row.low)} {number(row.high)}"
        table.add_row(
            plain(row.name), number(row.predicted), ends, number(row.known), plain(", ".join(row.outside))
        )
    console.print()
    console.print(table)
    if found.errors is not None:
        told = f"error (mean) of {found.errors.rows} rows: {_errors(found.errors)}"
        if found.covered is not None:
            told += f"; {found.covered} are in their interval"
        console.print()
        console.print(Text(told, style="bold"))
    if found.left_out:
        told = "; ".join(f"{row.name} ({row.why})" for row in found.left_out)
        console.print(Text(plain(f"{len(found.left_out)} rows left out: {told}"), style="dim"))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))
