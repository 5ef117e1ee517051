"""The command line as a process: from the start of Python to the last line."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.clouds import cloud
from benchmarks.record import Agreement, Row, seconds
from benchmarks.timing import Timed, once
from conescope.measures import mean_cosine
from conescope.results import Measurement

MEASURE, HELP = "conescope measure", "conescope --help"


def command_rows(n: int, d: int, repeats: int, *, warm: bool) -> list[Row]:
    """Return the seconds of `conescope measure FILE` and of `conescope --help`; warm after a run before."""
    points = cloud(n, d).points
    outputs: list[str] = []
    with TemporaryDirectory() as folder:
        file = Path(folder, "points.npy")
        np.save(file, points.numpy())

        def measure() -> None:
            outputs.append(output("measure", str(file), "--json"))

        def help_page() -> None:
            output("--help")

        if warm:
            measure()
            help_page()
        times = {
            MEASURE: Timed(tuple(once(measure) for _ in range(repeats))),
            HELP: Timed(tuple(once(help_page) for _ in range(repeats))),
        }
    found = [Measurement.model_validate_json(text) for text in outputs]
    cosines = {run.value("mean_cosine") for run in found}
    pairs = [
        Agreement.of("mean_cosine, measures.mean_cosine", cosine, float(mean_cosine(points)), 1e-6)
        for cosine in cosines
    ]
    return [
        Row(
            benchmark="command",
            what=f"conescope measure FILE --json, {n} x {d}, {len(found[0].values)} measures",
            n=n,
            d=d,
            value=times[MEASURE].median,
            unit="s",
            most=10,
            seconds=seconds(times, MEASURE),
            agreements=tuple(pairs),
        ),
        Row(
            benchmark="command",
            what="conescope --help",
            value=times[HELP].median,
            unit="s",
            most=0.5,
            seconds=seconds(times, HELP),
        ),
    ]


def output(*arguments: str) -> str:
    """Return what the command prints.

    Raises:
        RuntimeError: if it fails, with what it says.
    """
    command = [sys.executable, "-m", "conescope", *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(
            f"conescope {arguments[0]} ended with {process.returncode}: {process.stderr.strip()}"
        )
    return process.stdout
