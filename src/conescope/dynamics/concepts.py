"""The concept proxy: directions of non-negative parts of the inputs instead of principal directions.

Inputs have signs, so the factorization is the semi-non-negative one of Ding, Li and Jordan (2010):

    X ~ W A,    W >= 0,    A (2 k, d) of any sign,

rows of A are atoms, and an input is a sum of atoms, never a difference. The k atoms of the largest
sum_i W_ij^2 |a_j|^2, made orthonormal by QR, span the proxy. A is solved for, and W follows by their
multiplicative rule, from a seeded k-means++ start among the directions of the inputs. Only products of inputs
enter, so turning the inputs turns the atoms. Fel et al. (2023, CRAFT) factor activations that are not
negative into non-negative parts in the same spirit.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points
from conescope.dynamics.energy import check_rank
from conescope.dynamics.frames import generator_for
from conescope.dynamics.proxy import Proxy, Rank, automatic_rank, beside_tangent, principal
from conescope.scale.moments import moments

ROUNDS = 100
START = 0.2  # added to the memberships of the start, as Ding, Li and Jordan do
TINY = 1e-12


def concept_proxy(points: Points, rank: Rank = "auto", *, seed: int = 0) -> Proxy:
    """Return the proxy of k atoms of points; `following` are the principal directions of what they leave.

    The rank "auto" is that of `fit_proxy`. Directions that points lack are arbitrary.

    Raises:
        ValueError: for an explicit rank with 2 k > d, fewer points than 2 k, or points that all coincide.
    """
    found = moments(points)
    assert found.scatter is not None  # of order 2
    if not float(found.scatter.trace()) > 0:
        raise ValueError("inputs that all coincide have no directions; look at another module")
    k = automatic_rank(principal(found.scatter)[0]) if rank == "auto" else rank
    check_rank(k, found.d)
    if len(points) < 2 * k:
        raise ValueError(
            f"{2 * k} atoms need as many points, got {len(points)}; take rank <= {len(points) // 2}"
        )
    weights, parts = atoms(points, 2 * k, seed=seed)
    used = weights.square().sum(dim=0) * parts.square().sum(dim=1)
    tangent = torch.linalg.qr(parts[used.topk(k).indices].double().T).Q
    return beside_tangent(tangent, found)


def atoms(points: Points, count: int, *, seed: int = 0) -> tuple[Float[Tensor, "n m"], Float[Tensor, "m d"]]:
    """Return W >= 0 and A with X ~ W A, in float64 or the float32 of the points."""
    rows = points / points.norm(dim=1).square().mean().sqrt()
    weights = _start(torch.nn.functional.normalize(rows, dim=1), count, seed)
    parts = _solved(weights, rows)
    for _ in range(ROUNDS):
        along, among = rows @ parts.T, parts @ parts.T
        more = along.clamp(min=0) + weights @ (-among).clamp(min=0)
        less = (-along).clamp(min=0) + weights @ among.clamp(min=0)
        weights = weights * (more / (less + TINY)).sqrt()
        parts = _solved(weights, rows)
    return weights, parts * points.norm(dim=1).square().mean().sqrt()


def _solved(weights: Float[Tensor, "n m"], rows: Points) -> Float[Tensor, "m d"]:
    """Return the least squares solution A; atoms that no point uses are zero."""
    products = (weights.T @ weights).double()
    inverse = torch.linalg.pinv(products, hermitian=True, rtol=1e-10)
    found: Tensor = inverse.to(rows.dtype) @ (weights.T @ rows)
    return found


def _start(rows: Points, count: int, seed: int) -> Float[Tensor, "n m"]:
    """Return the membership in k-means++ seeds (Arthur and Vassilvitskii 2007), and a little of all."""
    draw = torch.rand(count, dtype=torch.float64, generator=generator_for(seed, torch.device("cpu"))).tolist()
    nearest = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=rows.device)
    members = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for number, where in enumerate(draw):
        heights = (torch.ones_like(nearest) if number == 0 else nearest).cumsum(dim=0)
        place = int(torch.searchsorted(heights, where * heights[-1])) if float(heights[-1]) > 0 else 0
        distances = (rows - rows[min(place, len(rows) - 1)]).square().sum(dim=1).double()
        members = torch.where(distances < nearest, number, members)
        nearest = torch.minimum(nearest, distances)
    return torch.nn.functional.one_hot(members, count).to(rows.dtype) + START
