"""Bottom-k samples: uniform, and the same however the points are cut, ordered and read."""

import hashlib
import struct
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from conescope.scale.sample import FINGERPRINT_ROWS, bound, draw, fingerprint, merge

WORD = 2**64 - 1


def finalizer(z):
    """What splitmix64 does to its state to make an output, in whole numbers (Steele, Lea, Flood 2014)."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return z ^ (z >> 31)


def splitmix64(seed, count):
    return [finalizer(seed + (i + 1) * 0x9E3779B97F4A7C15 & WORD) for i in range(count)]


def keys_by_hand(count, seed, shard):
    (hashed,) = splitmix64(seed % 2**64, 1)
    (start,) = splitmix64(hashed ^ shard % 2**64, 1)
    return splitmix64(start, count)


def numbered(n, d=3, dtype=torch.float32, first=0):
    """Points that tell which row they are."""
    return torch.arange(first, first + n, dtype=torch.float64)[:, None].expand(n, d).to(dtype).contiguous()


def same(one, other):
    return (
        (one.capacity, one.seed) == (other.capacity, other.seed)
        and one.points.dtype == other.points.dtype
        and torch.equal(one.points, other.points)
        and np.array_equal(one.keys, other.keys)
        and torch.equal(one.rows, other.rows)
        and (one.labels is None) == (other.labels is None)
        and (one.labels is None or torch.equal(one.labels, other.labels))
    )


# keys


def test_reference_gives_the_published_outputs_of_splitmix64():
    # the C of its authors, https://prng.di.unimi.it/splitmix64.c, with these states
    assert splitmix64(0, 3) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert splitmix64(1234567, 5) == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 + 5])
@pytest.mark.parametrize("shard", [0, 7, 2**64 - 1])
def test_keys_are_outputs_of_splitmix64_and_the_smallest_are_taken(seed, shard):
    keys = keys_by_hand(50, seed, shard)
    found = draw(numbered(50), capacity=12, seed=seed, shard=shard)
    assert found.keys.tolist() == sorted(keys)[:12]
    assert found.rows.tolist() == sorted(range(50), key=keys.__getitem__)[:12]
    assert found.points[:, 0].tolist() == found.rows.tolist()


def test_rows_are_counted_from_first():
    keys = keys_by_hand(100_020, 3, 4)[100_000:]
    found = draw(numbered(20), capacity=20, seed=3, shard=4, first=100_000)
    assert found.keys.tolist() == sorted(keys)
    assert (found.rows - 100_000).tolist() == found.points[:, 0].tolist()


def test_seed_and_shard_are_not_interchangeable():
    drawn = [draw(numbered(100), capacity=100, seed=a, shard=b).keys for a, b in [(1, 2), (2, 1), (1, 1)]]
    for one in range(3):
        for other in range(one):
            assert not np.intersect1d(drawn[one], drawn[other]).size


# uniformity


def test_every_row_and_every_pair_of_rows_is_as_likely_as_any_other():
    n, k, seeds = 30, 10, 1200
    taken = np.zeros((seeds, n))
    for seed in range(seeds):
        one = draw(numbered(n - 12), capacity=k, seed=seed, shard=11)  # rows 0 to 17 in one shard
        other = draw(numbered(12, first=n - 12), capacity=k, seed=seed, shard=22)
        taken[seed, merge(one, other).points[:, 0].long()] = 1
    assert (taken.sum(axis=1) == k).all()
    expected = seeds * k / n
    counts = taken.sum(axis=0)
    # without replacement the counts of one draw are correlated, and (n - 1) / n / (1 - k / n) of the usual
    # statistic has the law of chi-square with n - 1 degrees of freedom
    statistic = ((counts - expected) ** 2).sum() / expected * (n - 1) / (n - k)
    assert 1e-3 < chi2.sf(statistic, n - 1) < 0.999
    share = k * (k - 1) / (n * (n - 1))
    pairs = (taken.T @ taken)[np.triu_indices(n, 1)]
    z = (pairs - seeds * share) / (seeds * share * (1 - share)) ** 0.5
    assert np.abs(z).max() < 4.5  # of 435 normal variables, the largest is about 3
    assert 0.8 < z.std() < 1.2


def test_samples_of_different_seeds_overlap_as_independent_ones_do():
    n, k, pairs = 2000, 400, 60
    drawn = [set(draw(numbered(n, 1), capacity=k, seed=seed, shard=5).rows.tolist()) for seed in range(pairs)]
    overlap = np.mean([len(one & other) for one, other in pairwise(drawn)])
    deviation = (k * (k / n) * (1 - k / n) * (n - k) / (n - 1)) ** 0.5  # of a hypergeometric variable
    assert abs(overlap - k * k / n) < 4 * deviation / (pairs - 1) ** 0.5


# any cut, any order


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 60),
    capacity=st.integers(2, 70),
    seed=st.integers(-(2**63), 2**63),
    labeled=st.booleans(),
    bounded=st.booleans(),
    data=st.data(),
)
def test_any_blocks_merged_in_any_order_are_the_one_draw(n, capacity, seed, labeled, bounded, data):
    points = numbered(n)
    labels = torch.arange(n) * 7 % 5 if labeled else None
    how = {"capacity": capacity, "seed": seed, "shard": 9}
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, n), max_size=6))), n]
    blocks = [(a, b) for a, b in pairwise(edges) if b > a]
    parts = []
    below = None
    for a, b in data.draw(st.permutations(blocks)):
        some = None if labels is None else labels[a:b]
        parts.append(draw(points[a:b], some, first=a, below=below, **how))
        below = bound(parts) if bounded else None
    while len(parts) > 1:
        count = data.draw(st.integers(2, len(parts)))
        chosen = data.draw(st.permutations(range(len(parts))))[:count]
        merged = merge(*(parts[at] for at in chosen))
        parts = [part for at, part in enumerate(parts) if at not in chosen] + [merged]
    whole = draw(points, labels, **how)
    assert len(whole) == min(n, capacity)
    assert same(parts[0], whole)
    assert whole.points[:, 0].tolist() == whole.rows.tolist()
    if labels is not None:
        assert torch.equal(whole.labels, whole.rows * 7 % 5)


def test_capacity_beyond_the_points_takes_all():
    found = draw(numbered(7), capacity=2**62)
    assert sorted(found.rows.tolist()) == list(range(7))
    assert bound([found]) is None


def test_what_is_left_out_could_not_have_entered():
    points, how = numbered(200), {"capacity": 8, "seed": 1, "shard": 2}
    keys = np.array(keys_by_hand(200, 1, 2), dtype=np.uint64)
    full = draw(points[:50], **how)
    limit = bound([full])
    assert limit == np.sort(keys[:50])[7]
    rest = draw(points[50:], first=50, below=limit, **how)
    entering = 50 + np.flatnonzero(keys[50:] < limit)
    assert 0 < len(entering) <= 8
    assert set(rest.rows.tolist()) == set(entering.tolist())
    assert same(merge(full, rest), draw(points, **how))


def test_bound_is_the_largest_key_of_the_merged_sample():
    parts = [draw(numbered(9), capacity=20, shard=shard) for shard in range(4)]
    assert bound([]) is None
    assert bound(parts[:2]) is None
    assert bound(parts[:3]) == merge(*parts[:3]).keys[-1]
    assert bound(parts) == merge(*parts).keys[-1]


# shards that begin alike have the same keys


def twins():
    """Three shards with the same first rows, so the same fingerprint, and others after them."""
    head = numbered(FINGERPRINT_ROWS)
    shards = [torch.cat([head, numbered(40, first=1000 * i)]) for i in (1, 2, 3)]
    assert len({fingerprint(shard) for shard in shards}) == 1
    return shards


@pytest.mark.parametrize(
    "cut", ["whole keys", "among equal points", "among other points", "at the bound", "all"]
)
@pytest.mark.parametrize("bounded", [False, True])
def test_equal_keys_do_not_make_the_order_matter(cut, bounded):
    shards = twins()
    mark = fingerprint(shards[0])
    # each row is three times in the union, in the order of its key; and the second one is unlike in all three
    ranked = (np.argsort(keys_by_hand(len(shards[0]), seed, mark)).tolist() for seed in range(100))
    seed, rows = next((seed, rows) for seed, rows in enumerate(ranked) if rows[1] >= FINGERPRINT_ROWS)
    alike = next(at for at, row in enumerate(rows) if row < FINGERPRINT_ROWS and at > 3)
    unlike = next(at for at, row in enumerate(rows) if row >= FINGERPRINT_ROWS and at > 3)
    capacity = {
        "whole keys": 3 * unlike,
        "among equal points": 3 * alike + 1,
        "among other points": 3 * unlike + 1,
        "at the bound": 3 + 1,  # the first two shards give each of two keys twice, so that it is full
        "all": 400,
    }[cut]
    results = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        found = None
        for at in order:
            below = bound([found]) if bounded and found is not None else None
            part = draw(shards[at], capacity=capacity, seed=seed, shard=mark, below=below)
            found = part if found is None else merge(found, part)
        results.append(found)
    count = min(capacity, 3 * len(rows))
    assert results[0].rows.tolist() == [row for row in rows for _ in shards][:count]
    for other in results[1:]:
        assert same(results[0], other)


# fingerprints


def test_fingerprint_by_definition():
    points = numbered(2, 2) + 0.5
    content = hashlib.blake2b(struct.pack("<4d", 0.5, 0.5, 1.5, 1.5), digest_size=8).digest()
    assert fingerprint(points) == struct.unpack("<Q", content)[0]


def test_fingerprint_is_of_the_first_values_only():
    points = torch.randn(80, 5, generator=torch.Generator().manual_seed(0)).half()
    mark = fingerprint(points)
    assert mark == fingerprint(points.float()) == fingerprint(points.double())
    assert mark == fingerprint(points.T.contiguous().T) == fingerprint(points[:FINGERPRINT_ROWS])
    later, last, swapped = points.clone(), points.clone(), points.clone()
    later[FINGERPRINT_ROWS] += 1
    last[FINGERPRINT_ROWS - 1, 4] += 1
    swapped[[0, 1]] = points[[1, 0]]
    assert fingerprint(later) == mark
    assert len({mark, fingerprint(last), fingerprint(swapped), fingerprint(points[:63])}) == 4


# what a sample holds


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_points_are_kept_as_they_are_stored(dtype):
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = merge(draw(points[:20], capacity=9), draw(points[20:], capacity=9, first=20))
    assert found.points.dtype == dtype
    assert torch.equal(found.points, points[found.rows])


@pytest.mark.parametrize(
    ("one", "other", "wide"),
    [
        (torch.float16, torch.float32, torch.float32),
        (torch.float64, torch.float32, torch.float64),
        (torch.float16, torch.bfloat16, torch.float32),
    ],
)
def test_types_widen_to_one_that_holds_both(one, other, wide):
    first = draw(numbered(5, dtype=one), capacity=10)
    second = draw(numbered(5, dtype=other, first=5), capacity=10, first=5)
    found = merge(first, second)
    assert found.points.dtype == wide
    assert found.points[:, 0].tolist() == found.rows.tolist()
    assert same(found, merge(second, first))


def test_a_sample_is_a_copy():
    points, labels = numbered(10), torch.arange(10)
    found = draw(points, labels, capacity=10)
    before = found.points.clone(), found.labels.clone()
    points.zero_()
    labels.zero_()
    assert torch.equal(found.points, before[0])
    assert torch.equal(found.labels, before[1])


def test_gradients_are_cut():
    assert not draw(numbered(4).requires_grad_(), capacity=3).points.requires_grad


# refusals


def test_small_capacity_is_refused():
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        draw(numbered(5), capacity=1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: draw(numbered(5), capacity=4), "capacity 3, seed 0, d = 3 and capacity 4, seed 0, d = 3"),
        (lambda: draw(numbered(5), capacity=3, seed=1), "seed 0, d = 3 and capacity 3, seed 1, d = 3"),
        (lambda: draw(numbered(5, d=2), capacity=3), "seed 0, d = 3 and capacity 3, seed 0, d = 2"),
        (lambda: draw(numbered(5), torch.arange(5), capacity=3), "with and without labels"),
    ],
)
def test_samples_that_were_drawn_differently_are_refused(other, message):
    one = draw(numbered(5), capacity=3)
    for parts in ((one, other()), (one, one, other())):
        with pytest.raises(ValueError, match=message):
            merge(*parts)
