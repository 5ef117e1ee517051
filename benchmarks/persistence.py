"""H0 with its gradient against other packages, and against one product of all pairs, in one run.

    python -m benchmarks.persistence [--peers PYTHON] [--points FILE.npy] [--quick] [--only NAME] [-o FILE]

Peers run in a process of their own (`peers.py`), by a Python that has them: some are under licenses that
conescope does not want near it. All arms take turns. Without `--peers` only conescope and the product are
timed. Points of a file are timed as well, all of them and without peers.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.clouds import cloud
from benchmarks.loops import COMPILED, loops, there_are_loops
from benchmarks.record import RESULTS, Agreement, Row, finish, seconds
from benchmarks.timing import PAUSE, Timed, once, quotient
from conescope.topology import h0_lengths, trees

OURS, PASS = "conescope", "one float32 product"
TOPOLOGICAL, HDBSCAN, LINKAGE = "torch_topological", "scikit-learn HDBSCAN", "scipy linkage"
BLOCK = 2048  # rows of the product at a time
ROUNDING = 1e-5  # relative, in the sum of the bars


class Case(NamedTuple):
    """A size, the peers that can do it, and how much faster than each conescope should be."""

    n: int
    d: int
    clouds: int = 1
    peers: Mapping[str, float | None] = MappingProxyType({})
    passes: float | None = None  # products of all pairs that it may take
    most: float | None = None  # seconds
    memory: float | None = None  # bytes
    calls: int = 1  # in one turn
    turns: int = 3


GB = 10**9
CASES = {
    "classes": Case(16, 768, clouds=64, peers={TOPOLOGICAL: 10}, calls=5, turns=11),
    "batch": Case(64, 768, clouds=16, peers={TOPOLOGICAL: None}, calls=5, turns=11),
    "64": Case(64, 768, peers={TOPOLOGICAL: 1.5, LINKAGE: None}, calls=50, turns=11),
    "256": Case(256, 768, peers={TOPOLOGICAL: 3}, calls=20, turns=11),
    "1024": Case(1024, 768, peers={TOPOLOGICAL: 5, HDBSCAN: None}, calls=5),
    "4096": Case(4096, 768, peers={TOPOLOGICAL: 5, HDBSCAN: 2}),
    "20000": Case(20_000, 384, peers={TOPOLOGICAL: 45, HDBSCAN: 15}, passes=3, memory=0.8 * GB),
    "100000": Case(100_000, 384, most=25, memory=2.5 * GB, turns=1),
    "1000000": Case(1_000_000, 64, memory=2.5 * GB, turns=1),
}
QUICK = {
    "classes": Case(5, 8, clouds=3, peers={TOPOLOGICAL: 10}),
    "64": Case(12, 8, peers={TOPOLOGICAL: 1.5, LINKAGE: None}),
    "4096": Case(60, 8, peers={HDBSCAN: 2}, passes=3, memory=0.8 * GB),
    "100000": Case(80, 4, most=25, memory=2.5 * GB, turns=1),
}
LIKE_EMBEDDINGS = {"100000", "1000000"}  # the other kind takes as long again
LONG = {"1000000"}  # not without being asked for
PLAIN = {"OPENBLAS_CORETYPE": "Haswell"}  # kernels for AVX2
SLOW = 10.0  # seconds from which on an arm has one turn


class Peers:
    """A process for each peer; it waits, without threads at work, while others have their turn.

    A process that ends is started once more with `PLAIN`: OpenBLAS as in NumPy 1.26 to 2.4 ends the process
    at x @ x.T of 20,000 float64 points where it takes its kernels for AVX-512 and two threads.
    """

    def __init__(self, python: str) -> None:
        self.python = python
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.plain: set[str] = set()  # peers that ended

    def ask(self, peer: str, **request: object) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            RuntimeError: if the process has ended, and again with `PLAIN`.
        """
        try:
            return self._answer(peer, **request)
        except RuntimeError:
            if peer in self.plain:
                raise
            self.plain.add(peer)
            return self._answer(peer, **request)

    def _answer(self, peer: str, **request: object) -> dict[str, Any]:
        if peer not in self.processes:
            script = str(Path(__file__).with_name("peers.py"))
            command = [self.python, script, str(torch.get_num_threads())]
            environment = {**os.environ, **(PLAIN if peer in self.plain else {})}
            self.processes[peer] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        process = self.processes[peer]
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended, and has no line to say
            process.stdin.write(json.dumps({"peer": peer, **request}) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self.processes.pop(peer).communicate()
            raise RuntimeError(f"{peer} ended with {process.returncode} at {request}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the processes end; the next request starts a new one."""
        for process in self.processes.values():
            process.communicate()
        self.processes.clear()


class Turn(NamedTuple):
    """What an arm did in one turn: the seconds of a call, and the sum of the bars."""

    seconds: float
    total: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return 1 if arms that are compared disagree in the sum of the bars."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.persistence", description=__doc__)
    parser.add_argument(
        "--peers", metavar="PYTHON", help="a Python that has torch_topological, scikit-learn, scipy"
    )
    parser.add_argument("--points", type=Path, metavar="FILE.npy", help="embeddings to time besides")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does the code run?")
    parser.add_argument("--only", choices=CASES, action="append", help="one size; repeat for more")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the JSON goes")
    given = parser.parse_args(arguments)
    path = given.output
    if path is None and not given.quick and not given.only:
        path = RESULTS / "persistence.json"
    cases = QUICK if given.quick else CASES
    names = (
        [name for name in cases if name in given.only]
        if given.only
        else [name for name in cases if name not in LONG]
    )
    hardware, rows = machine.hardware(), []
    peers = Peers(given.peers) if given.peers else None
    if peers is not None:
        hardware["peers"] = peers.ask(peer="versions")
    try:
        for name in names:
            for kind in KINDS if name not in LIKE_EMBEDDINGS else list(KINDS)[:1]:
                print(f"{name}, {kind} ...", file=sys.stderr)
                rows += case_rows(cases[name], kind, points_of(cases[name], kind), peers)
        if given.points is not None:
            points = torch.from_numpy(np.load(given.points)).float()
            case = Case(*points.shape, memory=2.5 * GB, turns=1 if given.quick else 3)
            rows += case_rows(case, given.points.stem, points, None)
    finally:
        if peers is not None:
            peers.close()
    flags = ["--quick"] * given.quick + [f"--only {name}" for name in given.only or ()]
    flags += ["--peers PYTHON"] * bool(given.peers) + [
        f"--points {name.name}" for name in [given.points] if name
    ]
    command = " ".join(["python -m benchmarks.persistence", *flags])
    return finish(command, rows, hardware, quick=given.quick, path=path)


def isotropic(n: int, d: int) -> Tensor:
    """Return standard normal points."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1))


KINDS: dict[str, Callable[[int, int], Tensor]] = {
    "like embeddings": lambda n, d: cloud(n, d).points,
    "isotropic": isotropic,
}


def points_of(case: Case, kind: str) -> Tensor:
    """Return points of one kind, as many clouds as the case has."""
    shape = (case.clouds, case.n, case.d) if case.clouds > 1 else (case.n, case.d)
    return KINDS[kind](case.clouds * case.n, case.d).reshape(shape)


def case_rows(case: Case, kind: str, points: Tensor, peers: Peers | None) -> list[Row]:
    """Return how much faster than its peers conescope is at one size, and what it needs."""
    arms: dict[str, Callable[[], Turn]] = {OURS: lambda: of_ours(points, case.calls)}
    plain: set[str] = set()
    if case.n <= trees.FEW and there_are_loops():
        arms[COMPILED] = lambda: of_ours(points, case.calls, with_loops=True)
    if case.clouds == 1:
        arms[PASS] = lambda: of_product(points, case.calls)
    with TemporaryDirectory() as folder:
        file = str(Path(folder, "points.npy"))
        np.save(file, points.numpy())
        if peers is not None:
            for peer in case.peers:
                arms[peer] = lambda peer=peer: of_peer(peers, peer, file, case.calls)
        times, totals = in_turns(arms, case.turns)
        if peers is not None:
            plain = set(peers.plain)
            peers.close()  # their memory is free for the next case
            peers.plain.clear()
    size = " x ".join(str(side) for side in points.shape)
    return [*_ratios(case, kind, size, times, totals, plain), *_limits(case, kind, size, points, times)]


def in_turns(arms: dict[str, Callable[[], Turn]], turns: int) -> tuple[dict[str, Timed], dict[str, float]]:
    """Return the seconds of a call of each arm, and its sum of bars; a slow arm has no second turn."""
    first: dict[str, Turn] = {}
    for name, arm in arms.items():
        try:
            first[name] = arm()
        except RuntimeError as problem:  # a peer that can not do this size is left out
            print(f"left out: {problem}", file=sys.stderr)
    arms = {name: arm for name, arm in arms.items() if name in first}
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(turns):
        for name, arm in arms.items():
            if first[name].seconds < SLOW:
                time.sleep(PAUSE)
                taken[name].append(arm().seconds)
            elif not taken[name]:
                taken[name].append(first[name].seconds)
    times = {name: Timed(tuple(each)) for name, each in taken.items()}
    return times, {name: turn.total for name, turn in first.items()}


def of_ours(points: Tensor, calls: int, *, with_loops: bool = False) -> Turn:
    """Return a turn of conescope, forward and backward, by torch, NumPy and SciPy unless with loops."""
    wanted = points.clone().requires_grad_()
    total = 0.0

    def call() -> None:
        nonlocal total
        wanted.grad = None
        bars = h0_lengths(wanted).sum()
        bars.backward()
        total = float(bars.detach())

    with loops(with_loops):
        return Turn(median(once(call) for _ in range(calls)), total)


def of_product(points: Tensor, calls: int) -> Turn:
    """Return a turn of the products of all pairs, each pair once: n^2 d operations, which H0 must exceed."""
    held = points.new_empty(BLOCK * BLOCK)
    blocks = torch.split(points, BLOCK)

    def call() -> None:
        for i, rows in enumerate(blocks):
            for columns in blocks[i:]:
                torch.mm(rows, columns.T, out=held[: len(rows) * len(columns)].view(len(rows), -1))

    return Turn(median(once(call) for _ in range(calls)), float("nan"))


def of_peer(peers: Peers, peer: str, file: str, calls: int) -> Turn:
    """Return a turn of a peer."""
    answer = peers.ask(peer=peer, file=file, calls=calls)
    if median(answer["seconds"]) > SLOW:
        peers.close()  # gigabytes of distances that others need
    return Turn(median(answer["seconds"]), answer["total"])


def memory_of(points: Tensor) -> float | None:
    """Return the bytes that a fresh process needs besides the points; None where the system does not tell."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "points.npy")
        np.save(file, points.numpy())
        command = [sys.executable, "-m", "benchmarks.h0_memory", str(file)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(printed) if printed.strip() else None


def _ratios(
    case: Case,
    kind: str,
    size: str,
    times: dict[str, Timed],
    totals: dict[str, float],
    plain: set[str],
) -> list[Row]:
    row, what = _row_of(case), f"H0 and its gradient, {size}, {kind}"
    rows = [
        row(
            what=f"{what}, against {peer}",
            value=_ratio(times[peer], times[OURS]),
            unit="times faster",
            seconds=seconds(times, OURS, peer),
            least=least,
            agreements=(Agreement.of(f"sum of the bars, {peer}", totals[OURS], totals[peer], ROUNDING),),
            note=f"{peer} with {PLAIN}; it ended without" if peer in plain else "",
        )
        for peer, least in case.peers.items()
        if peer in times
    ]
    if COMPILED in times:
        rows.append(
            row(
                what=f"{what}, {COMPILED} against {OURS}",
                value=_ratio(times[OURS], times[COMPILED]),
                unit="times faster",
                seconds=seconds(times, COMPILED, OURS),
                agreements=(Agreement.of("sum of the bars", totals[OURS], totals[COMPILED], ROUNDING),),
            )
        )
    if PASS in times:
        rows.append(
            row(
                what=f"{what}, against {PASS} of all pairs",
                value=_ratio(times[OURS], times[PASS]),
                unit="times as long",
                seconds=seconds(times, OURS, PASS),
                most=case.passes,
            )
        )
    return rows


def _ratio(one: Timed, other: Timed) -> float:
    """Return how many times as long one arm took: round by round, if both had as many."""
    alike = len(one.seconds) == len(other.seconds)
    return quotient(one, other) if alike else one.median / other.median


def _limits(case: Case, kind: str, size: str, points: Tensor, times: dict[str, Timed]) -> list[Row]:
    row, rows = _row_of(case), []
    if case.most is not None:
        what = f"H0 and its gradient, {size}, {kind}"
        took = times[OURS].median
        rows.append(row(what=what, value=took, unit="s", seconds=seconds(times, OURS), most=case.most))
    taken = None if case.memory is None else memory_of(points)
    if case.memory is not None and taken is not None:
        what = f"memory beyond the points, {size}, {kind}"
        rows.append(row(what=what, value=taken / 1e6, unit="MB", most=case.memory / 1e6))
    return rows


def _row_of(case: Case) -> Callable[..., Row]:
    return partial(Row, benchmark="persistence", n=case.n, d=case.d)


if __name__ == "__main__":
    sys.exit(main())
