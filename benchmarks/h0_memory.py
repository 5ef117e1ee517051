"""The memory that H0 and its gradient take, in a process of its own, called by `benchmarks.persistence`.

    python -m benchmarks.h0_memory FILE.npy

prints the most bytes that no file backs, less those before, when the points are read and all is imported; and
nothing where the system does not tell.
"""

import sys

import numpy as np
import torch

from benchmarks.machine import anonymous_bytes
from benchmarks.memory import Peak
from conescope.topology import h0_lengths

FEW = 7000  # points whose tree imports all that is needed


def main(file: str) -> None:
    """Print the memory of one call, forward and backward."""
    h0_lengths(torch.randn(FEW, 2))
    points = torch.from_numpy(np.load(file)).requires_grad_()
    before = anonymous_bytes()
    if before is None:
        return
    with Peak() as peak:
        h0_lengths(points).sum().backward()
    print(peak.bytes - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
