"""The verdict: every rule on a cloud made for it and on no other, and what other packages get wrong."""

import re

import numpy as np
import pytest
import torch

import conescope
from conescope.measures import MEASURES, healthy
from conescope.survey.verdict import RESTS_ON, Seen, findings
from tests.survey.clouds import cloud, collapsed, said, undefined

N, D = 600, 64
ISO = cloud(N, D)
RANDOM = torch.rand(N, 1, generator=torch.Generator().manual_seed(3))


def turned(points):
    """Rotate, so that no coordinate stands out."""
    d = points.shape[1]
    return points @ torch.linalg.qr(cloud(d, d, seed=9)).Q


def axes(*sizes):
    return torch.cat([torch.tensor(sizes), torch.zeros(D - len(sizes))])


CLOUDS = {  # each with what must be said of it, and nothing else
    "gaussian": (ISO, ["nothing stands out"]),
    "one vector and noise": (collapsed(), ["collapsed"]),
    "constant": (torch.full((100, 16), 0.1), ["collapsed"]),
    "zero": (torch.zeros(100, 16), ["collapsed"]),
    "few": (cloud(20, 128), ["too few points"]),
    "few and collapsed": (collapsed(20, 128), ["collapsed", "too few points"]),
    "cone": (ISO + 1, ["narrow cone"]),
    "direction": (turned(ISO * (1 + axes(5.0))), ["one direction dominates"]),
    "axes": (
        ISO * (1 + axes(5.0)) + axes(0.0, 3, 3, 3),
        ["one direction dominates", "rogue dimensions"],
    ),
    "rogue": (ISO + axes(2.5, 2.5, 2.5), ["rogue dimensions"]),
    "thin": (cloud(N, 8) @ cloud(8, D, seed=1), ["few dimensions in use"]),
    "hubs": (ISO * (0.55 + 0.85 * RANDOM), ["hubs"]),
    "norms": (cloud(N, 20) * (0.4 + 1.2 * RANDOM), ["norms differ"]),
    "repeated": (torch.cat([ISO, ISO[:12]]), ["repeated points"]),
    "near": (torch.cat([ISO, ISO[:12] * (1 + 1e-6)]), ["near-copies"]),
    "holes": (torch.cat([ISO, torch.zeros(3, D)]), ["zero vectors"]),
    "numbers": (cloud(100, 1), ["nothing stands out"]),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_each_rule_speaks_of_its_cloud_and_of_no_other(name):
    points, expected = CLOUDS[name]
    found = conescope.measure(points, intervals=False, null=False)
    assert said(found) == expected


def test_the_clouds_meet_every_rule():
    titles = {title for _, expected in CLOUDS.values() for title in expected}
    assert len(titles) == 12


@pytest.mark.parametrize(
    ("n", "d"), [(50, 20), (50, 50), (60, 30), (300, 3), (100, 2), (2000, 128), (4096, 768)]
)
def test_a_gaussian_is_left_alone(n, d):
    found = conescope.measure(cloud(n, d), measures=RESTS_ON, intervals=False, null=False)
    (finding,) = found.findings
    assert finding.level == "healthy"
    assert "leave this model alone" in str(found)


# what other packages get wrong


def test_collapse_onto_one_vector_is_called_by_its_name():
    found = conescope.measure(collapsed(), intervals=False, null=False)
    assert found.value("mean_cosine") == pytest.approx(1)
    assert found.value("isoscore") > 0.9  # blind, as it must be
    assert found.value("effective_rank") > 120
    assert "collapsed: the mean cosine is 1.000000, so all points lie in nearly one direction" in str(found)
    assert "centered measures subtract that direction and can not see this" in str(found)
    assert [finding.level for finding in found.findings] == ["collapsed"]  # nothing else matters then


@pytest.mark.parametrize("measures", ["isoscore", "mean_norm", "twonn", ["eee", "vrm"]])
def test_collapse_is_told_even_if_only_a_blind_measure_is_asked_for(measures):
    found = conescope.measure(collapsed(), measures=measures, intervals=False, null=False)
    assert "collapsed: the mean cosine is 1.0" in str(found)


def test_collapse_of_a_small_batch_is_no_health():
    found = conescope.measure(collapsed(8, 64), measures="isoscore", null=False)
    assert said(found) == ["collapsed", "too few points"]


@pytest.mark.parametrize("fill", [0.0, 0.1])
@pytest.mark.parametrize("n", [2, 100])
def test_constant(fill, n):
    found = conescope.measure(torch.full((n, 16), fill), [0, 1] * (n // 2))
    assert found.findings[0].title == "collapsed"
    assert found.findings[0].evidence == "all points coincide"
    centered = {"mean_cosine_centered", "anisotropy_1", "isoscore", "effective_rank", "vrm"}
    of_directions = {"mean_cosine", "anisotropy_1_uncentered"}
    assert centered < undefined(found)
    assert of_directions.isdisjoint(undefined(found)) == bool(fill)
    assert found.value("persistent_entropy") == 0
    assert "nan" not in str(found)
    assert not re.search(r"-0\.0*\b(?!\d)", str(found))
    assert all(measured.note for measured in found.values if measured.value is None)


def test_constant_in_many_points_and_moments_of_order_one():
    # of a sample of them nothing else is known than that it coincides
    found = conescope.measure(torch.full((500, 8), -0.3), measures="mean_norm", sample=50, null=False)
    assert said(found) == ["collapsed"]
    found = conescope.measure(torch.zeros(60, 8), measures="mean_norm", null=False)
    assert said(found) == ["collapsed"]  # zero vectors have no cosine: it is told by their being equal


def test_few_points_of_many_dimensions():
    found = conescope.measure(cloud(20, 128), measures=["isoscore", "effective_rank"], null=False)
    assert "too few points: n = 20 for d = 128" in str(found)
    assert "take 1280 points or more" in str(found)
    assert "rows and columns are swapped" in str(found)
    assert found.value("isoscore") == pytest.approx(18 / 148, abs=0.01)  # not a bad space, only few points
    assert found.measured("isoscore").isotropic == pytest.approx(18 / 148)


@pytest.mark.parametrize("copies", [2, 5])
def test_repeated_points_do_not_make_a_small_dimension(copies):
    points = cloud(300, 5)
    once = conescope.measure(points, measures="twonn", intervals=False, null=False)
    again = conescope.measure(points.repeat(copies, 1), measures="twonn", intervals=False, null=False)
    assert again.value("twonn") == pytest.approx(once.value("twonn"), rel=1e-9)
    assert said(again) == ["repeated points"]
    assert f"{1 - 1 / copies:.1%} of the points equal another one" in str(again)


def test_near_copies_are_told_where_they_make_a_small_dimension():
    points = cloud(1000, 32)
    points = torch.cat([points, points * (1 + 1e-6)])
    found = conescope.measure(points, measures="twonn", intervals=False, null=False)
    assert found.value("twonn") < 1  # of 32: every point has a neighbor at no distance
    assert said(found) == ["near-copies"]
    assert "100.0% of the points are copies of another one but for rounding" in str(found)


def test_a_plane_in_many_dimensions():
    found = conescope.measure(cloud(2000, 5) @ cloud(5, 128, seed=1), intervals=False, null=False)
    assert 4 < found.value("effective_rank") <= 5
    assert found.value("isoscore") <= 4 / 127
    assert "the effective rank is 5 of 128" in str(found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_the_same_verdict(dtype):
    for name in ("gaussian", "cone", "thin", "norms"):
        points, expected = CLOUDS[name]
        found = conescope.measure(points.to(dtype), measures=RESTS_ON, intervals=False, null=False)
        assert said(found) == expected


def test_nan_names_the_row():
    points = collapsed(50, 8)
    points[31, 7] = torch.nan
    with pytest.raises(ValueError, match="hold NaN or infinity, the first in row 31"):
        conescope.measure(points)


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match=r"must be real, got torch\.complex128"):
        conescope.measure(cloud(50, 8).to(torch.complex128))


def test_positive_numbers_in_one_dimension_are_not_called_collapsed():
    found = conescope.measure(cloud(80, 1).abs() + 1, measures="mean_cosine", null=False)
    assert found.value("mean_cosine") == pytest.approx(1)
    assert said(found) == ["nothing to judge"]
    assert "check that each row is one point" in str(found)


@pytest.mark.parametrize(("n", "d"), [(2, 2), (2, 4), (3, 3), (5, 4), (10, 10), (20, 10)])
def test_of_few_gaussian_points_nothing_is_said_but_that_they_are_few(n, d):
    for seed in range(20):
        found = conescope.measure(cloud(n, d, seed), measures=RESTS_ON, intervals=False, null=False)
        assert said(found) == ["too few points"]


# rules on their own

FACTS = {"coincident": False, "zeros": 0, "repeated": 0.0, "nearly": 0.0, "at_hand": None}


def seen(n=1000, d=100, **values):
    facts = {key: values.pop(key, value) for key, value in FACTS.items()}
    return Seen(n=n, d=d, values={"mean_cosine": 0.1, **values}, **facts)


def titles(some):
    return [finding.title for finding in findings(some)]


def beyond(limit, side=1):
    return float(np.nextafter(limit, side * np.inf))


@pytest.mark.parametrize(
    ("name", "limit", "title"),
    [
        ("mean_cosine", healthy.CONE, "narrow cone"),
        ("mean_cosine", healthy.COLLAPSED, "collapsed"),
        ("anisotropy_1", healthy.DOMINANT, "one direction dominates"),
        ("rogue_share", healthy.ROGUE, "rogue dimensions"),
        ("antihubs", healthy.HUBS, "hubs"),
        ("norm_variation", healthy.SPREAD_NORMS, "norms differ"),
    ],
)
def test_the_limit_itself_is_still_inside(name, limit, title):
    assert title not in titles(seen(**{name: limit}))
    assert title in titles(seen(**{name: beyond(limit)}))


def test_limits_that_are_least_values():
    least = healthy.THIN * 100
    assert titles(seen(effective_rank=least)) == ["nothing stands out"]
    assert titles(seen(effective_rank=beyond(least, -1))) == ["few dimensions in use"]
    assert titles(seen(repeated=0.01)) == titles(seen(nearly=0.01)) == ["nothing stands out"]
    assert titles(seen(repeated=beyond(0.01))) == ["repeated points"]
    assert titles(seen(nearly=beyond(0.01))) == ["near-copies"]
    assert titles(seen(zeros=1)) == ["zero vectors"]


@pytest.mark.parametrize(
    ("n", "d", "few"), [(49, 10, True), (50, 10, False), (99, 100, True), (100, 100, False)]
)
def test_too_few_is_fewer_than_fifty_or_than_dimensions(n, d, few):
    assert ("too few points" in titles(seen(n=n, d=d))) == few


@pytest.mark.parametrize(
    ("name", "value", "inside", "outside"),
    [
        ("mean_cosine", 0.9, (2, 100), (2, 99)),  # n (n - 1) d >= 200
        ("mean_cosine", 0.9, (1000, 2), (1000, 1)),
        ("anisotropy_1", 0.9, (100, 100), (99, 100)),
        ("anisotropy_1", 0.9, (1000, 20), (1000, 19)),
        ("effective_rank", 1.0, (200, 100), (199, 100)),
        ("effective_rank", 1.0, (1000, 20), (1000, 19)),
        ("rogue_share", 0.9, (1000, 20), (1000, 19)),
        ("antihubs", 0.9, (50, 10), (49, 10)),
        ("norm_variation", 0.9, (20, 20), (19, 20)),
        ("norm_variation", 0.9, (1000, 20), (1000, 19)),
    ],
)
def test_what_chance_can_do_is_not_judged(name, value, inside, outside):
    unlike = {"too few points", "nothing stands out", "nothing to judge"}
    assert set(titles(seen(*inside, **{name: value}))) - unlike
    assert not set(titles(seen(*outside, **{name: value}))) - unlike


def test_neighbors_of_a_small_sample_are_not_judged():
    assert "hubs" in titles(seen(antihubs=0.9, at_hand=50))
    assert "hubs" not in titles(seen(antihubs=0.9, at_hand=49))
    apart = torch.cat([torch.zeros(1, 30), torch.eye(30)]).repeat_interleave(10, dim=0) + 0.01 * cloud(
        310, 30
    )
    found = conescope.measure(apart, measures="antihubs", sample=40, intervals=False, null=False)
    assert found.n >= 50 > found.sampled
    assert "hubs" not in said(found)


def test_rogue_dimensions_need_a_cosine_to_carry():
    assert titles(seen(rogue_share=0.9, mean_cosine=beyond(0.1, -1))) == ["nothing stands out"]
    assert titles(seen(rogue_share=0.9, mean_cosine=0.1)) == ["rogue dimensions"]


def test_norms_are_not_blamed_for_zeros():
    assert titles(seen(norm_variation=0.9, zeros=1)) == ["zero vectors"]


def test_one_zero_vector():
    assert said(conescope.measure(torch.zeros(1, 4), measures="drift")) == ["too few points", "zero vectors"]


def test_gravest_first():
    found = titles(seen(20, 100, mean_cosine=0.5, norm_variation=0.5, rogue_share=0.9, repeated=0.5, zeros=0))
    assert found == ["too few points", "narrow cone", "rogue dimensions", "repeated points", "norms differ"]


def test_beside_collapse_only_too_few_points_is_said():
    every = {"mean_cosine": 0.999, "norm_variation": 1.0, "rogue_share": 0.9, "repeated": 0.5, "zeros": 3}
    assert titles(seen(**every)) == ["collapsed"]
    assert titles(seen(20, 100, **every)) == ["collapsed", "too few points"]
    assert titles(seen(coincident=True, zeros=1000)) == ["collapsed"]


def test_the_cause_of_a_direction_is_that_of_its_axes():
    (by_axes, _), (other,) = (findings(seen(anisotropy_1=0.5, rogue_share=share)) for share in (0.8, 0.2))
    assert "rogue dimensions" in by_axes.cause
    assert "standard deviation" in by_axes.fix
    assert "rogue" not in other.cause


def test_health_names_what_was_judged_and_nothing_else():
    (finding,) = findings(seen(relative_drift=0.1, effective_rank=50.0, hubness=9.0))
    assert finding.evidence.startswith("mean_cosine, effective_rank are within")
    (finding,) = findings(seen(d=10, effective_rank=5.0))
    assert finding.evidence.startswith("mean_cosine is within")


def every_finding():
    for points, _ in CLOUDS.values():
        yield from conescope.measure(points, measures=RESTS_ON, intervals=False, null=False).findings
    yield from findings(seen(anisotropy_1=1 / 3, rogue_share=2 / 3, relative_drift=1 / 7))
    yield from findings(seen(mean_cosine=2 / 3, relative_drift=1 / 7, repeated=1 / 3, nearly=1 / 7, zeros=7))
    yield from findings(Seen(n=7, d=1, values={}, coincident=False, zeros=0, repeated=1 / 3))
    yield from findings(Seen(n=70, d=1, values={}, coincident=False, zeros=0, repeated=0.0))


def test_texts_say_what_to_do_in_numbers_one_can_read():
    seen_titles = set()
    for finding in every_finding():
        seen_titles.add(finding.title)
        text = str(finding)
        if finding.level == "healthy":
            assert finding.fix
        else:
            assert all((finding.evidence, finding.cause, finding.fix, finding.verify))
        assert not re.search(r"\d\.\d{7}|\de[+-]?\d|nan|inf\b|None|\{|\.\.", text), text
        assert not any(part.endswith(".") for part in (finding.evidence, finding.cause, finding.fix))
        assert text.startswith(f"{finding.title}: ")
    assert len(seen_titles) == 13


# which values it rests on


@pytest.mark.parametrize("name", ["cone", "axes", "thin", "norms", "few", "gaussian", "holes"])
def test_it_does_not_depend_on_the_measures_asked_for(name):
    points, expected = CLOUDS[name]
    for measures in ("isoscore", "eee", ["spectrum_slope", "mean_norm"], RESTS_ON[:-1]):
        assert said(conescope.measure(points, measures=measures, intervals=False, null=False)) == expected


def test_only_what_costs_little_is_computed_besides():
    hubs = CLOUDS["hubs"][0]
    assert said(conescope.measure(hubs, measures="isoscore", null=False)) == ["nothing stands out"]
    assert said(conescope.measure(hubs, measures="antihubs", null=False)) == ["hubs"]
    # of moments of order one no spectrum is known
    thin = CLOUDS["thin"][0]
    assert said(conescope.measure(thin, measures="mean_norm", null=False)) == ["nothing stands out"]
    assert set(RESTS_ON) <= set(MEASURES)


def test_intervals_and_null_do_not_change_it():
    points, _ = CLOUDS["axes"]
    assert (
        conescope.measure(points, measures=RESTS_ON).findings
        == conescope.measure(points, measures=RESTS_ON, intervals=False, null=False).findings
    )
