"""Measures against other packages, each at its best, in one run.

    python -m benchmarks.measures [--quick] [--only NAME] [-o FILE]

A full run writes results/measures.json; `--quick` takes tiny sizes and writes only where `-o` says. The
machine must be quiet, and threads are those that OMP_NUM_THREADS allows, for all arms.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.command import command_rows
from benchmarks.each_measure import each_measure_rows
from benchmarks.limits import limit_rows
from benchmarks.mean_cosine import mean_cosine_rows
from benchmarks.moment_measures import moment_rows
from benchmarks.nearest import neighbor_rows
from benchmarks.record import RESULTS, Row, finish

Shape = tuple[int, int]


@dataclass(frozen=True)
class Sizes:
    """How large and how often."""

    cloud: Shape
    many: Shape  # for what costs no pairs
    file: Shape  # for the command
    grid: tuple[Shape, ...]
    product: int  # rows and columns of the product of matrices
    numbers: int  # read from memory
    repeats: int
    processes: int  # how often a command is run
    budget: float  # seconds for all repeats of one measure


FULL = Sizes(
    cloud=(10_000, 768),
    many=(100_000, 768),
    file=(10_000, 768),
    grid=((1000, 128), (4000, 384), (10_000, 768)),
    product=4096,
    numbers=1 << 28,
    repeats=7,
    processes=5,
    budget=10.0,
)
QUICK = Sizes(
    cloud=(300, 24),
    many=(900, 24),
    file=(16, 4),
    grid=((40, 6), (60, 8)),
    product=64,
    numbers=1 << 16,
    repeats=2,
    processes=1,
    budget=0.05,
)
BENCHMARKS: dict[str, Callable[[Sizes], list[Row]]] = {
    "limits": lambda sizes: limit_rows(
        size=sizes.product, inner=sizes.cloud[1], numbers=sizes.numbers, repeats=sizes.repeats
    ),
    "mean_cosine": lambda sizes: mean_cosine_rows(*sizes.cloud, sizes.repeats),
    "moments": lambda sizes: moment_rows(*sizes.many, sizes.repeats, size=sizes.product),
    "neighbors": lambda sizes: neighbor_rows(*sizes.cloud, sizes.repeats, size=sizes.product),
    "rows": lambda sizes: each_measure_rows(sizes.grid, sizes.repeats, sizes.budget),
    "command": lambda sizes: command_rows(*sizes.file, sizes.processes, warm=sizes.processes > 1),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return 1 if arms that are compared disagree in value."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measures", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does the code run?")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="one benchmark; repeat for more")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the JSON goes")
    given = parser.parse_args(arguments)
    path = given.output
    if path is None and not given.quick and not given.only:
        path = RESULTS / "measures.json"
    names = [name for name in BENCHMARKS if not given.only or name in given.only]
    hardware, rows = machine.hardware(), []
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        rows += BENCHMARKS[name](QUICK if given.quick else FULL)
    flags = ["--quick"] * given.quick + [f"--only {name}" for name in given.only or ()]
    return finish(
        " ".join(["python -m benchmarks.measures", *flags]), rows, hardware, quick=given.quick, path=path
    )


if __name__ == "__main__":
    sys.exit(main())
