"""Every fix keeps scikit-learn's contract, its types, its files, and its promise about parts."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator

from conescope.scale.moments import merge, moments
from conescope.transforms import (
    KINDS,
    AllButTheTop,
    Centering,
    ClusterAllButTheTop,
    Standardizing,
    Whitening,
    load_fix,
)
from conescope.transforms.stored import read, write

FIXES = [
    Centering(),
    Standardizing(),
    Whitening(),
    Whitening(kind="zca", n_components=2, shrinkage=0.1, softness=0.5),
    Whitening(shrinkage="oas"),
    AllButTheTop(),
    AllButTheTop(2),
    ClusterAllButTheTop(n_clusters=3, n_components=1, random_state=0),
]
STREAMED = FIXES[:-1]


def copy(fix):
    return type(fix)(**fix.get_params())


def cloud(n=60, d=6, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, d)) @ generator.normal(size=(d, d)) + 5


# Some of these checks fit points of two dimensions, of which two can not be taken away.
@pytest.mark.parametrize("fix", [*FIXES[:6], ClusterAllButTheTop(n_clusters=2, n_components=1)], ids=str)
def test_the_contract_of_scikit_learn(fix, without_shape_checks):  # wrong types are part of it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # of array libraries that are not installed
        checks = check_estimator(copy(fix), on_skip="warn")
    assert sum(check["status"] == "passed" for check in checks) > 30


@pytest.mark.parametrize("fix", FIXES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_stay_and_float32_is_computed_in_float64(fix, dtype):
    points = cloud().astype(dtype)
    found = copy(fix).fit(points).transform(points)
    assert found.dtype == dtype
    expected = copy(fix).fit(points.astype("float64")).transform(points.astype("float64"))
    np.testing.assert_array_equal(found, expected.astype(dtype))


@pytest.mark.parametrize("fix", FIXES, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_with_its_row(fix, bad):
    points = cloud()
    points[7, 2] = bad
    with pytest.raises(ValueError, match="the first in row 7"):
        copy(fix).fit(points)
    with pytest.raises(ValueError, match="the first in row 7"):
        copy(fix).fit(cloud()).transform(points)


@pytest.mark.parametrize("fix", STREAMED, ids=str)
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=4, unique=True), seed=st.integers(0, 99))
def test_any_split_gives_the_numbers_of_one_fit(fix, cuts, seed):
    points = cloud(seed=seed)
    parts = np.split(points, sorted(cuts))
    whole = copy(fix).fit(points).transform(points)
    stepwise = copy(fix)
    for part in parts:
        stepwise.partial_fit(part)
    joined = merge(moments(torch.from_numpy(points[30:])), moments(torch.from_numpy(points[:30])))
    for other in (stepwise, copy(fix).fit_blocks(iter(parts)), copy(fix).fit_moments(joined)):
        assert other.n_samples_seen_ == 60
        np.testing.assert_allclose(other.transform(points), whole, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("fix", FIXES, ids=str)
def test_a_file_keeps_it_to_the_last_bit(fix, tmp_path):
    points = cloud()
    fitted = copy(fix).fit(points)
    fitted.save(tmp_path / "a.safetensors")
    for again in (load_fix(tmp_path / "a.safetensors"), type(fix).load(tmp_path / "a.safetensors")):
        assert type(again) is type(fix)
        assert again.get_params() == fix.get_params()
        assert (again.n_features_in_, again.n_samples_seen_) == (6, 60)
        np.testing.assert_array_equal(again.transform(points), fitted.transform(points))
        with pytest.raises(ValueError, match="expecting 6 features"):
            again.transform(points[:, :5])


def test_a_fix_from_a_file_does_not_forget_silently(tmp_path):
    Centering().fit(cloud()).save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="keeps no moments to go on from"):
        Centering.load(tmp_path / "a.safetensors").partial_fit(cloud())


def test_files_that_hold_no_such_fix(tmp_path):
    from safetensors.numpy import save_file

    Centering().fit(cloud()).save(tmp_path / "a.safetensors")
    with pytest.raises(
        ValueError, match=r"must hold whitening, but holds centering; read it with .*load_fix"
    ):
        Whitening.load(tmp_path / "a.safetensors")
    save_file({"x": np.ones(3)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="holds tensors of something else"):
        load_fix(tmp_path / "b.safetensors")
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="can not be read as safetensors"):
        load_fix(tmp_path / "c.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_fix(tmp_path / "d.safetensors")
    stored = read(tmp_path / "a.safetensors")
    for broken in (
        stored._replace(arrays={}),
        stored._replace(facts={}),
        stored._replace(settings={"n_components": 3}),
    ):
        write(tmp_path / "g.safetensors", broken)
        with pytest.raises(ValueError, match=r"g\.safetensors must hold all of a centering, and does not"):
            load_fix(tmp_path / "g.safetensors")
    with pytest.raises(NotFittedError):
        Whitening().save(tmp_path / "e.safetensors")
    odd = ClusterAllButTheTop(2, 1, random_state=np.random.RandomState(0)).fit(cloud())
    with pytest.raises(ValueError, match="give random_state as a whole number"):
        odd.save(tmp_path / "f.safetensors")
    assert not (tmp_path / "f.safetensors").exists()


def test_one_point_is_not_enough_for_directions_but_may_begin_a_stream():
    points = cloud()
    fix = Whitening().partial_fit(points[:1])
    with pytest.raises(NotFittedError):
        fix.transform(points)
    np.testing.assert_allclose(
        fix.partial_fit(points[1:]).transform(points), Whitening().fit_transform(points), rtol=1e-7, atol=1e-9
    )
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        Whitening().fit_blocks([points[:1]])
    with pytest.raises(ValueError, match="at least 1 points, got 0"):
        Centering().fit_blocks([])


def test_a_stream_may_begin_with_fewer_points_than_directions_that_are_kept():
    points = cloud()
    fix = Whitening(n_components=4)
    for rows in (points[:3], points[3:4]):
        with pytest.raises(NotFittedError):
            fix.partial_fit(rows).transform(points)
    fix.partial_fit(points[4:])
    expected = Whitening(n_components=4).fit_transform(points)
    np.testing.assert_allclose(fix.transform(points), expected, rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="n_components must be None or a whole number from 1 to 6"):
        Whitening(n_components=7).partial_fit(points)


@pytest.mark.parametrize("fix", FIXES, ids=str)
@pytest.mark.parametrize("spoil", ["shape", "number", "type", "dimensions"])
def test_a_file_whose_arrays_do_not_fit_together_is_refused(fix, spoil, tmp_path):
    path = tmp_path / "a.safetensors"
    copy(fix).fit(cloud()).save(path)
    stored = read(path)
    arrays, facts = dict(stored.arrays), dict(stored.facts)
    if spoil == "shape":
        arrays = {name: array.reshape(-1)[:1] for name, array in arrays.items()}
    elif spoil == "number":
        arrays = {name: array * np.nan for name, array in arrays.items()}
    elif spoil == "type":
        arrays = {name: array.astype(bool) for name, array in arrays.items()}
    else:
        facts["n_features_in"] = "six"
    write(path, stored._replace(arrays=arrays, facts=facts))
    with pytest.raises(ValueError, match=r"a\.safetensors must hold the arrays of .*; fit and save it"):
        load_fix(path)


def test_kinds_are_named_as_their_classes():
    for name, kind in KINDS.items():
        assert "".join(word.capitalize() for word in name.split("-")) == kind.__name__
