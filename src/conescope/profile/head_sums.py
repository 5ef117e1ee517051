"""What is summed over tokens for each attention head, and the numbers that follow from the sums."""

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from conescope._intervals import student_quantile
from conescope.capture.heads import Heads
from conescope.profile.sharpness import Sharpness, standard_error
from conescope.results import MeasuredValue
from conescope.scale.sample import Sample, bound, draw, merge

GROUPS = 10  # of inputs, for the jackknife
PAIRS = 512  # of a query and a key of different inputs
UNDEFINED = {
    "entropy": "no query that counts may attend to two keys or more",
    "maximum": "no query that counts may attend to two keys or more",
    "special_weight": "no token is known to be special",
    "sampled_product": "fewer than two inputs have tokens",
    "sampled_error": "fewer than two pairs of tokens from different inputs",
}
ZERO = "a mean or all vectors are zero"


@dataclass(frozen=True)
class Sums:
    """Sums in double precision over the tokens of each group of inputs. Key heads are fewer where shared."""

    query: Float[Tensor, "groups heads d"]
    query_norm: Float[Tensor, "groups heads"]
    queries: Float[Tensor, " groups"]
    key: Float[Tensor, "groups key_heads d"]
    key_norm: Float[Tensor, "groups key_heads"]
    keys: Float[Tensor, " groups"]
    entropy: Float[Tensor, "groups heads"]
    maximum: Float[Tensor, "groups heads"]
    special: Float[Tensor, "groups heads"]
    attending: Float[Tensor, " groups"]

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def without(self, group: int | None) -> "Sums":
        """Return the sums over all groups, or over all but one, as one group."""
        kept = [number for number in range(len(self.queries)) if number != group]
        return Sums(*(getattr(self, one.name)[kept].sum(dim=0, keepdim=True) for one in fields(self)))


@dataclass
class Gathered:
    """What is kept of one run of an attention module, as batches come."""

    module: str
    turn: int
    cross: bool
    sums: Sums
    samples: dict[Literal["query", "key"], Sample]
    rows: dict[Literal["query", "key"], int]


def summed(
    shown: Heads,
    query_kept: Bool[Tensor, "rows queries"],
    key_kept: Bool[Tensor, "rows keys"],
    sharp: Sharpness,
    groups: Int64[Tensor, " rows"],
) -> Sums:
    """Return the sums of a batch, whose rows belong to groups of inputs."""

    def by_group(each: Tensor) -> Tensor:
        each = each.double().cpu()
        return torch.zeros(GROUPS, *each.shape[1:], dtype=torch.float64).index_add_(0, groups.cpu(), each)

    def of(vectors: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors = torch.where(kept[..., None, None], vectors.double(), 0.0)
        return (
            by_group(vectors.sum(dim=1)),
            by_group(vectors.norm(dim=3).sum(dim=1)),
            by_group(kept.sum(dim=1)),
        )

    return Sums(
        *of(shown.queries, query_kept),
        *of(shown.keys, key_kept),
        by_group(sharp.entropy),
        by_group(sharp.maximum),
        by_group(sharp.special),
        by_group(sharp.queries),
    )


def sampled(
    known: Sample | None,
    vectors: Float[Tensor, "rows tokens heads d"],
    kept: Bool[Tensor, "rows tokens"],
    owners: Int64[Tensor, " rows"],
    *,
    seed: int,
    first: int,
) -> Sample:
    """Return a uniform sample of the tokens so far, with the number of the input of each."""
    whose = owners.repeat_interleave(kept.sum(dim=1).cpu())
    points = vectors[kept].flatten(1).float().cpu()
    below = None if known is None else bound([known])
    fresh = draw(points, whose, capacity=PAIRS, seed=seed, first=first, below=below)
    return fresh if known is None else merge(known, fresh)


def numbers(sums: Sums, *, special: bool) -> dict[str, Float[Tensor, " heads"]]:
    """Return the numbers of each head from sums of one group; NaN where they are undefined."""
    heads = sums.query.shape[1]
    shared = torch.arange(heads) // (heads // sums.key.shape[1])
    query, key = sums.query[0] / sums.queries, sums.key[0, shared] / sums.keys
    query_norm, key_norm = query.norm(dim=1), key.norm(dim=1)
    product = (query * key).sum(dim=1)
    return {
        "query_norm": query_norm,
        "key_norm": key_norm,
        "query_drift": query_norm / (sums.query_norm[0] / sums.queries),
        "key_drift": key_norm / (sums.key_norm[0, shared] / sums.keys),
        "cosine": product / (query_norm * key_norm),
        "product": product,
        "entropy": sums.entropy[0] / sums.attending,
        "maximum": sums.maximum[0] / sums.attending,
        "special_weight": sums.special[0] / sums.attending if special else torch.full((heads,), math.nan),
    }


def sampled_products(
    queries: Sample, keys: Sample, heads: int, *, seed: int
) -> tuple[Float[Tensor, " heads"], Float[Tensor, " heads"], int]:
    """Return the mean of q.k over pairs of tokens of different inputs, its standard error, and the pairs.

    Queries and keys are drawn apart, and each is in one pair, so that pairs are independent draws.
    """
    count = min(len(queries), len(keys))
    generator = np.random.default_rng(seed)
    one, other = (
        torch.from_numpy(generator.permutation(len(sample))[:count].copy()) for sample in (queries, keys)
    )
    assert queries.labels is not None
    assert keys.labels is not None
    apart = queries.labels[one] != keys.labels[other]
    q, k = queries.points[one[apart]].double(), keys.points[other[apart]].double()
    pairs = len(q)
    size = q.shape[1] // heads  # of a head
    q, k = q.reshape(pairs, heads, size), k.reshape(pairs, k.shape[1] // size, size)
    products = (q * k.repeat_interleave(heads // k.shape[1], dim=1)).sum(dim=2)
    if pairs == 0:
        return torch.full((heads,), math.nan), torch.full((heads,), math.nan), 0
    return products.mean(dim=0), standard_error(products), pairs


def measured_heads(
    found: Gathered, *, special: bool, intervals: bool, seed: int
) -> list[list[MeasuredValue]]:
    """Return the numbers of each head, with delete-a-group jackknife intervals over inputs."""
    values = numbers(found.sums.without(None), special=special)
    ends: dict[str, tuple[Tensor, Tensor]] = {}
    if intervals:
        parts = [numbers(found.sums.without(group), special=special) for group in range(GROUPS)]
        for name, value in values.items():
            spread = torch.stack([part[name] for part in parts]).var(dim=0, correction=0)
            half = student_quantile(GROUPS - 1) * (spread * (GROUPS - 1)).sqrt()
            ends[name] = value - half, value + half
    heads = len(values["product"])
    mean, error, pairs = sampled_products(found.samples["query"], found.samples["key"], heads, seed=seed)
    if pairs > 1:
        half = student_quantile(pairs - 1) * error
        ends["sampled_product"] = mean - half, mean + half
    values |= {"sampled_product": mean, "sampled_error": error}
    return [
        [_measured(name, value[head], ends.get(name), head) for name, value in values.items()]
        for head in range(heads)
    ]


def _measured(name: str, value: Tensor, ends: tuple[Tensor, Tensor] | None, head: int) -> MeasuredValue:
    if not torch.isfinite(value):
        return MeasuredValue(name=name, value=None, note=UNDEFINED.get(name, ZERO))
    low, high = (math.nan, math.nan) if ends is None else (float(end[head]) for end in ends)
    known = math.isfinite(low) and math.isfinite(high)
    return MeasuredValue(
        name=name, value=float(value), low=low if known else None, high=high if known else None
    )
