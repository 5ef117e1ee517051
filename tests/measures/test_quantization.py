import sys

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures.quantization import adapted_bits, quantize
from tests.reference import point_patchiness as reference

QUANTIZERS = pytest.mark.parametrize("quantizer", ["product", "additive"])


def cloud(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_two_heaps_by_hand():
    points = torch.tensor([[1.0], [-1.1], [1.2], [-1.0], [-1.2], [1.1]], dtype=torch.float64)
    found = quantize(points)
    assert found.counts.tolist() == [[3, 3]]
    assert (found.codes[:, 0] == found.codes[0, 0]).tolist() == [True, False, True, False, False, True]
    from_least = torch.tensor([-1.1, 1.1]).double() + 1.2
    torch.testing.assert_close(found.centroids.flatten().sort().values, from_least, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.reconstruction, points.sign() * 1.1, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    # the largest power of two with 39 n per cell: 78 = 39 * 2, 155 < 39 * 4, 9984 = 39 * 256
    ("n", "bits"),
    [(0, 1), (4, 1), (78, 1), (155, 1), (156, 2), (4096, 6), (9983, 7), (9984, 8), (10**9, 8)],
)
def test_bits_adapt_to_the_number_of_points(n, bits):
    assert adapted_bits(n) == bits


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(8, 60),
    d=st.integers(1, 9),
    bits=st.integers(1, 2),
    codebooks=st.integers(1, 5),
    quantizer=st.sampled_from(["product", "additive"]),
    seed=st.integers(0, 2**31 - 1),
)
def test_parts_fit_together(n, d, bits, codebooks, quantizer, seed):
    points = cloud(n, d, seed) + 3
    found = quantize(points, quantizer=quantizer, codebooks=codebooks, bits=bits, seed=seed)
    codes, centroids, least = found.codes.numpy(), found.centroids.numpy(), points.numpy().min(axis=0)
    assert len(found.counts) == (min(codebooks, d) if quantizer == "product" else codebooks)
    assert found.counts.tolist() == reference.counts(codes, 2**bits)
    assert found.counts.sum(dim=1).tolist() == [n] * len(found.counts)
    expected = reference.reconstruction(codes, centroids, least, quantizer)
    np.testing.assert_allclose(found.reconstruction.numpy(), expected, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(8, 60), d=st.integers(4, 11), seed=st.integers(0, 2**31 - 1))
def test_product_codes_name_the_nearest_centroid_of_each_block(n, d, seed):
    points = cloud(n, d, seed)
    found = quantize(points, bits=2, seed=seed)
    blocks = np.array_split((points - points.amin(dim=0)).numpy(), 4, axis=1)
    for block, codes, book in zip(blocks, found.codes.T.numpy(), found.centroids.numpy(), strict=True):
        distances = ((block[:, None] - book[None, :, : block.shape[1]]) ** 2).sum(axis=2)
        np.testing.assert_allclose(distances[np.arange(n), codes], distances.min(axis=1), atol=1e-5)
        assert (book[:, block.shape[1] :] == 0).all()


def test_even_blocks_are_those_of_faiss():
    points = cloud(320, 8)
    array = points.numpy()[np.lexsort(points.numpy().T[::-1])].astype(np.float32)
    plain = faiss.ProductQuantizer(8, 4, 3)
    plain.cp.seed = 5
    plain.train(array)
    codes = faiss.unpack_bitstrings(plain.compute_codes(array), 4, 3)
    found = quantize(points, bits=3, seed=5)
    assert found.counts.tolist() == reference.counts(codes, 8)
    centroids = faiss.vector_to_array(plain.centroids).reshape(4, 8, 2)
    least = points.amin(dim=0).reshape(4, 1, 2).numpy()
    np.testing.assert_allclose(found.centroids.numpy() + least, centroids, atol=1e-5)


def test_additive_is_as_good_as_plain_faiss_and_better_than_product():
    points = cloud(400, 8) @ torch.diag(torch.arange(1, 9).double()) @ torch.linalg.qr(cloud(8, 8)).Q
    array = points.float().numpy()
    plain = faiss.LocalSearchQuantizer(8, 4, 3)
    plain.train(array)
    plain_lost = ((plain.decode(plain.compute_codes(array)) - array) ** 2).sum()
    lost = {}
    for quantizer in ("product", "additive"):
        found = quantize(points, quantizer=quantizer, bits=3)
        lost[quantizer] = (found.points - found.reconstruction).square().sum().item()
    assert lost["additive"] == pytest.approx(float(plain_lost), rel=0.1)
    assert lost["additive"] < 0.9 * lost["product"]


@QUANTIZERS
def test_order_of_points_does_not_matter(quantizer):
    points = cloud(180, 6)
    order = torch.randperm(180, generator=torch.Generator().manual_seed(1))
    first = quantize(points, quantizer=quantizer)
    second = quantize(points[order], quantizer=quantizer)
    assert torch.equal(second.codes, first.codes[order])
    assert torch.equal(second.centroids, first.centroids)
    twice, mixed = points[:90].repeat(2, 1), points[:90].repeat(2, 1)[order]
    counts = quantize(twice, quantizer=quantizer).counts
    assert torch.equal(quantize(mixed, quantizer=quantizer).counts, counts)


def test_many_copies_of_two_points_are_two_cells():
    # whichever copies the first centroids are, the empty cell takes part of the full one
    points = torch.tensor([[0.1, 2.0], [0.7, -1.0]]).repeat(10, 1)
    for seed in range(10):
        assert quantize(points, codebooks=1, seed=seed).counts.tolist() == [[10, 10]]


@QUANTIZERS
def test_the_seed_decides(quantizer):
    points = cloud(200, 8)
    first = quantize(points, quantizer=quantizer, bits=4, seed=1)
    assert torch.equal(quantize(points, quantizer=quantizer, bits=4, seed=1).codes, first.codes)
    assert not torch.equal(quantize(points, quantizer=quantizer, bits=4, seed=2).codes, first.codes)


@QUANTIZERS
@pytest.mark.parametrize("points", [cloud(0, 3), cloud(1, 3), cloud(3, 3), torch.full((50, 3), 0.1)])
def test_nothing_to_train_on(quantizer, points):
    found = quantize(points, quantizer=quantizer)
    assert found.codes.shape == (len(points), 0)
    assert found.counts.shape == (0, 2)
    assert found.reconstruction.isnan().all()


def test_forced_bits_need_two_points_a_cell():
    assert quantize(cloud(31, 4), bits=4).counts.shape == (0, 16)
    assert quantize(cloud(32, 4), bits=4).counts.sum() == 4 * 32


@QUANTIZERS
def test_faiss_writes_nothing(quantizer, capfd):
    for n, d, bits in [(4, 1, None), (40, 5, 4), (100, 3, None), (600, 4, 8)]:
        quantize(cloud(n, d), quantizer=quantizer, bits=bits, codebooks=2)
    assert capfd.readouterr() == ("", "")


def test_a_column_that_does_not_vary_is_one_cell():
    points = cloud(40, 4)
    points[:, 2] = 7
    counts = quantize(points).counts
    assert counts[2].tolist() in ([40, 0], [0, 40])


def test_carries_no_gradient():
    points = cloud(40, 4).requires_grad_()
    assert not any(part.requires_grad for part in quantize(points))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "between 1 and 8, got 0"),
        ({"bits": 9}, "between 1 and 8, got 9"),
        ({"codebooks": 0}, "at least 1, got 0"),
        ({"seed": -1}, "got -1"),
        ({"seed": 2**31}, "got 2147483648"),
        ({"quantizer": "scalar"}, "got 'scalar'"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        quantize(cloud(20, 4), **options)


def test_a_missing_faiss_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"conescope\[measures\]"):
        quantize(cloud(20, 4))
