"""Which bars of a barcode are features, and which are noise?

Atienza, Gonzalez-Diaz and Rucco separate them by entropy. Order the bars x_1, ..., x_n, let
R_i = (x_{i+1}, ..., x_n) be the tail after i bars, with sum P_i and entropy h_i. Replacing the first i
bars by the value that maximizes the entropy, P_i / e^{h_i}, takes their influence away; the list then
has the total

    S_i = P_i (1 + i e^{-h_i})    and the entropy    ln(i + e^{h_i}).

`recursive`, `single_pass` and `shifted` follow the version for Vietoris-Rips filtrations
(arXiv:1701.07857). The longest bar T goes to the end of the otherwise descending list and is always
kept; the shortest, r, is the reference for noise. With alpha = r / T, the entropy of a barcode of n
bars of only these two lengths is least when the number of long ones is

    Q = alpha n (alpha - 1 - ln alpha) / (alpha - 1)^2,

the number of dominant bars to expect. It follows from the barcode and is not a threshold to set. Let i
be the first of 1 .. n - 3 with S_{i-1} < S_i, or n - 3 if there is none.

    recursive     while ceil(Q) < i: keep x_1 .. x_i, r and T as the new list and repeat.
                  Features are T and x_1 .. x_i: the rule of the code published with "Shrink the
                  longest" (arXiv:2501.05502). It keeps very few bars.
    single_pass   T and x_1 .. x_i of the first pass.
    shifted       as recursive, with one bar fewer (T and x_1 .. x_{i-1}): the other reading of the
                  paper, which leaves open whether the bar at which the test fails is a feature.

`relative_entropy` follows the version of 2016 (arXiv:1605.02885): all bars descending, bar i is a
feature as long as (ln(i + e^{h_i}) - ln(i - 1 + e^{h_{i-1}})) / (ln n - E) > i / n, up to the first failure.

Decided here, where the published code stops with an error or returns NaN:

    no bar of positive length    nothing is kept
    bars of length zero          never kept, and not counted in n (coincident points say nothing about noise)
    three bars or fewer          all are kept: there is no bar left to compare with
    all bars equal               all are kept: none stands out (alpha = 1, where Q is 0 / 0)
"""

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from conescope._check import check_lengths
from conescope._types import Lengths, Mask
from conescope.topology.compiled import compiled_in_training
from conescope.topology.recursion import NEAR, TOLERANCE, kept_by_alpha

Rule: TypeAlias = Literal["recursive", "single_pass", "shifted", "relative_entropy"]
RULES: tuple[str, ...] = get_args(Rule)

LISTS_AT_ONCE = 256  # bounds the memory: this many lists times the number of bars
LONG = 1024  # bars from which on the recursion is followed step by step, which costs synchronizations


def select_bars(lengths: Lengths, rule: Rule | None = "recursive") -> Mask:
    """Return which bars are features: a boolean mask in the order of the input.

    Among equal bars the first ones are kept. `rule=None` keeps every bar of positive length. With a batch
    axis each row is a barcode of its own. Selection has no gradient and does not depend on the unit.

    Raises:
        ValueError: if the rule is unknown, or a length is negative, infinite or NaN.

    >>> select_bars(torch.tensor([1.0, 10.0, 9.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    tensor([False,  True,  True, False, False, False, False, False, False, False])
    """
    check_rule(rule)
    check_lengths(lengths)
    return features(lengths, rule)


def check_rule(rule: str | None) -> None:
    """Raise ValueError unless the rule has a name in RULES or is None."""
    if rule is not None and rule not in RULES:
        raise ValueError(f"selection must be one of {', '.join(RULES)} or None for all bars, got {rule!r}")


@torch.no_grad()
def features(lengths: Lengths, rule: Rule | None, most: int | None = None) -> Mask:
    """Return `select_bars` without looking at the contents: for inner loops. A NaN keeps what it may.

    Of bars with a gradient, as in training, a compiled loop selects, if there is one and it knows the rule.

    Args:
        lengths: of one barcode, or one a row.
        rule: as in `select_bars`.
        most: bars of positive length that all rows have together, if that is far fewer than they have places.
    """
    positive = lengths > 0
    if rule is None or lengths.shape[-1] <= 3:
        return positive
    if rule != "relative_entropy" and (loop := compiled_in_training(kept_by_alpha, lengths)) is not None:
        rows = lengths.detach().reshape(-1, lengths.shape[-1]).double().numpy()
        found = loop(rows, rule == "single_pass", int(rule == "shifted"))
        return torch.from_numpy(found).reshape(positive.shape)
    bars = lengths.reshape(-1, lengths.shape[-1]).double()
    bars, order = bars.sort(dim=-1, descending=True, stable=True)
    count = (bars > 0).sum(dim=-1)
    bars = bars / bars[:, :1].clamp(min=torch.finfo(torch.float64).tiny)  # unit: the longest bar
    kept = (
        _kept_by_relative_entropy(bars, count)
        if rule == "relative_entropy"
        else _kept_by_alpha(bars, count, rule, most)
    )
    shortest = bars.gather(1, (count - 1).clamp(min=0)[:, None])[:, 0]
    kept = torch.where((count <= 3) | (shortest >= 1 - TOLERANCE), count, kept)
    rank = torch.arange(lengths.shape[-1], device=lengths.device)
    return (
        torch.zeros_like(positive.reshape(bars.shape))
        .scatter(1, order, rank < kept[:, None])
        .reshape(positive.shape)
    )


def _kept_by_alpha(bars: Tensor, count: Tensor, rule: Rule, most: int | None) -> Tensor:
    """Return how many of the longest bars to keep, one number a row; rows are descending, longest 1.

    A list of the recursion is given by k alone, the number of bars x_1 .. x_k before r and T. So the
    rule becomes a table, k -> i or "stop here", and the recursion follows the table's pointers: no loop
    whose length depends on the data. The table of many bars would be large, and most of it is never read.
    """
    shortest = bars.gather(1, (count - 1).clamp(min=0)[:, None])
    falls = _Falls(bars[:, 1:], shortest)
    start = (count - 2).clamp(min=0)[:, None]
    if rule == "single_pass":
        return 1 + falls.first(start)[:, 0]
    share = _expected_share(shortest)
    if bars.shape[1] > LONG:  # few of the lists are met on the way
        k = start
        while not torch.equal(following := _following(falls.first(k), k, share), k):
            k = following
        i = falls.first(k)[:, 0]
    else:
        every = torch.arange(bars.shape[1], device=bars.device).expand(len(bars), -1)
        if most is None:
            first = torch.cat([falls.first(k) for k in torch.split(every, LISTS_AT_ONCE, dim=1)], dim=1)
        else:
            first = _first_of_few(bars, shortest, most)
        following = _following(first, every, share)
        for _ in range(first.shape[1].bit_length()):
            following = following.gather(1, following)
        i = first.gather(1, following.gather(1, start))[:, 0]
    return 1 + i if rule == "recursive" else i


def _first_of_few(bars: Tensor, shortest: Tensor, most: int) -> Tensor:
    """Return the table of `_Falls.first`, filled in only where a list may be: as many as there are bars."""
    width = bars.shape[1]
    places = (bars > 0).flatten().to(torch.int8).argsort(descending=True, stable=True)[:most]
    first = []
    for some in torch.split(places, LISTS_AT_ONCE):
        row = some // width
        first.append(_Falls(bars[row, 1:], shortest[row]).first((some % width)[:, None])[:, 0])
    found = torch.zeros_like(bars, dtype=torch.int64).flatten()
    return found.scatter(0, places, torch.cat(first)).reshape(bars.shape)


def _following(first: Tensor, k: Tensor, share: Tensor) -> Tensor:
    """Return which list comes after list k: itself where the recursion stops."""
    return torch.where(torch.ceil(share * (k + 2)) >= first, k, first)


class _Falls:
    """Where the totals of lists x_1 .. x_k, r, T first fall.

    `ordered` holds x_1, x_2, ... of each row, with r and the zeros at the end; T is 1.
    """

    def __init__(self, ordered: Tensor, shortest: Tensor) -> None:
        self.shortest, self.shortest_log = shortest, torch.special.xlogy(shortest, shortest)
        self.index = torch.arange(ordered.shape[1] + 1, device=ordered.device)
        self.sums = torch.nn.functional.pad(ordered.cumsum(dim=1), (1, 0))
        self.logs = torch.nn.functional.pad(torch.special.xlogy(ordered, ordered).cumsum(dim=1), (1, 0))

    def first(self, k: Tensor) -> Tensor:
        """Return i, at least 1, for lists k of shape (rows, lists)."""
        # P_i and sum x ln x over each tail (x_{i+1} .. x_k, r, T); T = 1 adds nothing to the latter
        tail = self.sums.gather(1, k)[:, :, None] - self.sums[:, None, :] + (self.shortest + 1)[:, :, None]
        tail_log = self.logs.gather(1, k)[:, :, None] - self.logs[:, None, :] + self.shortest_log[:, :, None]
        totals = tail + self.index * torch.exp(tail_log / tail)  # S_i, as e^{-h} = e^{sum x ln x / P} / P
        falls = totals[..., :-1] < totals[..., 1:] * (1 - TOLERANCE)
        falls &= self.index[1:] < k[..., None]
        return torch.where(falls.any(dim=-1), falls.int().argmax(dim=-1) + 1, k - 1).clamp(min=1)


def _expected_share(alpha: Tensor) -> Tensor:
    """Return Q / n for the ratio of the shortest to the longest bar; 1/2 in the limit alpha = 1."""
    gap = alpha - 1
    near = alpha * (
        0.5 - gap / 3 + gap.square() / 4 - gap**3 / 5
    )  # the series of (gap - ln(1 + gap)) / gap^2
    far = alpha * (gap - torch.log(alpha)) / gap.square()
    return torch.where(gap.abs() < NEAR, near, far)


def _kept_by_relative_entropy(bars: Tensor, count: Tensor) -> Tensor:
    """Return how many of the longest bars to keep under the rule of 2016; rows are descending."""
    width = bars.shape[1]
    index = torch.arange(width + 1, device=bars.device)
    mass = torch.cat([bars.flip(1).cumsum(1).flip(1), bars.new_zeros(len(bars), 1)], dim=1)
    logs = torch.special.xlogy(bars, bars).flip(1).cumsum(1).flip(1)
    logs = torch.cat([logs, bars.new_zeros(len(bars), 1)], dim=1)
    tail = mass * torch.exp(-logs / torch.where(mass > 0, mass, 1))  # e^{h_i}, and 0 for the empty tail
    entropy = torch.log(index + tail)
    number = count[:, None].clamp(min=1)
    gain = torch.diff(entropy, dim=1)
    room = torch.log(number.double()) - entropy[:, :1]
    passes = (gain > room * index[1:] / number) & (index[1:] <= number)
    return passes.long().cumprod(dim=1).sum(dim=1)
