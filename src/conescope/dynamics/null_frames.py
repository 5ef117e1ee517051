"""The random frames of one sampled step, drawn once for all linear maps of the same width and rank.

What G of few rows has in a Haar frame depends on the components of the frame along these rows alone. So only
a block of r rows of a Haar k-frame in d dimensions is drawn: Y A^{-1/2} with a Gaussian Y of shape (r, k) and
A = Y^T Y + W, where W is the Wishart matrix of the d - r directions that nobody asks for, drawn by the
decomposition of Bartlett (1933): W = T T^T, T lower triangular, standard normal below a diagonal of chi
variables of d - r, d - r - 1, ... degrees of freedom.

Frames are float32, which moves energies in the sixth digit; slim ones, that fill so much of the space that
differences between them and all of it would lose digits, are float64.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.frames import SLIM, generator_for

KEPT = 1 << 24  # numbers that are kept for the next map; more are drawn again, from the same seed


class NullFrames:
    """Draws blocks of Haar frames, the same ones whenever the same shape is asked for."""

    def __init__(self, draws: int, seed: int) -> None:
        self.draws, self.seed = draws, seed
        self._kept: dict[tuple[int, int, int, int, int, torch.device], Tensor] = {}

    def block(
        self, d: int, k: int, rows: int, draws: range, device: torch.device
    ) -> Float[Tensor, "draws rows k"]:
        """Return the blocks of these draws."""
        key = (d, k, rows, draws.start, draws.stop, device)
        if key in self._kept:
            return self._kept[key]
        generator = generator_for(hash((self.seed, *key[:5])), device)
        found = haar_block(d, k, rows, len(draws), generator=generator)
        if found.numel() + sum(kept.numel() for kept in self._kept.values()) <= KEPT:
            self._kept[key] = found
        return found


def haar_block(
    d: int, k: int, rows: int, draws: int, *, generator: torch.Generator
) -> Float[Tensor, "draws rows k"]:
    """Return the first rows of random orthonormal k-frames of d dimensions; rows = d gives all.

    Raises:
        ValueError: if not 1 <= k <= d and 1 <= rows <= d.
    """
    if not (1 <= k <= d and 1 <= rows <= d):
        raise ValueError(
            f"a block of a frame needs 1 <= k <= d and 1 <= rows <= d, got {k} and {rows}, d = {d}"
        )
    device = generator.device
    block = torch.randn(draws, rows, k, device=device, generator=generator)
    return whitened(block, d < SLIM * k, _wishart(d - rows, k, draws, generator))


def whitened(
    block: Float[Tensor, "draws rows k"], slim: bool, rest: Float[Tensor, "draws k k"] | None = None
) -> Float[Tensor, "draws rows k"]:
    """Return Y A^{-1/2} with A = Y^T Y + rest; `slim` if A must be made in float64."""
    wide = block.double() if slim else block.float()
    products = (wide.mT @ wide).double()
    lower = torch.linalg.cholesky(products if rest is None else products + rest)
    inverse = torch.linalg.solve_triangular(
        lower, torch.eye(len(lower[0])).to(lower).expand_as(lower), upper=False
    )
    found: Tensor = wide @ inverse.mT.to(wide.dtype)
    return found


def beside(frames: Float[Tensor, "draws d k"], basis: Float[Tensor, "d k"]) -> Float[Tensor, "draws d k"]:
    """Return the frames of what a basis leaves of others: Haar in its complement, if these are Haar."""
    d, k = basis.shape
    slim = d < SLIM * k
    known = basis.to(frames.dtype)
    for _ in range(2 if slim else 1):
        frames = whitened(frames - known @ (known.mT @ frames), slim)
    return frames


def _wishart(degrees: int, k: int, draws: int, generator: torch.Generator) -> Tensor | None:
    if degrees == 0:
        return None
    device = generator.device
    if degrees < k:
        few = torch.randn(draws, degrees, k, dtype=torch.float64, device=device, generator=generator)
        return few.mT @ few
    seed = torch.randint(1 << 62, (1,), device=device, generator=generator)
    freedom = degrees - np.arange(k)
    diagonal = np.sqrt(np.random.default_rng(int(seed)).chisquare(freedom, size=(draws, k)))
    below = torch.randn(draws, k, k, dtype=torch.float64, device=device, generator=generator).tril(-1)
    lower = below + torch.diag_embed(torch.from_numpy(diagonal).to(device))
    return lower @ lower.mT
