"""`conescope.measure`: every value as the function gives it, every oddity said in words."""

import numpy as np
import pytest
import torch

import conescope
from conescope.measures import MEASURES
from conescope.results import Measurement

UNLABELED = tuple(name for name, row in MEASURES.items() if not row.needs_labels)


def cloud(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def notes(measurement):
    return "\n".join(measurement.notes)


def test_values_are_those_of_the_functions():
    points, labels = cloud(60, 8) + 0.3, torch.arange(60) % 3
    found = conescope.measure(points, labels)
    assert found.names() == tuple(MEASURES)
    assert (found.n, found.d, found.notes) == (60, 8, ())
    for name, row in MEASURES.items():
        arguments = (points.double(), labels) if row.needs_labels else (points.double(),)
        assert found.value(name) == row.function(*arguments).item()


def test_by_hand_through_the_front_door():
    found = conescope.measure(torch.tensor([[3.0, 4.0], [3.0, 0.0], [0.0, 4.0]]))
    assert found.value("anisotropy_1") == pytest.approx(0.777849, abs=1e-6)
    assert found.value("anisotropy_1_uncentered") == pytest.approx(0.777849, abs=1e-6)


def test_without_labels_measures_that_need_them_are_left_out():
    assert conescope.measure(cloud(20, 4)).names() == UNLABELED


def test_asking_for_them_without_labels_is_an_error():
    with pytest.raises(
        ValueError, match="anisotropy_1_within_class compares points within classes and needs"
    ):
        conescope.measure(cloud(20, 4), measures=["anisotropy_1_within_class"])


def test_order_and_number_are_as_asked():
    wanted = ["effective_rank", "isoscore", "effective_rank"]
    assert conescope.measure(cloud(20, 4), measures=wanted).names() == ("effective_rank", "isoscore")
    assert conescope.measure(cloud(20, 4), measures="isoscore").names() == ("isoscore",)


@pytest.mark.parametrize("measures", [["isoscor"], "isoscor", ["isoscore", "isoscor"]])
def test_unknown_names_are_answered_with_the_list(measures):
    with pytest.raises(ValueError, match=r"no measure 'isoscor'; there are mean_cosine, .*, isoscore, "):
        conescope.measure(cloud(20, 4), measures=measures)


def test_no_name_at_all_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"no measure is named; there are mean_cosine, "):
        conescope.measure(cloud(20, 4), measures=[])


@pytest.mark.parametrize(
    "convert",
    [
        torch.Tensor.double,
        lambda x: x.numpy(),
        lambda x: np.asfortranarray(x.numpy()),
        lambda x: x.numpy()[::-1][::-1],
        lambda x: x.numpy().astype(">f4"),
        lambda x: x.clone().requires_grad_(),
        lambda x: x.T.contiguous().T,
    ],
    ids=["double", "numpy", "fortran", "strides", "big endian", "requires grad", "transposed"],
)
def test_same_points_in_other_clothes(convert):
    points = cloud(30, 5)
    assert conescope.measure(convert(points)) == conescope.measure(points)


def test_array_that_must_not_be_written_is_read():
    array = cloud(30, 5).numpy()
    expected = conescope.measure(array)
    array.flags.writeable = False
    assert conescope.measure(array) == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_double(dtype):
    points = cloud(30, 5).to(dtype)
    assert conescope.measure(points) == conescope.measure(points.double())


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2] * 10,
        ["a", "b", "<b>"] * 10,
        [("x", 1), None, 3.5] * 10,
        np.array([7, -1, 0] * 10),
        np.array(["a", "b", "c"] * 10),
        torch.tensor([5, 6, 7] * 10, dtype=torch.int32),
    ],
    ids=["ints", "strings", "hashables", "numpy ints", "numpy strings", "int32 tensor"],
)
def test_labels_of_any_kind(labels):
    points = cloud(30, 5)
    expected = MEASURES["anisotropy_1_within_class"].function(points.double(), torch.arange(30) % 3)
    assert conescope.measure(points, labels).value("anisotropy_1_within_class") == pytest.approx(
        expected.item()
    )


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1], ValueError, "expected 30, got 2"),
        (torch.zeros(29, dtype=torch.int64), ValueError, r"expected shape \(30,\), got \(29,\)"),
        (torch.zeros(30), TypeError, "integers"),
        (np.zeros(30), TypeError, "integers or strings, one a point, got float64"),
        (np.zeros((30, 1), dtype=np.int64), TypeError, r"got int64 of shape \(30, 1\)"),
        ([([],)] * 30, TypeError, "must be hashable, such as integers or strings"),
        ("a" * 30, TypeError, "one entry a point"),
    ],
)
def test_labels_that_can_not_be(labels, error, message):
    with pytest.raises(error, match=message):
        conescope.measure(cloud(30, 5), labels)


def test_nan_row_is_named():
    points = cloud(30, 5)
    points[17, 2], points[20, 0] = torch.nan, -torch.inf
    with pytest.raises(ValueError, match="2 of 30 rows hold NaN or infinity, the first in row 17"):
        conescope.measure(points)


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (torch.zeros(5), ValueError, r"shape \(n, d\).*got \(5,\)"),
        (torch.zeros(2, 3, 4), ValueError, r"got \(2, 3, 4\)"),
        (torch.zeros(5, 0), ValueError, r"got \(5, 0\)"),
        (torch.zeros(5, 2, dtype=torch.int64), TypeError, "int64; convert"),
        (np.zeros((5, 2), dtype=np.int32), TypeError, r"int32; convert with points.astype\('float32'\)"),
        (np.array([[1, "a"]], dtype=object), TypeError, "array of object"),
        (np.zeros((5, 2), dtype=complex), TypeError, "complex128"),
    ],
)
def test_points_that_can_not_be(points, error, message):
    with pytest.raises(error, match=message):
        conescope.measure(points)


def test_list_is_refused():
    with pytest.raises(TypeError):
        conescope.measure([[1.0, 2.0], [3.0, 4.0]])


# clouds that other packages get wrong


def test_collapse_onto_one_vector_is_called_by_its_name():
    points = cloud(1, 128) + 1e-6 * cloud(2000, 128, seed=1)
    found = conescope.measure(points)
    assert found.value("mean_cosine") == pytest.approx(1)
    assert found.value("isoscore") > 0.9  # blind, as it must be
    assert "collapsed" in str(found)
    assert "centered measures" in notes(found)


def test_collapse_is_told_even_if_only_a_blind_measure_is_asked_for():
    points = cloud(1, 128) + 1e-6 * cloud(2000, 128, seed=1)
    assert "collapsed: the mean cosine is 1.0" in str(conescope.measure(points, measures=["isoscore"]))


def test_a_cone_is_not_yet_a_collapse():
    points = cloud(500, 16) + 3
    assert 0.85 < conescope.measure(points).value("mean_cosine") < 0.99
    assert "collapsed" not in str(conescope.measure(points))


def test_positive_numbers_in_one_dimension_are_not_called_collapsed():
    found = conescope.measure(cloud(50, 1).abs() + 1)
    assert "collapsed" not in str(found)
    assert "d = 1: there are no directions to compare" in notes(found)
    with pytest.raises(ValueError, match="isoscore is undefined here: no two points differ, or there is one"):
        found.value("isoscore")


@pytest.mark.parametrize("fill", [0.0, 0.1])
def test_constant(fill):
    found = conescope.measure(torch.full((100, 16), fill), [0, 1] * 50)
    assert found.notes == ("collapsed: all points coincide",)
    values = {measured.name: measured.value for measured in found.values}
    undefined = {name for name, value in values.items() if value is None}
    centered = {
        "mean_cosine_centered",
        "anisotropy_1",
        "anisotropy_1_within_class",
        "isoscore",
        "effective_rank",
    }
    assert undefined == (centered if fill else centered | {"mean_cosine", "anisotropy_1_uncentered"})
    assert values["persistent_entropy"] == values["relative_persistent_entropy"] == 0
    assert "-0.0000" not in str(found)
    assert all(measured.note for measured in found.values if measured.value is None)


def test_fewer_points_than_dimensions():
    found = conescope.measure(cloud(20, 128))
    assert "n = 20 < d = 128" in notes(found)
    assert "take n well above d" in notes(found)
    assert found.value("isoscore") == pytest.approx(18 / 148, abs=0.01)  # not a bad space, only few points


@pytest.mark.parametrize(
    ("n", "undefined"),
    [
        (0, set(UNLABELED)),
        (1, set(UNLABELED) - {"anisotropy_1_uncentered"}),
        (2, {"relative_persistent_entropy"}),
        (3, set()),
    ],
)
def test_hardly_any_points(n, undefined):
    found = conescope.measure(cloud(n, 4))
    assert {measured.name for measured in found.values if measured.value is None} == undefined
    assert f"n = {n}" in notes(found)
    Measurement.model_validate_json(found.model_dump_json())


def test_five_points_in_few_dimensions_need_no_note():
    assert conescope.measure(cloud(5, 4)).notes == ()


def test_repeated_and_zero_points_are_counted():
    points = torch.cat([cloud(20, 4), cloud(20, 4)[:3], torch.zeros(2, 4)])
    found = conescope.measure(points)
    assert "4 of 25 points repeat another one" in notes(found)  # 3 copies and one of the two zeros
    assert "2 of 25 points are zero" in notes(found)


def test_classes_of_one_point_are_counted():
    found = conescope.measure(cloud(6, 2), ["a", "a", "b", "c", "a", "a"])
    assert "classes with one point, which say nothing within a class: 2 of 3" in notes(found)


def test_subspace():
    found = conescope.measure(cloud(2000, 5) @ cloud(5, 128, seed=1))
    assert 4 < found.value("effective_rank") <= 5
    assert found.value("isoscore") <= 4 / 127


# samples


def test_measures_of_all_pairs_take_a_sample_and_say_so():
    points = cloud(300, 6)
    found = conescope.measure(points, sample=100, seed=3)
    rows = torch.randperm(300, generator=torch.Generator().manual_seed(3))[:100]
    for measured in found.values:
        row = MEASURES[measured.name]
        expected = row.function((points[rows] if row.from_bars else points).double()).item()
        assert measured.value == pytest.approx(expected, rel=1e-12)
        assert measured.note == ("on 100 of 300 points, seed 3" if row.from_bars else "")


def test_same_seed_same_sample():
    points = cloud(300, 6)
    first, again, other = (conescope.measure(points, sample=100, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.value("persistent_entropy") != other.value("persistent_entropy")


@pytest.mark.parametrize("sample", [300, 4096, None])
def test_no_sample_where_none_is_needed(sample):
    found = conescope.measure(cloud(300, 6), sample=sample)
    assert {measured.note for measured in found.values} == {""}


def test_sample_does_not_touch_the_global_seed():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    conescope.measure(cloud(300, 6), sample=100)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("sample", [1, 0, -5])
def test_sample_of_nothing_is_refused(sample):
    with pytest.raises(ValueError, match=f"at least 2, or None for all rows, got {sample}"):
        conescope.measure(cloud(300, 6), sample=sample)


# results


def test_gradient_is_cut_and_input_left_alone():
    points = cloud(30, 5).requires_grad_()
    before = points.detach().clone()
    conescope.measure(points)
    assert points.grad is None
    assert torch.equal(points.detach(), before)


def test_round_trip_as_json():
    found = conescope.measure(cloud(20, 128), ["a", "b"] * 10)
    assert Measurement.model_validate_json(found.model_dump_json()) == found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu():
    points, labels = cloud(300, 6), torch.arange(300) % 3
    here, there = (
        conescope.measure(points, labels, sample=100),
        conescope.measure(points.cuda(), labels, sample=100),
    )
    assert here.names() == there.names()
    for name in here.names():
        assert there.value(name) == pytest.approx(here.value(name), rel=1e-9)
