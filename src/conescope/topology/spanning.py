"""Minimum spanning trees of many small graphs at once, by Boruvka's algorithm on dense matrices.

In every round each tree of the forest takes its shortest edge to another tree; ceil(log2 n) rounds
leave one tree. A round is a handful of tensor operations over all points of all clouds, with no loop
over points and no shape that depends on the data, so it can be compiled, and nothing waits for a GPU. On a
CPU, where a call takes longer than what it does to small clouds, NumPy does the same with a third of the
calls.

Equal lengths are ordered by the pair of points (smaller index first), which makes the order of edges
total: trees can then only choose each other in pairs, never around a cycle, and the result does not
depend on the device.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor


@torch.no_grad()
def minimum_spanning_edges(
    distances: Float[Tensor, "clouds n n"],
) -> Int64[Tensor, "clouds edges"]:
    """Return the n - 1 edges of each minimum spanning tree as numbers u * n + v with u < v, ascending.

    Any increasing function of the distance serves. The matrices must be exactly symmetric, and they are
    overwritten. Infinity means "no edge"; where a graph falls apart, n * n stands for each missing edge.
    """
    if distances.is_cpu and not torch.compiler.is_compiling():
        return torch.from_numpy(_by_numpy(distances.numpy()))
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


def _by_numpy(distances: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the same, with points of all clouds in one row, and rounds as long as trees merge."""
    clouds, n, _ = distances.shape
    none, count = n * n, clouds * max(n - 1, 0)
    if count == 0:
        return np.empty((clouds, max(n - 1, 0)), dtype=np.int64)
    point = np.arange(clouds * n)
    number = point % n  # within its cloud
    first = point - number  # of its cloud
    component, rows = point, distances.reshape(-1, n)
    keys = np.empty(0, dtype=np.int64)  # of the edges: ascending by cloud, then by pair
    while len(keys) < count:
        tree = (component % n).astype(np.int32).reshape(clouds, n)
        np.copyto(distances, np.inf, where=tree[:, :, None] == tree[:, None, :])
        other = rows.argmin(axis=1)  # the nearest point of another tree; the first one at ties
        length = rows[point, other]
        shortest = np.full_like(length, np.inf)
        with np.errstate(invalid="ignore"):  # NaN is no edge
            np.minimum.at(shortest, component, length)
        able = np.flatnonzero((length == shortest[component]) & (length < np.inf))
        if len(able) == 0:
            break
        pair = np.minimum(number[able], other[able]) * n + np.maximum(number[able], other[able])
        best = np.full_like(point, none)
        np.minimum.at(best, component[able], pair)

        here = np.flatnonzero(best < none)  # trees that take an edge
        edge = best[here]
        ends = component[first[here] + edge // n], component[first[here] + edge % n]
        parent = point.copy()
        parent[here] = np.where(ends[0] == here, ends[1], ends[0])
        root = (parent[parent[here]] == here) & (here < parent[here])  # two trees chose the same edge
        parent[here[root]] = here[root]
        keys = np.concatenate([keys, (first[here] * (n + 1) + edge)[~root]])
        while not np.array_equal(above := parent[parent], parent):
            parent = above
        component = parent[component]
    found = np.full((clouds, n - 1), none)
    keys.sort()
    cloud, edge = np.divmod(keys, n * (n + 1))
    found[cloud, np.arange(len(keys)) - np.searchsorted(cloud, cloud)] = edge
    return found
