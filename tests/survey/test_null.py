"""The null: which cloud it is, which rows it is measured for, and what many points need no cloud for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import conescope
from conescope.measures import MEASURES
from conescope.measures.spectrum import spectrum_from_moments
from conescope.scale.moments import moments
from conescope.survey.gaussian_moments import gaussian_moments
from conescope.survey.null import gaussian_values
from conescope.survey.statistics import Statistics
from tests.survey.clouds import approx, cloud

ROWS = [row for row in MEASURES.values() if row.needs != "partners"]
SIZES = (30, 20, 10)


def statistics(points, labels=None, whole=None):
    classes = None if labels is None else int(labels.max()) + 1
    return Statistics(points, labels, classes=classes, whole=whole)


def gaussian(n, d, seed):
    """The cloud of the null as its docstring has it: torch's generator, float64."""
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def labels_of(sizes):
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


@pytest.mark.parametrize("seed", [0, 7])
def test_values_are_those_of_the_functions_on_that_cloud(seed):
    points = cloud(60, 4).double() * torch.tensor([4.0, 3, 2, 1]) + 5
    labels = labels_of((10, 30, 20))
    found = gaussian_values(statistics(points, labels), ROWS, seed)
    spread = math.sqrt(((points - points.mean(dim=0)) ** 2).mean())
    null = spread * gaussian(60, 4, seed)
    for row in ROWS:
        arguments = (labels_of(SIZES),) if row.needs_labels else ()  # classes of the same sizes, dealt anew
        expected = row.function(null, *arguments).item()
        if row.isotropic(60, 4) is not None or not math.isfinite(expected):
            assert row.name not in found
        else:
            assert found[row.name] == approx(expected), row.name
    assert len(found) > 10


def test_the_cloud_has_the_variance_of_the_points_and_not_their_place():
    points = 3 * gaussian(4000, 20, 5) + 100
    found = gaussian_values(statistics(points), [MEASURES["mean_norm"], MEASURES["drift"]], 0)
    chi = stats.chi(20)
    assert found["mean_norm"] == pytest.approx(3 * chi.mean(), rel=0.02)
    assert found["drift"] == pytest.approx(3 * math.sqrt(20 / 4000), rel=0.4)


def test_the_seed_decides():
    points, rows = cloud(50, 6).double(), [MEASURES["twonn"], MEASURES["hubness"]]
    first, again, other = (gaussian_values(statistics(points), rows, seed) for seed in (1, 1, 2))
    assert first == again
    assert first["twonn"] != other["twonn"]


def test_a_formula_is_taken_where_there_is_one():
    row = MEASURES["twonn"]
    known = replace(row, isotropic=lambda n, d: 12.5)
    assert list(gaussian_values(statistics(cloud(50, 6).double()), [known], 0)) == []
    found = conescope.measure(cloud(50, 6), measures=["isoscore", "twonn"], intervals=False)
    assert found.measured("isoscore").isotropic == pytest.approx(48 / 56)
    null = math.sqrt(((cloud(50, 6) - cloud(50, 6).mean(dim=0)).double() ** 2).mean()) * gaussian(50, 6, 0)
    assert found.measured("twonn").isotropic == approx(row.function(null).item())


def test_no_null_if_none_is_asked_for():
    found = conescope.measure(cloud(50, 6), measures=["isoscore", "twonn"], intervals=False, null=False)
    assert found.measured("twonn").isotropic is None
    assert found.measured("isoscore").isotropic == pytest.approx(48 / 56)  # a formula costs nothing


def test_classes_are_dealt_anew():
    # far apart as they are, classes of random points tell nothing
    labels = labels_of((200, 200))
    points = cloud(400, 10).double() + 50 * labels[:, None]
    row = MEASURES["class_separation"]
    assert row.function(points, labels) > 0.3
    assert gaussian_values(statistics(points, labels), [row], 0)[row.name] < 0.02


def test_names_of_classes_do_not_matter():
    points = cloud(60, 4).double()
    one, other = labels_of((10, 30, 20)), labels_of((30, 20, 10))
    rows = [row for row in ROWS if row.needs_labels]
    assert gaussian_values(statistics(points, one), rows, 0) == gaussian_values(
        statistics(points, other), rows, 0
    )


@pytest.mark.parametrize("points", [torch.zeros(30, 4), torch.ones(1, 4), cloud(30, 4)], ids=str)
def test_values_that_are_undefined_are_left_out(points):
    found = gaussian_values(statistics(points.double()), ROWS[:0] or [MEASURES["rogue_share"]], 0)
    assert found == {}  # directions even on the sphere have no coordinate that carries them


# more points than at hand


def test_of_more_points_moments_are_of_all_and_neighbors_of_the_sample():
    points = 2 * gaussian(5000, 6, 1)
    found = gaussian_values(
        Statistics(points[:100], whole=moments(points)), [MEASURES["relative_drift"], MEASURES["twonn"]], 0
    )
    # |mean| / E|x| is sqrt(d / n) / E chi_d on average: a tenth of that would be the sample's
    assert found["relative_drift"] == pytest.approx(math.sqrt(6 / 5000) / stats.chi(6).mean(), rel=0.7)
    spread = (points[:100] - points[:100].mean(dim=0)).square().mean().sqrt()
    assert found["twonn"] == approx(MEASURES["twonn"].function(spread * gaussian(100, 6, 0)).item())


def test_a_formula_is_asked_for_at_the_size_that_is_looked_at():
    # twelve points are too near ten dimensions for a formula, five thousand are not
    row, points = MEASURES["condition_number"], gaussian(5000, 10, 1)
    assert row.isotropic(12, 10) is None
    assert row.isotropic(5000, 10) is not None
    assert gaussian_values(Statistics(points[:12], whole=moments(points)), [row], 0) == {}
    assert list(gaussian_values(Statistics(points[:12]), [row], 0)) == ["condition_number"]


def test_the_front_door_takes_the_size_of_each():
    found = conescope.measure(gaussian(3000, 5, 2), measures=["drift", "hubness"], sample=50, intervals=False)
    assert found.measured("drift").isotropic < 2 * math.sqrt(5 / 3000)  # of 50 points it would be 0.3
    assert found.measured("hubness").isotropic < 3


COUNTS = np.array([5, 40, 0, 100, 155])


def real(seed, n=300, d=6):
    points = torch.from_numpy(np.random.default_rng(seed).normal(scale=2, size=(n, d)))
    return moments(points, labels_of(COUNTS.tolist()), classes=5)


def drawn(seed, n=300, d=6):
    return gaussian_moments(n, d, spread=2.0, counts=COUNTS, seed=seed)


QUANTITIES = {
    **{
        name: lambda found, finish=MEASURES[name].finish: float(finish(found))
        for name in (
            "mean_cosine",
            "drift",
            "relative_drift",
            "mean_norm",
            "norm_variation",
            "self_similarity",
            "intra_text_similarity",
            "anisotropy_1_within_class",
            "anisotropy_1_between_class",
            "neural_collapse",
            "class_separation",
        )
    },
    "total variance": lambda found: float(found.scatter.trace()),
    "strongest": lambda found: float(spectrum_from_moments(found).squares[0] / found.scatter.trace()),
    "weakest": lambda found: float(spectrum_from_moments(found).squares[-1] / found.scatter.trace()),
    "uncentered": lambda found: float(spectrum_from_moments(found, center=False).squares[-1]),
    "smallest class": lambda found: float(found.classes.means[0].norm()),
    "sum of directions": lambda found: float(found.classes.direction_sums[1].norm()),
    "point and direction": lambda found: float(found.classes.means[1] @ found.classes.direction_sums[1]),
}
FIXED = ("mean_norm", "norm_variation")  # at their expectation: they hardly vary with many points


@pytest.fixture(scope="module")
def many():
    return [[make(seed) for seed in range(400)] for make in (real, drawn)]


@pytest.mark.parametrize("name", QUANTITIES)
def test_drawn_moments_have_the_law_of_those_of_points(many, name):
    right, found = (np.array([QUANTITIES[name](one) for one in ones]) for ones in many)
    error = right.std() / math.sqrt(len(right))
    if name in FIXED:
        assert abs(found.mean() - right.mean()) < 4 * error + 0.002 * abs(right.mean())
    else:  # the whole distribution, and not its mean alone
        assert stats.ks_2samp(right, found).pvalue > 1e-3


def test_the_scatter_is_that_within_classes_and_between_them():
    # of 30 pairs, half of the 59 d degrees of freedom lie between the classes
    counts = np.full(30, 2)
    traces = [gaussian_moments(60, 4, counts=counts, seed=seed).scatter.trace().item() for seed in range(300)]
    assert stats.kstest(traces, stats.chi2(59 * 4).cdf).pvalue > 1e-3


def test_wide_moments_have_as_many_directions_as_points_allow():
    found = gaussian_moments(8, 20, seed=1)
    squares = spectrum_from_moments(found).squares
    assert int((squares > 0).sum()) == 7
    right = [moments(gaussian(8, 20, seed)).scatter.trace().item() for seed in range(200)]
    traces = [gaussian_moments(8, 20, seed=seed).scatter.trace().item() for seed in range(200)]
    assert stats.ks_2samp(right, traces).pvalue > 1e-3  # chi-square of 7 * 20


def test_moments_of_order_one_have_no_scatter():
    found = gaussian_moments(1000, 3, order=1)
    assert found.scatter is found.direction_square_sum is found.classes is None
    assert torch.equal(found.mean, gaussian_moments(1000, 3, order=2).mean)


def test_a_billion_points_take_no_time():
    found = gaussian_moments(10**9, 50, counts=np.array([10**9 - 5, 5]))
    assert float(MEASURES["relative_drift"].finish(found)) == pytest.approx(1 / math.sqrt(10**9), rel=0.5)
    assert float(MEASURES["isoscore"].finish(spectrum_from_moments(found))) == pytest.approx(1, abs=1e-6)
