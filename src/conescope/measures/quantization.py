"""A cloud cut into cells by a trained vector quantizer: what every measure of cells is computed from.

A quantizer with M codebooks of k = 2^bits centroids writes a point as M numbers, its codes, one of k in
each codebook:

    product     the columns are cut into M blocks; the code of a block names the nearest of its k
                centroids, found by k-means (Jegou et al. 2011)
    additive    all centroids have d columns; a point is the sum of one from each codebook, found by
                local search (Martinez et al. 2018)

The cell of a code are the points that carry it, so each codebook divides all points into k cells.

k-means needs points to a cell: faiss asks for 39, or the cells show the draw of the first centroids
rather than the cloud. So bits are, unless given, the most up to 8 for which n >= 39 * 2^bits, and at
least 1. A cell count goes with n, and values at different n are hard to compare: give bits for that.

The points are sorted, their columns begin at 0, and the greatest coordinate is 1 before faiss sees them
in float32. So order, translation and scale change nothing, but for ties that rounding decides; rotation
does, since a product quantizer cuts along the axes. (Not centered: where a cell stays empty, faiss halves
a full one by stretching its centroid, which does nothing to a centroid at 0.)
"""

from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._copies import distinct_rows
from conescope._optional import require
from conescope._types import Points
from conescope.measures.centering import in_double

Quantizer: TypeAlias = Literal["product", "additive"]

MOST_BITS = 8
POINTS_PER_CELL = 39  # what faiss asks of a training set
FEWEST_POINTS_PER_CELL = 2  # below that, k-means gives most points a cell of their own


class Quantization(NamedTuple):
    """Points, and what a quantizer made of them; without codebooks where nothing could be trained."""

    points: Float[Tensor, "n d"]  # float64, in a unit that may have been changed, as all that follows
    reconstruction: Float[Tensor, "n d"]  # float64; nan where there are no codebooks
    codes: Int64[Tensor, "n codebooks"]
    counts: Int64[Tensor, "codebooks k"]  # points in each cell; each row sums to n
    centroids: Float[
        Tensor, "codebooks k width"
    ]  # float64, from the least coordinates; zeros fill short blocks


def adapted_bits(n: int) -> int:
    """Return how many bits a code of n points has, unless it is given: 1 to 8."""
    return min(max((n // POINTS_PER_CELL).bit_length() - 1, 1), MOST_BITS)


def quantize(
    points: Points,
    *,
    quantizer: Quantizer = "product",
    codebooks: int = 4,
    bits: int | None = None,
    seed: int = 0,
) -> Quantization:
    """Return the points with their codes, cells and reconstruction. Nothing of it carries a gradient.

    faiss trains on the CPU: points on an accelerator are copied there, and the result is copied back.
    The same points, seed, faiss and number of threads give the same digits. With fewer than two points
    a cell, or no two points that differ, there is nothing to train and no codebook. The local search may
    give copies of one point different codes.

    Args:
        points: one point a row.
        quantizer: "additive" is what Marbut et al. (2024) report; it takes far longer.
        codebooks: a product quantizer has at most one for each column. Where they do not divide the
            columns evenly, zero columns fill the shorter blocks, which changes no distance.
        bits: of a code, 1 to 8 (the published number); None adapts it to n.
        seed: of the first centroids and of the local search.

    Raises:
        ValueError: if bits, codebooks or seed are out of range.
        ImportError: if faiss is missing.
    """
    _check_options(quantizer, codebooks, bits, seed)
    faiss = require("faiss", extra="measures")
    cloud = in_double(points).detach()
    n, d = cloud.shape
    bits = adapted_bits(n) if bits is None else bits
    blocks = min(codebooks, d) if quantizer == "product" else codebooks
    # The order of the rows decides which of them k-means begins with, so it must not be the user's.
    rows, position = distinct_rows(cloud.cpu())
    if n < FEWEST_POINTS_PER_CELL * 2**bits or len(rows) < 2:
        return _untrained(cloud, 1 << bits)
    order = position.argsort(stable=True)
    least = rows.amin(dim=0)
    unit = (rows - least).amax()
    columns = (cloud.cpu()[order] - least) / unit
    columns = _blocks(columns, blocks) if quantizer == "product" else columns
    array = columns.float().contiguous().numpy()
    if quantizer == "product":
        engine = faiss.ProductQuantizer(array.shape[1], blocks, bits)
        engine.cp.seed = seed
        engine.cp.min_points_per_centroid = 1  # no warning on stderr for what was asked for
    else:
        engine = faiss.LocalSearchQuantizer(d, blocks, bits)
        engine.random_seed = seed
        engine.nperts = min(engine.nperts, blocks)  # codes that a step of the search redraws
    engine.train(array)
    sorted_codes = faiss.unpack_bitstrings(engine.compute_codes(array), blocks, bits)
    codes = torch.empty(n, blocks, dtype=torch.int64)
    codes[order] = torch.from_numpy(sorted_codes).long()
    vectors = engine.centroids if quantizer == "product" else engine.codebooks
    centroids = torch.from_numpy(faiss.vector_to_array(vectors)).double().reshape(blocks, 1 << bits, -1)
    reconstruction = least + _decoded(codes, centroids * unit, d, quantizer)
    counts = torch.stack([code.bincount(minlength=1 << bits) for code in codes.T])
    parts = (part.to(cloud.device) for part in (reconstruction, codes, counts, centroids * unit))
    return Quantization(cloud, *parts)


def _check_options(quantizer: str, codebooks: int, bits: int | None, seed: int) -> None:
    if quantizer not in ("product", "additive"):
        raise ValueError(f'quantizer is "product" or "additive", got {quantizer!r}')
    if codebooks < 1:
        raise ValueError(f"codebooks are counted, at least 1, got {codebooks}")
    if bits is not None and not 1 <= bits <= MOST_BITS:
        raise ValueError(f"bits of a code lie between 1 and {MOST_BITS}, got {bits}; None adapts them to n")
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed lies between 0 and 2^31 - 1, got {seed}")


def _untrained(cloud: Points, cells: int) -> Quantization:
    none = torch.zeros(len(cloud), 0, dtype=torch.int64, device=cloud.device)
    return Quantization(
        points=cloud,
        reconstruction=torch.full_like(cloud, torch.nan),
        codes=none,
        counts=none.new_zeros(0, cells),
        centroids=cloud.new_zeros(0, cells, cloud.shape[1]),
    )


def _blocks(rows: Float[Tensor, "n d"], count: int) -> Float[Tensor, "n filled"]:
    """Return the columns in blocks of equal width, short ones filled with zeros."""
    width = -(-rows.shape[1] // count)
    parts = rows.tensor_split(count, dim=1)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts], dim=1)


def _decoded(
    codes: Int64[Tensor, "n codebooks"],
    centroids: Float[Tensor, "codebooks k width"],
    d: int,
    quantizer: Quantizer,
) -> Float[Tensor, "n d"]:
    """Return the centroids of each point, side by side without filling, or summed."""
    chosen = [book[code] for book, code in zip(centroids, codes.T, strict=True)]
    if quantizer == "additive":
        return torch.stack(chosen).sum(dim=0)
    widths = [len(block) for block in torch.arange(d).tensor_split(len(chosen))]
    return torch.cat([part[:, :width] for part, width in zip(chosen, widths, strict=True)], dim=1)
