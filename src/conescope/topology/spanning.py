"""Minimum spanning trees of many small graphs at once, by Boruvka's algorithm on dense matrices.

In every round each tree of the forest takes its shortest edge to another tree; ceil(log2 n) rounds
leave one tree. A round is a handful of tensor operations over all points of all clouds, with no loop
over points and no shape that depends on the data, so it runs the same on a CPU and a GPU.

Equal lengths are ordered by the pair of points (smaller index first), which makes the order of edges
total: trees can then only choose each other in pairs, never around a cycle, and the result does not
depend on the device.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@torch.no_grad()
def minimum_spanning_edges(
    distances: Float[Tensor, "clouds n n"],
) -> Int64[Tensor, "clouds edges"]:
    """Return the n - 1 edges of each minimum spanning tree as numbers u * n + v with u < v, ascending.

    Any increasing function of the distance serves. The matrices must be exactly symmetric, and they are
    overwritten. Infinity means "no edge"; where a graph falls apart, n * n stands for each missing edge.
    """
    clouds, n, _ = distances.shape
    none = n * n
    point = torch.arange(n, device=distances.device).expand(clouds, n)
    component = point.clone()
    chosen = [torch.full((clouds, max(n - 1, 0)), none, dtype=torch.int64, device=distances.device)]
    rounds = math.ceil(math.log2(n)) if n > 1 else 0
    for _ in range(rounds):
        distances.masked_fill_(component[:, :, None] == component[:, None, :], math.inf)
        length, other = distances.min(dim=2)  # to the nearest point of another tree; the first one at ties
        edge = torch.minimum(point, other) * n + torch.maximum(point, other)
        edge = edge.masked_fill(length == math.inf, none)

        shortest = torch.full_like(length, math.inf).scatter_reduce(1, component, length, "amin")
        edge = edge.masked_fill(length != shortest.gather(1, component), none)
        best = torch.full_like(edge, none).scatter_reduce(1, component, edge, "amin")  # one a tree
        waits = distances.device.type != "cpu" or torch.compiler.is_compiling()
        if not waits and (best == none).all():
            break  # finished early; elsewhere the question would cost a synchronization

        ends = best.clamp(max=none - 1)
        first, second = component.gather(1, ends // n), component.gather(1, ends % n)
        parent = torch.where(first == point, second, first)
        parent = torch.where(best == none, point, parent)
        root = (parent.gather(1, parent) == point) & (point < parent)  # two trees chose the same edge
        chosen.append(best.masked_fill(root, none))
        parent = torch.where(root, point, parent)
        for _ in range(rounds):
            parent = parent.gather(1, parent)
        component = parent.gather(1, component)
    found = torch.cat(chosen, dim=1).sort(dim=1).values
    return found[:, : max(n - 1, 0)]
