"""The command line: parse, call, print. Whatever it does, one Python call can do.

Exit codes: 0 done, 1 a gate failed or the program did, 2 bad input, told in one line on stderr.
"""

import sys
from typing import Annotated

import typer

from conescope.cli.ablate import ablate
from conescope.cli.advise import advise
from conescope.cli.attention import attention
from conescope.cli.barcode import barcode
from conescope.cli.check import check
from conescope.cli.compare import compare
from conescope.cli.demo import demo
from conescope.cli.dynamics import dynamics
from conescope.cli.finetune import finetune
from conescope.cli.fix import fix
from conescope.cli.layers import layers
from conescope.cli.measure import measure
from conescope.cli.perturb import perturb
from conescope.cli.predict import predict
from conescope.cli.reading import plain
from conescope.cli.report import report
from conescope.cli.scan import merge, scan

app = typer.Typer(
    name="conescope",
    help="Measure, improve, explain and show the shape of embedding spaces.",
    epilog="With --debug, an error shows where it came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
for command in (
    measure,
    check,
    compare,
    barcode,
    layers,
    scan,
    merge,
    finetune,
    ablate,
    attention,
    dynamics,
    perturb,
    advise,
    predict,
    report,
    demo,
):
    app.command()(command)
app.add_typer(fix, name="fix")


def _show_version(wanted: bool | None) -> None:
    if wanted:
        from conescope import __version__

        typer.echo(f"conescope {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None,
        typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True),
    ] = None,
) -> None:
    """Measure, improve, explain and show the shape of embedding spaces."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input becomes one line on stderr and exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        app([argument for argument in given if argument != "--debug"], prog_name="conescope")
    except (ValueError, OSError, ImportError) as problem:
        if debug:
            raise
        typer.echo(f"conescope: {plain(' '.join(str(problem).split()))}", err=True)
        sys.exit(2)
