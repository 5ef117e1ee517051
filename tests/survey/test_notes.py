"""Notes: facts that bend the values, each where it holds and nowhere else."""

import pytest
import torch

import conescope
from tests.survey.clouds import cloud


def notes(points, labels=None, measures="isoscore", **options):
    return conescope.measure(points, labels, measures, intervals=False, null=False, **options).notes


@pytest.mark.parametrize(("n", "d"), [(5, 4), (5, 5), (100, 100), (300, 2)])
def test_ordinary_clouds_need_none(n, d):
    assert notes(cloud(n, d)) == ()


def test_fewer_points_than_dimensions():
    (note,) = notes(cloud(20, 128))
    assert note.startswith("n = 20 < d = 128: covariance-based values read low")
    assert "check that each row is one point" in note
    assert notes(cloud(128, 128)) == ()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_hardly_any_points(n):
    assert notes(cloud(n, 4)) == (f"n = {n}: too few points to tell a shape; take n well above d = 4",)


def test_one_dimension():
    (note,) = notes(cloud(50, 1))
    assert note == "d = 1: there are no directions to compare; check that each row is one point"


def test_repeated_and_zero_points_are_counted():
    points = torch.cat([cloud(20, 4), cloud(20, 4)[:3], torch.zeros(2, 4), -torch.zeros(1, 4)])
    zeros, copies = notes(points)
    assert zeros == "3 of 26 points are zero and have no direction: left out of mean_cosine"
    assert copies.startswith("5 of 26 points repeat another one")  # 3 copies, and two of the three zeros


def test_copies_are_counted_among_the_points_at_hand():
    (note,) = notes(cloud(30, 4).repeat(20, 1), sample=100)
    count, of = note.split()[0], note.split()[2]
    assert of == "100"
    assert int(count) >= 70  # 30 points can not fill 100 places


def test_near_copies_are_counted_where_neighbors_are_known():
    points = torch.cat([cloud(90, 6), cloud(90, 6)[:4] * (1 + 1e-6)])
    assert notes(points) == ()
    (note,) = notes(points, measures="twonn")
    assert note.startswith("8 of 94 points are nearly a copy of another one; twonn and mle_dimension")


def test_classes_of_one_point_are_counted():
    found = notes(cloud(6, 2), ["a", "a", "b", "c", "a", "a"], "anisotropy_1_within_class")
    assert found == ("classes with one point, which say nothing within a class: 2 of 3",)
    assert notes(cloud(6, 2), ["a", "a", "b", "b", "a", "a"], "anisotropy_1_within_class") == ()


@pytest.mark.parametrize(("n", "d", "rank", "hidden"), [(2000, 12, 5, "7 of 12"), (40, 60, 5, "34 of 39")])
def test_directions_that_single_precision_may_have_lost(n, d, rank, hidden):
    points = cloud(n, rank) @ cloud(rank, d, seed=1)
    found = notes(points, precision="single")
    assert found[-1].startswith(f"{hidden} directions hold less than a millionth of the strongest variance")
    # double tells them apart, however many points there are: then they are empty
    assert not [note for note in notes(points, precision="double") if "single precision" in note]
    assert not [
        note for note in notes(points, measures="mean_cosine", precision="single") if "single" in note
    ]


@pytest.mark.parametrize(("n", "d"), [(2000, 12), (40, 60)])
def test_single_precision_alone_is_no_note(n, d):
    assert not [note for note in notes(cloud(n, d), precision="single") if "single precision" in note]


def test_coincident_points_have_lost_no_direction():
    assert not [note for note in notes(torch.ones(50, 4), precision="single") if "single" in note]
