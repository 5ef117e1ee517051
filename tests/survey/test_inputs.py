"""What users hand in: numbered, moved and checked, and not copied without need."""

import numpy as np
import pytest
import torch

from conescope.survey.inputs import as_labels, as_partners, as_points
from tests.survey.clouds import cloud


def test_points_that_can_be_shared_are_not_copied():
    tensor, array = cloud(5, 2), cloud(5, 2).numpy()
    assert as_points(tensor).data_ptr() == tensor.data_ptr()
    assert as_points(array).data_ptr() == array.ctypes.data


def test_points_that_must_not_be_written_are_copied():
    array = cloud(5, 2).numpy()
    array.flags.writeable = False
    found = as_points(array)
    assert found.data_ptr() != array.ctypes.data
    np.testing.assert_array_equal(found.numpy(), array)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8"])
def test_numbers_of_any_byte_order(dtype):
    array = cloud(5, 2).numpy().astype(dtype)
    found = as_points(array)
    assert found.dtype == {2: torch.float16, 4: torch.float32, 8: torch.float64}[array.dtype.itemsize]
    assert found.tolist() == array.tolist()


def test_points_lose_their_gradient():
    assert not as_points(cloud(5, 2).requires_grad_()).requires_grad


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "b", "c"],
        ("b", "a", "b", "c"),
        np.array(["b", "a", "b", "c"], dtype=object),
        np.array([True, False, True, 2]),
        torch.tensor([9, -1, 9, 0]),
    ],
    ids=["list", "tuple", "objects", "numbers", "tensor"],
)
def test_labels_are_numbered_in_the_order_in_which_classes_appear(labels):
    assert as_labels(labels, 4).tolist() == [0, 1, 0, 2]


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("dtype", [object, "category"])
def test_a_column_of_a_data_frame_is_a_list_of_labels(dtype):
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series(["b", "a", "b", "c"], index=[7, 7, 7, 7], dtype=dtype)
    assert as_labels(labels, 4).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("labels", [np.array([True, False]), torch.tensor([True, False])])
def test_truth_values_are_classes(labels):
    assert as_labels(labels, 2).tolist() == [0, 1]


def test_partners_of_another_precision_are_taken():
    points = cloud(5, 2)
    torch.testing.assert_close(as_partners(points.half(), points), points.half())
    assert as_partners(points.numpy(), points).tolist() == points.tolist()


def test_partners_in_a_file(tmp_path):
    np.save(tmp_path / "partners.npy", cloud(5, 2, seed=1).numpy())
    found = as_partners(tmp_path / "partners.npy", cloud(5, 2))
    assert found.tolist() == cloud(5, 2, seed=1).tolist()
    with pytest.raises(ValueError, match=r"one a point: expected \(6, 2\), got \(5, 2\)"):
        as_partners(tmp_path / "partners.npy", cloud(6, 2))
