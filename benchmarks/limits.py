"""What the machine can do: how fast it multiplies and reads, measured in the same run as the rest."""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.record import Row, seconds
from benchmarks.timing import Arm, Timed, in_turns, quotient

PRODUCT = "torch.matmul"
READING = "torch.sum"


class Limit(NamedTuple):
    """Something the machine does, and how much of it."""

    arm: Arm
    amount: float


def product(size: int, inner: int) -> Limit:
    """Return a float32 product of matrices, and its floating point operations."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(size, inner, generator=generator)
    right = torch.randn(inner, size, generator=generator)
    result = torch.empty(size, size)
    return Limit(lambda: torch.matmul(left, right, out=result), 2.0 * size * size * inner)


def reading(some: Tensor) -> Limit:
    """Return a sum over a tensor in memory, and how many bytes it reads."""
    return Limit(some.sum, float(some.nbytes))


def share(amount: float, times: Timed, limit: Limit, limits: Timed) -> float:
    """Return in percent how close to a limit an arm comes that does such an amount, round by round."""
    return 100 * amount / limit.amount * quotient(limits, times)


def limit_rows(*, size: int, inner: int, numbers: int, repeats: int) -> list[Row]:
    """Return the rates of a product and of reading."""
    multiply, read = product(size, inner), reading(torch.ones(numbers))
    times, _ = in_turns({PRODUCT: multiply.arm, READING: read.arm}, repeats)
    return [
        Row(
            benchmark="limits",
            what=f"float32 product {size} x {inner} x {size}",
            value=multiply.amount / times[PRODUCT].median / 1e9,
            unit="GFLOP/s",
            seconds=seconds(times, PRODUCT),
        ),
        Row(
            benchmark="limits",
            what=f"reading {read.amount / 2**20:.3g} MiB of memory",
            value=read.amount / times[READING].median / 1e9,
            unit="GB/s",
            seconds=seconds(times, READING),
        ),
    ]
