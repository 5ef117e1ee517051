"""The sums of a layer -> its tables: tokens, rogue dimensions, frequency bins, with intervals over texts."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._intervals import student_quantile
from conescope.measures.cosine import mean_cosine_from_moments
from conescope.measures.rogue_dimensions import rogue_dimensions_from_moments
from conescope.measures.self_similarity import self_similarity_from_moments
from conescope.profile.explainable_variance import explainable_variance, grams, of_first_rows
from conescope.profile.token_plan import CONTEXTS, GROUPS, OCCURRENCES
from conescope.profile.token_sums import TokenSums
from conescope.results.profile import Rows
from conescope.scale.moments import ClassMoments, Moments

ROGUE = 3
FEW_TEXTS = 2 * GROUPS  # below that no interval
SCALARS = {  # and why it may be undefined
    "mean_cosine_random": "fewer than two texts have a token with a direction",
    "self_similarity": f"no type occurs in {CONTEXTS} texts",
    "self_similarity_adjusted": f"no type occurs in {CONTEXTS} texts",
    "intra_text_similarity": "no text has a token with a direction",
    "intra_text_similarity_adjusted": "fewer than two texts have a token with a direction",
    "explainable_variance": f"no type occurs in {CONTEXTS} texts",
    "explainable_variance_adjusted": f"no type occurs in {CONTEXTS} texts",
}
OF_BINS = {
    "mean_norm": "no token in the bin",
    "mean_cosine": "no two tokens of different texts with a direction",
    "relative_drift": "all tokens of the bin are zero",
    "self_similarity": f"no chosen type of the bin occurs in {CONTEXTS} texts",
    "cosine_to_mean": "the mean of the bin or of all tokens is zero",
}
NO_TOKENS = "the positions of this layer are not the tokens of the inputs"
NOT_COMMON = "the random tokens have no common direction to share"

Statistics = dict[str, Tensor]  # scalars and shares of dimensions one by one, and bins


def token_tables(sums: TokenSums, *, intervals: bool = True) -> tuple[Rows, ...]:
    """Return the tables of a layer: "tokens", "rogue_dimensions" and "frequency".

    Each has rows of a measure with its 95 % interval, by the jackknife that leaves out a tenth of the
    texts at a time. What is undefined is None, and a note says why; below 20 texts there is no interval.
    """
    if sums.positions_differ or not sums.tensors:
        rows = tuple((name, None, None, None, None, NO_TOKENS) for name in SCALARS)
        return (Rows(name="tokens", columns=TOKENS, rows=rows),)
    everything = torch.ones(GROUPS, dtype=torch.bool)
    varied = grams(sums.tensors["varied_points"].view(sums.plan.varied, OCCURRENCES, sums.d)).cpu()
    random = grams(sums.tensors["random_points"][None]).cpu()
    found = _statistics(sums, everything, varied, random)
    parts = []
    if intervals and len(sums.plan.draws) >= FEW_TEXTS:
        for group in range(GROUPS):
            kept = everything.clone()
            kept[group] = False
            parts.append(_statistics(sums, kept, varied, random))
    half = {name: _half_width([part[name] for part in parts]) for name in found}
    return (
        _token_table(sums, found, half),
        _rogue_table(found, half),
        _bin_table(sums, found, half),
    )


TOKENS = ("measure", "value", "low", "high", "count", "note")
ROGUES = ("dimension", "share", "low", "high", "note")
FREQUENCY = ("count_from", "count_to", "tokens", "types", "measure", "value", "low", "high", "note")


def _statistics(
    sums: TokenSums, kept: Bool[Tensor, " groups"], varied: Tensor, random: Tensor
) -> dict[str, Tensor]:
    """Return all values over the groups that are kept; nan for what is undefined."""
    given = sums.tensors
    index = kept.nonzero()[:, 0].to(given["random_units"].device)
    units, squares = (given[f"random_{name}"][index].sum(dim=0) for name in ("units", "squares"))
    count = int(given["random_count"][index].sum())
    moments = _of_directions(units, squares, count)
    baseline = mean_cosine_from_moments(moments) if count > 1 else units.new_tensor(math.nan)
    type_units = given["type_units"][:, index].sum(dim=1)
    type_count = given["type_count"][:, index].sum(dim=1)
    similar = _self_similarity(type_units, type_count)
    intra = given["text_similarity"][index].sum() / given["text_count"][index].sum()
    variance, more = _variances(sums, kept, varied, random)
    shares = rogue_dimensions_from_moments(moments, k=sums.d)
    found = {
        "mean_cosine_random": baseline,
        "self_similarity": similar,
        "self_similarity_adjusted": similar - baseline,
        "intra_text_similarity": intra,
        "intra_text_similarity_adjusted": intra - baseline,
        "explainable_variance": variance,
        "explainable_variance_adjusted": more,
        "order": shares.dimensions,
        "shares": torch.zeros_like(shares.shares).scatter(0, shares.dimensions, shares.shares),
    }
    found |= {f"bin_{name}": value for name, value in _of_bins(sums, index).items()}
    of_bin = sums.plan.bin_of[sums.plan.types]
    by_bin = [
        float(_self_similarity(type_units[of_bin == b], type_count[of_bin == b]))
        for b in range(len(sums.plan.bins))
    ]
    found["bin_self_similarity"] = torch.tensor(by_bin, dtype=torch.float64)
    return {name: value.cpu() for name, value in found.items()}


def _of_directions(units: Tensor, squares: Tensor, count: int) -> Moments:
    """Return moments that hold what directions alone tell."""
    nothing = torch.zeros_like(units)
    zero = units.new_zeros(())
    return Moments(
        n=count,
        d=len(units),
        mean=nothing,
        directions=count,
        direction_sum=units,
        norm_mean=zero,
        norm_scatter=zero,
        norm_range=(0.0, 0.0),
        resolution=0.0,
        direction_square_sum=squares,
    )


def _self_similarity(units: Float[Tensor, "types d"], counts: Tensor) -> Tensor:
    nothing = units.new_zeros(units.shape[1])
    classes = ClassMoments(counts, torch.zeros_like(units), counts, units)
    moments = _of_directions(nothing, nothing, int(counts.sum()))
    return self_similarity_from_moments(Moments(**{**vars(moments), "classes": classes}))


def _variances(
    sums: TokenSums, kept: Tensor, varied: Float[Tensor, "sets m m"], random: Float[Tensor, "1 m m"]
) -> tuple[Tensor, Tensor]:
    """Return the MEV of the types, and what it is more than that of as many random tokens."""
    group = sums.tensors["varied_group"].view(-1, OCCURRENCES).cpu()
    present = (group >= 0) & kept[group]
    sizes = present.sum(dim=1)
    enough = sizes > 1  # one occurrence explains itself
    of_types = explainable_variance(varied, present)[enough]
    group = sums.tensors["random_group"].cpu()
    of_random = of_first_rows(random, (group >= 0) & kept[group])
    if not len(of_types) or not len(of_random):
        return varied.new_tensor(math.nan), varied.new_tensor(math.nan)
    # Without a group a type may keep more occurrences than there are random tokens: it meets them all.
    expected = of_random[sizes[enough].clamp(max=len(of_random)) - 1]
    return of_types.nanmean(), (of_types - expected).nanmean()


def _of_bins(sums: TokenSums, index: Tensor) -> Statistics:
    names = ("points", "units", "norms", "tokens", "directions", "squares", "pairs")
    points, units, norms, tokens, directions, squares, pairs = (
        sums.tensors[f"bin_{name}"][:, index].sum(dim=1) for name in names
    )
    across = directions.square() - pairs  # ordered pairs of tokens in different texts
    cosine = (units.square().sum(dim=1) - squares) / across
    size, total = torch.linalg.vector_norm(points, dim=1), points.sum(dim=0)
    return {
        "mean_norm": norms / tokens,
        "mean_cosine": torch.where(across > 0, cosine, math.nan),
        "relative_drift": size / norms,
        "cosine_to_mean": points @ total / (size * torch.linalg.vector_norm(total)),
    }


def _half_width(parts: list[Tensor]) -> Tensor | None:
    """Return half the width of the intervals, from the values without each group; None without any."""
    if not parts:
        return None
    error = ((len(parts) - 1) * torch.stack(parts).double().var(dim=0, correction=0)).sqrt()
    return student_quantile(len(parts) - 1) * error


def _cells(value: Tensor, half: Tensor | None, why: str) -> tuple[float | str | None, ...]:
    """Return value, low, high and note."""
    number = float(value)
    if not math.isfinite(number):
        return None, None, None, why
    width = math.nan if half is None else float(half)
    if not math.isfinite(width):
        return number, None, None, None
    return number, number - width, number + width, None


def _token_table(sums: TokenSums, found: Statistics, half: dict[str, Tensor | None]) -> Rows:
    counts = {
        "mean": int(sums.tensors["random_count"].sum()),
        "self": len(sums.plan.types),
        "intra": int(sums.tensors["text_count"].sum()),
        "explainable": sums.plan.varied,
    }
    rows = []
    for name, why in SCALARS.items():
        value, low, high, note = _cells(found[name], half[name], why)
        rows.append((name, value, low, high, float(counts[name.split("_")[0]]), note))
    return Rows(name="tokens", columns=TOKENS, rows=tuple(rows))


def _rogue_table(found: Statistics, half: dict[str, Tensor | None]) -> Rows:
    widths = half["shares"]
    rows = tuple(
        (
            float(j),
            *_cells(found["shares"][j], None if widths is None else widths[j], NOT_COMMON),
        )
        for j in found["order"][:ROGUE].tolist()
    )
    return Rows(name="rogue_dimensions", columns=ROGUES, rows=rows)


def _bin_table(sums: TokenSums, found: Statistics, half: dict[str, Tensor | None]) -> Rows:
    return Rows(name="frequency", columns=FREQUENCY, rows=tuple(_bin_rows(sums, found, half)))


def _bin_rows(
    sums: TokenSums, found: Statistics, half: dict[str, Tensor | None]
) -> Iterator[tuple[str | float | None, ...]]:
    tokens = sums.tensors["bin_tokens"].sum(dim=1).tolist()
    for b, level in enumerate(sums.plan.bins.tolist()):
        head = (
            float(2**level),
            float(2 ** (level + 1) - 1),
            float(tokens[b]),
            float((sums.plan.bin_of == b).sum()),
        )
        for name, why in OF_BINS.items():
            widths = half[f"bin_{name}"]
            width = None if widths is None else widths[b]
            yield (*head, name, *_cells(found[f"bin_{name}"][b], width, why))
