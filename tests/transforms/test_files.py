"""Fixes of files are those of the arrays in them."""

import json

import numpy as np
import pytest

from conescope.scale import open_shards
from conescope.transforms import Centering, ClusterAllButTheTop, Whitening, apply_to_files, fit_files


def rows(n, seed, dtype="float32"):
    return (np.random.default_rng(seed).normal(size=(n, 5)) + seed).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "a.npy", rows(30, 0))
    np.savez(tmp_path / "b.npz", emb=rows(20, 1, "float16"))
    lines = [json.dumps({"emb": row.tolist()}) for row in rows(9, 2)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    return tmp_path


def everything():
    return np.concatenate([rows(30, 0), rows(20, 1, "float16").astype("float32"), rows(9, 2)]).astype(
        "float64"
    )


@pytest.mark.parametrize("fix", [Whitening(), ClusterAllButTheTop(2, 1, random_state=0)], ids=str)
def test_files_of_all_kinds(folder, fix):
    shards, seen = open_shards(folder), []
    fit_files(fix, shards, advance=lambda *told: seen.append(told))
    assert seen == [(30, None, "a.npy"), (50, None, "b.npz"), (59, None, "c.jsonl")]
    expected = type(fix)(**fix.get_params()).fit(everything()).transform(everything())
    written = apply_to_files(fix, shards, folder / "out" / "x.npy")
    found = np.load(written.path)
    assert (written.rows, written.d, written.dtype) == (*found.shape, str(found.dtype))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("stored", "dtype"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_types_of_files(tmp_path, stored, dtype):
    np.save(tmp_path / "a.npy", rows(30, 0, stored))
    shards = open_shards(tmp_path / "a.npy")
    written = apply_to_files(fit_files(Centering(), shards), shards, tmp_path / "b.npy")
    assert written.dtype == dtype
    assert np.load(tmp_path / "b.npy").dtype == dtype


def test_a_row_that_is_not_finite_is_named_with_its_file_and_nothing_is_left(folder):
    bad = rows(9, 2)
    bad[4, 1] = np.nan
    np.save(folder / "d.npy", bad)
    fix = Centering().fit(everything())
    for call in (
        lambda: fit_files(Centering(), open_shards(folder)),
        lambda: apply_to_files(fix, open_shards(folder), folder / "out" / "x.npy"),
    ):
        with pytest.raises(ValueError, match=r"d\.npy: .* the first in row 4"):
            call()
    assert list((folder / "out").iterdir()) == []


def test_outputs_that_are_refused(folder):
    fix = Centering().fit(everything())
    with pytest.raises(ValueError, match="one of the files that are read"):
        apply_to_files(fix, open_shards(folder), folder / "a.npy")
    with pytest.raises(ValueError, match=r"ends in \.npy"):
        apply_to_files(fix, open_shards(folder), folder / "x.bin")
    np.testing.assert_array_equal(np.load(folder / "a.npy"), rows(30, 0))
