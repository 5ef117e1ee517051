"""Lengths of edges and their gradients: by hand, numerically, against torch's own norm, in every unit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from conescope.topology import lengths as module
from conescope.topology.lengths import ascending_lengths, edge_lengths, edge_lengths_of_clouds


def cloud(n, d, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def pairs(n, count, seed=0):
    """Pairs of different points, in any order, some of them more than once."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(n, (count,), generator=generator)
    return torch.stack([first, (first + torch.randint(1, n, (count,), generator=generator)) % n], dim=1)


TRIANGLE = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]], dtype=torch.float64)
SIDES = torch.tensor([[0, 1], [1, 2], [2, 0]])


# ---- values by hand


def test_the_sides_of_a_triangle():
    assert edge_lengths(TRIANGLE, SIDES).tolist() == [5, 4, 3]


def test_each_side_pulls_at_its_ends_along_itself():
    points = TRIANGLE.clone().requires_grad_()
    weights = torch.tensor([10.0, 1.0, 2.0], dtype=torch.float64)
    (weights * edge_lengths(points, SIDES)).sum().backward()
    # (3, 4) / 5 times 10; (0, 1); (1, 0) times 2
    expected = [[-6.0 - 2.0, -8.0], [6.0, 8.0 + 1.0], [2.0, -1.0]]
    assert_close(points.grad, torch.tensor(expected, dtype=torch.float64), rtol=1e-15, atol=1e-15)


def test_an_edge_given_twice_adds_its_pulls():
    points = TRIANGLE.clone().requires_grad_()
    edges = torch.tensor([[0, 1], [0, 1], [1, 0]])
    lengths = edge_lengths(points, edges)
    assert lengths.tolist() == [5, 5, 5]
    lengths.sum().backward()
    expected = torch.tensor([[-1.8, -2.4], [1.8, 2.4], [0.0, 0.0]], dtype=torch.float64)
    assert_close(points.grad, expected, rtol=1e-15, atol=0)


def test_a_length_of_zero_pulls_at_nothing():
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    lengths = edge_lengths(points, torch.tensor([[0, 1], [1, 2]]))
    assert lengths.tolist() == [0, 5]
    (gradient,) = torch.autograd.grad(lengths, points, torch.tensor([1e30, 1.0]), create_graph=True)
    assert_close(gradient, torch.tensor([[0.0, 0.0], [-0.6, -0.8], [0.6, 0.8]]))
    (second,) = torch.autograd.grad(gradient[2, 0], points)
    # d (x / |x|) / dx = (I - x x^T / |x|^2) / |x| with x = (3, 4)
    assert_close(second, torch.tensor([[0.0, 0.0], [-0.128, 0.096], [0.128, -0.096]]))


@pytest.mark.parametrize("n", [0, 3])
def test_no_edges_no_lengths_and_no_gradient(n):
    points = torch.ones(n, 2, requires_grad=True)
    lengths = edge_lengths(points, torch.zeros(0, 2, dtype=torch.int64))
    assert lengths.shape == (0,)
    lengths.sum().backward()
    assert torch.equal(points.grad, torch.zeros(n, 2))


# ---- numerical gradients


def with_a_duplicate():
    points = cloud(6, 3)
    points[4] = points[1]
    return points.requires_grad_()


def test_gradients_are_the_numerical_ones():
    edges = pairs(6, 9, seed=1)
    points = cloud(6, 3).requires_grad_()
    assert gradcheck(lambda x: edge_lengths(x, edges), points)
    assert gradgradcheck(lambda x: edge_lengths(x, edges), points)


def test_gradients_beside_an_edge_of_length_zero():
    """The zero edge has no derivative: its square, which has one, shows that nothing else is disturbed."""
    edges = torch.tensor([[0, 1], [1, 4], [2, 4], [5, 3]])
    apart = torch.tensor([True, False, True, True])
    assert edge_lengths(with_a_duplicate(), edges)[1] == 0
    assert gradcheck(lambda x: edge_lengths(x, edges)[apart], with_a_duplicate())
    assert gradgradcheck(lambda x: edge_lengths(x, edges)[apart], with_a_duplicate())
    assert gradcheck(lambda x: edge_lengths(x, edges).square(), with_a_duplicate())


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**31))
def test_as_the_norm_of_torch(n, d, count, seed):
    points, edges = cloud(n, d, seed), pairs(n, count, seed)
    weights = cloud(count, 1, seed + 1)[:, 0]
    ours, theirs = points.clone().requires_grad_(), points.clone().requires_grad_()
    found = edge_lengths(ours, edges)
    expected = torch.linalg.vector_norm(theirs[edges[:, 0]] - theirs[edges[:, 1]], dim=1)
    assert_close(found, expected, rtol=1e-14, atol=0)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert_close(ours.grad, theirs.grad, rtol=1e-11, atol=1e-12)


# ---- units and number types


@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [(torch.float32, e) for e in (-30, -20, 0, 20, 30)]
    + [(torch.float64, e) for e in (-200, -160, 0, 160, 200)],
)
def test_units_whose_squares_leave_the_range(dtype, exponent):
    """In every unit the lengths of the same points, and their gradient, which has no unit."""
    points = cloud(20, 5).mul(10.0**exponent).to(dtype).requires_grad_()
    edges = pairs(20, 30)
    known = (points.detach().double() * 10.0**-exponent).requires_grad_()
    expected = torch.linalg.vector_norm(known[edges[:, 0]] - known[edges[:, 1]], dim=1)
    expected.sum().backward()
    found = edge_lengths(points, edges)
    found.sum().backward()
    rtol = 16 * torch.finfo(dtype).eps
    assert found.dtype == dtype
    assert_close(found.detach().double() * 10.0**-exponent, expected.detach(), rtol=rtol, atol=0)
    assert_close(points.grad.double(), known.grad, rtol=100 * rtol, atol=100 * rtol)


def test_lengths_of_very_different_size_in_one_call():
    """One edge of 5e-15 beside one of 5e15: neither is lost in the unit of the other."""
    points = torch.tensor([[0.0, 0.0], [3e-15, 4e-15], [3e15, 4e15]])
    found = edge_lengths(points, torch.tensor([[0, 1], [0, 2]]))
    assert_close(found, torch.tensor([5e-15, 5e15]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_come_out_in_single_precision(dtype):
    points = cloud(12, 4, dtype=dtype).requires_grad_()
    edges = pairs(12, 20)
    found = edge_lengths(points, edges)
    assert found.dtype == torch.float32
    assert torch.equal(found, edge_lengths(points.detach().float(), edges))
    found.sum().backward()
    assert points.grad.dtype == dtype
    single = points.detach().float().requires_grad_()
    edge_lengths(single, edges).sum().backward()
    assert torch.equal(points.grad, single.grad.to(dtype))


def test_rows_that_do_not_lie_beside_each_other():
    points = cloud(20, 10)
    edges = pairs(10, 15)
    assert torch.equal(edge_lengths(points[::2, ::2], edges), edge_lengths(points[::2, ::2].clone(), edges))


# ---- several clouds at once: products with a matrix of signs do what rows one by one do


def clouds_and_edges(count, n, d, dtype, seed=0):
    clouds = cloud(count * n, d, seed, dtype).reshape(count, n, d)
    edges = torch.stack([pairs(n, n + 2, seed + k) for k in range(count)])
    edges[0, -1] = 0  # from a point to itself, as padding is
    return clouds, edges


def one_by_one(clouds, edges):
    return torch.stack([edge_lengths(*each) for each in zip(clouds, edges, strict=True)])


@pytest.mark.parametrize("n", [2, 16, 60])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_clouds_at_once_and_one_by_one(n, dtype):
    clouds, edges = clouds_and_edges(5, n, 33, dtype)
    weights = cloud(5, n + 2, 9, dtype)
    found, expected = (clouds.clone().requires_grad_() for _ in range(2))
    lengths = edge_lengths_of_clouds(found, edges)
    assert torch.equal(lengths, one_by_one(expected, edges))  # no number is rounded more often
    (lengths * weights).sum().backward()
    (one_by_one(expected, edges) * weights).sum().backward()
    assert found.grad.dtype == dtype
    assert_close(found.grad, expected.grad, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)


def test_gradients_of_clouds_are_the_numerical_ones():
    clouds, edges = clouds_and_edges(2, 5, 3, torch.float64)
    apart = edges[..., 0] != edges[..., 1]
    clouds.requires_grad_()
    assert gradcheck(lambda x: edge_lengths_of_clouds(x, edges)[apart], clouds)
    assert gradgradcheck(lambda x: edge_lengths_of_clouds(x, edges)[apart], clouds)


@pytest.mark.parametrize("scale", [1e-30, 1e-19, 1e19, 1e30])
def test_clouds_in_every_unit(scale):
    clouds, edges = clouds_and_edges(3, 8, 4, torch.float32)
    ours, theirs = ((clouds * scale).requires_grad_() for _ in range(2))
    lengths = edge_lengths_of_clouds(ours, edges)
    assert_close(lengths / scale, edge_lengths_of_clouds(clouds, edges), rtol=1e-5, atol=0)
    lengths.sum().backward()
    one_by_one(theirs, edges).sum().backward()
    assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_autocast_rounds_nothing():
    clouds, edges = clouds_and_edges(3, 8, 40, torch.float32)
    expected, ours = clouds.clone().requires_grad_(), clouds.clone().requires_grad_()
    one_by_one(expected, edges).sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        lengths = edge_lengths_of_clouds(ours, edges)
        lengths.sum().backward()
    assert torch.equal(lengths, one_by_one(clouds, edges))
    assert_close(ours.grad, expected.grad, rtol=1e-6, atol=1e-6)


def test_where_torch_may_round_factors_rows_are_taken_one_by_one(monkeypatch):
    clouds, edges = clouds_and_edges(3, 8, 40, torch.float32)
    monkeypatch.setattr(module, "product_roundoff", lambda device: 2.0**-8)
    monkeypatch.setattr(module, "_incidence", None)  # not called
    assert torch.equal(edge_lengths_of_clouds(clouds, edges), one_by_one(clouds, edges))


# ---- by length


@pytest.mark.parametrize("n", [9, 60])
def test_ascending_lengths_and_their_gradients(n):
    clouds, edges = clouds_and_edges(3, n, 4, torch.float64)
    weights = cloud(3, n + 2, 5)
    ours, theirs = clouds.clone().requires_grad_(), clouds.clone().requires_grad_()
    found, lengths = ascending_lengths(ours, edges)
    unordered = one_by_one(theirs, edges)
    expected, order = unordered.sort(dim=1, stable=True)
    assert torch.equal(lengths, expected)
    assert torch.equal(found, edges.gather(1, order[..., None].expand_as(edges)))
    (lengths * weights).sum().backward()
    (expected * weights).sum().backward()
    assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-13)
    for one, its_edges in zip(clouds, edges, strict=True):
        alone = ascending_lengths(one, its_edges)[1]
        assert torch.equal(alone, edge_lengths(one, its_edges).sort().values)


def test_ascending_lengths_have_a_gradient_of_their_gradient():
    points = cloud(6, 3).requires_grad_()
    edges = pairs(6, 9, seed=1)
    assert gradcheck(lambda x: ascending_lengths(x, edges)[1], points)
    assert gradgradcheck(lambda x: ascending_lengths(x, edges)[1], points)


def test_equal_lengths_keep_their_order():
    points = torch.tensor([[0.0], [2.0], [1.0], [3.0]])
    edges = torch.tensor([[0, 1], [2, 3], [0, 2], [1, 3]])
    assert ascending_lengths(points, edges)[0].tolist() == [[0, 2], [1, 3], [0, 1], [2, 3]]


@pytest.mark.parametrize("noncontiguous", [False, True])
def test_rows_in_bags_are_the_rows_one_by_one(noncontiguous, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(module.MANY + 5, 7, generator=generator)
    points = points.T.contiguous().T if noncontiguous else points
    edges = torch.randint(0, 40, (300, 2), generator=generator)  # most points are at no end, some at many
    edges[:3] = torch.tensor([[5, 5], [5, 6], [6, 5]])  # one without length, and one twice
    pull = torch.randn(300, generator=generator)
    found = []
    for many in (module.MANY, len(points) + 1):
        monkeypatch.setattr(module, "MANY", many)
        wanted = points.detach().requires_grad_()
        bars = edge_lengths(wanted, edges[1:])
        bars.backward(pull[1:])
        found.append((bars.detach(), wanted.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert_close(found[0][1], found[1][1], atol=1e-5, rtol=1e-5)
    assert (found[0][1][40:] == 0).all()
    exact = points.detach().double().requires_grad_()  # by rows, whose gradients are the numerical ones
    edge_lengths(exact, edges[1:]).backward(pull[1:].double())
    assert_close(found[0][1].double(), exact.grad, atol=1e-5, rtol=1e-5)
    with_zero = edge_lengths(points.requires_grad_(), edges)
    assert with_zero[0] == 0
    with_zero.backward(pull)
    assert_close(points.grad, found[0][1], atol=1e-5, rtol=1e-5)


def test_bags_mind_neither_a_default_number_type_nor_that_there_are_no_edges():
    points = cloud(module.MANY, 3, dtype=torch.float32).requires_grad_()
    edges = torch.tensor([[0, 1], [1, 2]])
    expected = torch.linalg.vector_norm((points[edges[:, 0]] - points[edges[:, 1]]).detach(), dim=1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = edge_lengths(points, edges)
        found.sum().backward()
    finally:
        torch.set_default_dtype(before)
    assert_close(found.detach(), expected)
    assert points.grad[1].abs().sum() > 0
    points.grad = None
    none = edge_lengths(points, edges[:0])
    none.sum().backward()
    assert none.shape == (0,)
    assert (points.grad == 0).all()
