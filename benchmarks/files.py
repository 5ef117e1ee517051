"""A file of points larger than most memories: how fast one pass reads it, and what it keeps in memory.

    python -m benchmarks.files [--quick] [--rows 2000000] [--dir DIR] [--keep] [-o FILE]

Writes a float32 npy of rows x 768 (6.1 GB), reads it warm, that is out of the page cache, and deletes what it
wrote. A full run writes results/files.json; `--quick` takes a tiny file and writes only where `-o` says.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.clouds import Law
from benchmarks.limits import PRODUCT, product, share
from benchmarks.record import RESULTS, Agreement, Row, finish, seconds
from benchmarks.timing import in_turns, quotient
from conescope.scale.scan import scan
from conescope.scale.shards import open_shards
from conescope.scale.state import State

DRAWN = 1 << 16  # rows written at a time
BLOCK = 8192  # rows that NumPy multiplies at a time
SCAN, MOMENTS = "conescope scan, order 1", "conescope scan, order 2"
NUMPY, TORCH = "numpy, sum over the map", "torch.sum over the map"
BARE = "numpy, X.T @ X over the map"


@dataclass(frozen=True)
class Sizes:
    """How large and how often."""

    rows: int
    d: int
    product: int  # rows and columns of the product of matrices
    readings: int  # repeats of what costs n d
    passes: int  # repeats of what costs n d^2


FULL = Sizes(rows=2_000_000, d=768, product=4096, readings=5, passes=3)
QUICK = Sizes(rows=5000, d=24, product=64, readings=2, passes=2)


def write_points(path: Path, rows: int, d: int) -> None:
    """Write a cloud as npy, block by block. A file of that name is whole: it gets its name at the end."""
    law, part = Law(d), path.with_suffix(".part")
    with part.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, d)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, rows, DRAWN):
            law.draw(min(DRAWN, rows - start)).numpy().astype("<f4", copy=False).tofile(file)
    part.rename(path)


def scanned(path: Path, order: Literal[1, 2]) -> State:
    """Return the state of a scan as `conescope.measure` makes it of many points.

    Raises:
        ValueError: if the file could not be read.
    """
    found = scan(open_shards(path), order=order, precision="single")
    if found.state is None or found.failed:
        raise ValueError(f"the scan failed: {found.failed}")
    return found.state


def mapped(path: Path) -> NDArray[Any]:
    """Return the array of the file, mapped into memory; nothing writes to it."""
    array: NDArray[Any] = np.load(path, mmap_mode="c")
    return array


def bare_product(path: Path) -> NDArray[Any]:
    """Return the sum of products that moments can not do without, of rows as they are."""
    array = mapped(path)
    total = np.zeros((array.shape[1], array.shape[1]))
    for start in range(0, len(array), BLOCK):
        rows = np.asarray(array[start : start + BLOCK])
        total += rows.T @ rows
    return total


def reading_rows(path: Path, repeats: int) -> list[Row]:
    """Return the rate of a scan for what costs n d, against reading alone."""
    n, d = mapped(path).shape
    size = path.stat().st_size
    arms = {
        SCAN: lambda: scanned(path, 1),
        NUMPY: lambda: float(mapped(path).sum()),
        TORCH: lambda: float(torch.from_numpy(mapped(path)).sum()),
    }
    times, values = in_turns(arms, repeats)
    mean = values[SCAN].moments.mean
    unit = float(mean.abs().sum()) * n
    ours = float(mean.sum()) * n
    return [
        Row(
            benchmark="files",
            what=f"{SCAN}, {n} x {d}, {size / 1e9:.3g} GB",
            n=n,
            d=d,
            value=size / times[SCAN].median / 1e9,
            unit="GB/s",
            least=8,
            seconds=seconds(times),
            agreements=tuple(
                Agreement(
                    between=f"sum of coordinates, {name}",
                    difference=abs(ours - values[name]) / unit,
                    tolerance=1e-4,
                )
                for name in (NUMPY, TORCH)
            ),
            note=_warmth(size),
        ),
        Row(
            benchmark="files",
            what="its seconds over those of NumPy's sum",
            n=n,
            d=d,
            value=quotient(times[SCAN], times[NUMPY]),
            unit="times as long",
        ),
    ]


def moment_rows(path: Path, repeats: int, *, size: int) -> list[Row]:
    """Return the rate of a scan for full moments, against products of matrices in memory."""
    n, d = mapped(path).shape
    multiply = product(size, d)
    arms = {
        MOMENTS: lambda: scanned(path, 2),
        BARE: lambda: bare_product(path),
        PRODUCT: multiply.arm,
    }
    times, values = in_turns(arms, repeats)
    found = values[MOMENTS].moments
    theirs = values[BARE] - n * np.outer(found.mean, found.mean)
    apart = np.abs(found.scatter.numpy() - theirs).max() / np.trace(theirs)
    return [
        Row(
            benchmark="files",
            what=f"{MOMENTS}, {n} x {d}, as a general product (2 n d^2)",
            n=n,
            d=d,
            value=share(2.0 * n * d * d, times[MOMENTS], multiply, times[PRODUCT]),
            unit=f"% of {PRODUCT}",
            least=70,
            seconds=seconds(times),
            agreements=(Agreement(between=f"scatter, {BARE}", difference=apart, tolerance=1e-5),),
            note="by symmetry half of these operations are needed, and so more than 100 % can be had",
        ),
        Row(
            benchmark="files",
            what="its seconds over those of the bare product",
            n=n,
            d=d,
            value=quotient(times[MOMENTS], times[BARE]),
            unit="times as long",
        ),
    ]


def memory_rows(path: Path) -> list[Row]:
    """Return the most memory that scans take besides the pages of the file, in a process of their own."""
    n, d = mapped(path).shape
    command = [sys.executable, "-m", "benchmarks.memory", str(path.resolve())]
    process = subprocess.run(command, cwd=machine.ROOT, capture_output=True, text=True, check=True)
    taken = zip(
        (SCAN, MOMENTS), process.stdout.split(), strict=False
    )  # nothing where the system does not tell
    return [
        Row(
            benchmark="files",
            what=f"memory of {name}, beyond what Python has before",
            n=n,
            d=d,
            value=int(most) / 1e6,
            unit="MB",
            most=300,
        )
        for name, most in taken
    ]


@contextmanager
def points_file(rows: int, d: int, folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """Yield a file of points: one that is there, or a new one, which is deleted at the end unless it is kept.

    Raises:
        ValueError: if the disk has too little space.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="conescope-")))
        file = folder / f"points-{rows}x{d}.npy"
        if not file.exists():
            free, needed = shutil.disk_usage(folder).free, 4 * rows * d
            if free < 1.05 * needed:
                raise ValueError(
                    f"the file needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}; "
                    "name another folder with --dir, or fewer --rows"
                )
            stack.callback(file.with_suffix(".part").unlink, missing_ok=True)
            if not keep:
                stack.callback(file.unlink, missing_ok=True)
            print("writing the file ...", file=sys.stderr)
            write_points(file, rows, d)
        yield file


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, run the benchmarks, delete it; return 1 if arms that are compared disagree in value."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny file: does the code run?")
    parser.add_argument("--rows", type=int, help=f"points in the file; {FULL.rows} if left out")
    parser.add_argument("--dir", type=Path, help="folder on the disk to use; a temporary one if left out")
    parser.add_argument("--keep", action="store_true", help="leave the file in DIR, for the next run")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the JSON goes")
    given = parser.parse_args(arguments)
    if given.keep and given.dir is None:
        parser.error("--keep leaves the file in a folder: name it with --dir")
    sizes = QUICK if given.quick else FULL
    if given.rows is not None:
        sizes = replace(sizes, rows=given.rows)
    path = given.output
    if path is None and sizes == FULL:
        path = RESULTS / "files.json"
    hardware, found = machine.hardware(), []
    try:
        with points_file(sizes.rows, sizes.d, given.dir, keep=given.keep) as file:
            for name, run in BENCHMARKS.items():
                print(f"{name} ...", file=sys.stderr)
                found += run(file, sizes)
    except ValueError as problem:
        parser.error(str(problem))
    flags = ["--quick"] * given.quick + [f"--rows {given.rows}"] * (given.rows is not None)
    command = " ".join(["python -m benchmarks.files", *flags])
    return finish(command, found, hardware, quick=given.quick, path=path)


def _warmth(size: int) -> str:
    """Return a note if the file can not stay in the page cache."""
    available = machine.available_bytes()
    if available is None or available > 1.2 * size:
        return ""
    return f"not warm: {available / 1e9:.1f} GB of memory were available for {size / 1e9:.1f} GB"


BENCHMARKS: dict[str, Callable[[Path, Sizes], list[Row]]] = {
    "reading": lambda file, sizes: reading_rows(file, sizes.readings),
    "moments": lambda file, sizes: moment_rows(file, sizes.passes, size=sizes.product),
    "memory": lambda file, sizes: memory_rows(file),
}

if __name__ == "__main__":
    sys.exit(main())
