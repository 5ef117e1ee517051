"""Rows by class, against a plain loop, and the members of classes that are large enough."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses.classes import by_class, everyone, kinds_of_classes, members_of_classes

CPU = torch.device("cpu")
LABELS = st.lists(st.integers(-3, 5), max_size=30)


@settings(max_examples=80, deadline=None)
@given(LABELS)
def test_each_class_has_its_rows_in_order(numbers):
    found = by_class(torch.tensor(numbers, dtype=torch.int64))
    assert found.classes.tolist() == sorted(set(numbers))
    for number, start, size in zip(found.classes, found.starts, found.sizes, strict=True):
        rows = [row for row, label in enumerate(numbers) if label == number]
        assert found.rows[start : start + size].tolist() == rows


@settings(max_examples=80, deadline=None)
@given(LABELS, st.integers(1, 6))
def test_members_are_the_rows_of_large_enough_classes(numbers, min_points):
    found = members_of_classes(torch.tensor(numbers, dtype=torch.int64), min_points, CPU)
    present = torch.ones_like(found.rows, dtype=torch.bool) if found.present is None else found.present
    rows = [row[there].tolist() for row, there in zip(found.rows, present, strict=True)]
    every = {n: [i for i, label in enumerate(numbers) if label == n] for n in sorted(set(numbers)) if n >= 0}
    assert rows == [each for each in every.values() if len(each) >= min_points]
    assert found.points == sum(map(len, rows))
    assert found.skipped == len(every) - len(rows)
    assert ((found.rows >= 0) & (found.rows < max(len(numbers), 1))).all()  # also where none is


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6])
def test_everyone_is_one_class(count):
    found = everyone(count, 5, CPU)
    expected = members_of_classes(torch.zeros(count, dtype=torch.int64), 5, CPU)
    assert (found.points, found.skipped, len(found.rows)) == (
        expected.points,
        expected.skipped,
        len(expected.rows),
    )
    if count >= 5:
        assert torch.equal(found.rows, expected.rows)
        assert found.present is None


@settings(max_examples=80, deadline=None)
@given(LABELS, st.integers(1, 6))
def test_kinds_are_the_same_classes_without_a_shape_that_depends_on_them(numbers, min_points):
    labels = torch.tensor(numbers, dtype=torch.int64)
    found, members = kinds_of_classes(labels, min_points), members_of_classes(labels, min_points, CPU)
    present = torch.ones_like(members.rows, dtype=torch.bool) if members.present is None else members.present
    expected = [found.most] * len(numbers)
    for number, (rows, there) in enumerate(zip(members.rows, present, strict=True)):
        for row in rows[there].tolist():
            expected[row] = number
    assert found.numbers.tolist() == expected
    assert found.most == len(numbers) // min_points
    assert (int(found.points), int(found.classes), int(found.skipped)) == (
        members.points,
        len(members.rows),
        members.skipped,
    )
