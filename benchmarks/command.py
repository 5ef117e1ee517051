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


def command_rows(n: int, d: int, repeats: int) -> list[Row]:
    """Return the seconds of `conescope measure FILE` and of `conescope --help`."""
    points = cloud(n, d).points
    with TemporaryDirectory() as folder:
        file = Path(folder, "points.npy")
        np.save(file, points.numpy())
        found = Measurement.model_validate_json(output("measure", str(file), "--json"))
        measure = [once(lambda: output("measure", str(file))) for _ in range(repeats)]
    times = {MEASURE: Timed(tuple(measure)), HELP: Timed(tuple(once(help_page) for _ in range(repeats)))}
    cosine = Agreement.of(
        "mean_cosine, measures.mean_cosine", found.value("mean_cosine"), float(mean_cosine(points)), 1e-6
    )
    return [
        Row(
            benchmark="command",
            what=f"conescope measure FILE, {n} x {d}, {len(found.values)} measures",
            n=n,
            d=d,
            value=times[MEASURE].median,
            unit="s",
            most=10,
            seconds=seconds(times, MEASURE),
            agreements=(cosine,),
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


def help_page() -> str:
    """Return what `conescope --help` prints."""
    return output("--help")


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
