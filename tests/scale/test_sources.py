"""Points from files: what is written is read, and what is not points is refused in one clear line."""

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from conescope.scale import read_points

FLOATS = ["float16", "float32", "float64"]


def rows(dtype="float32", n=7, d=3):
    return np.random.default_rng(0).normal(size=(n, d)).astype(dtype)


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def lists(array, kind=None):
    return pa.array(list(array), type=kind or pa.list_(pa.from_numpy_dtype(array.dtype)))


# npy


@pytest.mark.parametrize("dtype", [*FLOATS, ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, dtype, order):
    array = np.asarray(rows(dtype), order=order)
    np.save(tmp_path / "x.npy", array)
    found = read_points(tmp_path / "x.npy")
    assert found.labels is None
    assert torch.equal(found.points, torch.from_numpy(array.astype(array.dtype.newbyteorder("="))))
    assert found.points.dtype == torch.from_numpy(np.zeros(1, array.dtype.newbyteorder("="))).dtype


def test_npy_may_be_named_by_a_string(tmp_path):
    np.save(tmp_path / "x.npy", rows())
    assert torch.equal(read_points(str(tmp_path / "x.npy")).points, torch.from_numpy(rows()))


def test_npy_is_mapped_and_never_written(tmp_path):
    np.save(tmp_path / "x.npy", rows())
    os.chmod(tmp_path / "x.npy", 0o444)
    points = read_points(tmp_path / "x.npy").points
    points += 1
    assert np.array_equal(np.load(tmp_path / "x.npy"), rows())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, "f4"), r"has shape \(5,\); a single vector is array\[None, :\]"),
        (np.zeros((2, 3, 4), "f4"), r"has shape \(2, 3, 4\); token vectors"),
        (np.zeros((2, 3, 4, 5), "f4"), r"has shape \(2, 3, 4, 5\)$"),
        (np.float32(3), r"has shape \(\)"),
        (np.zeros((0, 4), "f4"), r"no points: its shape is \(0, 4\)"),
        (np.zeros((4, 0), "f4"), r"no points: its shape is \(4, 0\)"),
        (np.zeros((5, 2), "i8"), r"holds int64 of shape \(5, 2\); convert with array.astype\('float32'\)"),
        (np.zeros((5, 2), bool), "holds bool"),
        (np.zeros((5, 2), complex), "holds complex128"),
        (np.zeros((5, 2), np.longdouble), "holds float128|holds float64"),
        (np.array([["a", "b"]]), "holds <U1"),
        (np.zeros(3, [("x", "f4")]), "holds .*x"),
    ],
)
def test_npy_that_holds_no_points(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        read_points(tmp_path / "x.npy")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_pickles_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("object.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    Path("plain.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"holds Python objects.*numpy.array\(rows.tolist\(\)\)"):
        read_points("object.npy")
    with pytest.raises(ValueError, match="is not an npy file"):
        read_points("plain.npy")
    with pytest.raises(ValueError, match="holds Python objects"):
        read_points("object.npy", labels="object.npy")
    assert not Path("exploded").exists()


def test_broken_npy(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, rows())
    whole = path.read_bytes()
    for content, message in [
        (b"", "is empty"),
        (b"a,b\n1,2\n3,4\n5,6\n", "is not an npy file"),
        (whole[:150], "ends before its last row"),
        (whole[:20], "can not be read as npy"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_points(path)
    with path.open("wb") as archive:
        np.savez(archive, rows())
    with pytest.raises(ValueError, match="npz archive; save the one array"):
        read_points(path)


def test_npy_has_no_columns(tmp_path):
    np.save(tmp_path / "x.npy", rows())
    with pytest.raises(ValueError, match="one array and no columns; leave 'vector' out"):
        read_points(tmp_path / "x.npy", column="vector")


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*x\.npy"):
        read_points(tmp_path / "x.npy")
    (tmp_path / "x.docx").touch()
    with pytest.raises(ValueError, match=r"from \.npy, \.npz, \.safetensors, .*but .*ends in '\.docx'"):
        read_points(tmp_path / "x.docx")
    (tmp_path / "d.npy").mkdir()
    with pytest.raises(ValueError, match="is a directory"):
        read_points(tmp_path / "d.npy")


# safetensors


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_safetensors(tmp_path, dtype):
    points = torch.from_numpy(rows()).to(dtype)
    save_file(
        {"x": points, "bias": torch.zeros(3), "ids": torch.zeros(7, 2).long()}, tmp_path / "x.safetensors"
    )
    found = read_points(tmp_path / "x.safetensors").points
    assert found.dtype == dtype
    assert torch.equal(found, points)


def test_safetensors_by_name_with_labels(tmp_path):
    tensors = {"a": torch.zeros(7, 2), "b": torch.from_numpy(rows()), "y": torch.arange(7)}
    save_file(tensors, tmp_path / "x.safetensors")
    found = read_points(tmp_path / "x.safetensors", column="b", labels="y")
    assert torch.equal(found.points, tensors["b"])
    assert found.labels == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("tensors", "column", "labels", "message"),
    [
        (
            {"a": torch.zeros(2, 2), "b": torch.zeros(3, 2)},
            None,
            None,
            r"has 2 of them: a, b; name one.*a \(F32 \(2, 2\)\), b ",
        ),
        ({"a": torch.zeros(4)}, None, None, r"has none; it holds a \(F32 \(4,\)\)"),
        ({}, None, None, "it holds nothing"),
        ({"a": torch.zeros(2, 2)}, "c", None, r"no tensor 'c'; it holds a \(F32 \(2, 2\)\)"),
        ({"a": torch.zeros(2, 2).long()}, "a", None, "tensor 'a' of .* is I64"),
        ({"a": torch.zeros(2, 2, 2)}, "a", None, r"tensor 'a' of .* has shape \(2, 2, 2\)"),
        ({"a": torch.zeros(0, 2)}, None, None, r"holds no points: its shape is \(0, 2\)"),
        ({"a": torch.zeros(2, 2), "y": torch.zeros(2)}, "a", "y", "labels are integers, .*'y'.*F32"),
        ({"a": torch.zeros(2, 2), "y": torch.zeros(3).long()}, "a", "y", "y holds 3 labels, but .* 2 points"),
    ],
)
def test_safetensors_that_hold_no_points(tmp_path, tensors, column, labels, message):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=message):
        read_points(tmp_path / "x.safetensors", column=column, labels=labels)


@pytest.mark.parametrize("content", [b"", b"nothing like a header at all"])
def test_broken_safetensors(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors can not be read as safetensors"):
        read_points(tmp_path / "x.safetensors")


# Parquet


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed_size_list"])
def test_parquet(tmp_path, dtype, kind):
    array = rows(dtype)
    number = pa.from_numpy_dtype(array.dtype)
    types = {
        "list": pa.list_(number),
        "large_list": pa.large_list(number),
        "fixed_size_list": pa.list_(number, 3),
    }
    path = parquet(tmp_path / "x.parquet", id=list(range(7)), vector=lists(array, types[kind]))
    found = read_points(path)
    assert torch.equal(found.points, torch.from_numpy(array))
    assert found.labels is None


def test_parquet_of_many_row_groups(tmp_path):
    table = pa.table({"v": lists(rows(n=100)), "y": [str(i % 3) for i in range(100)]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=7)
    found = read_points(tmp_path / "x.parquet", labels="y")
    assert torch.equal(found.points, torch.from_numpy(rows(n=100)))
    assert found.labels == [str(i % 3) for i in range(100)]


@pytest.mark.parametrize("values", [["a", "b", "a", "<b>", "c", "a", "b"], [3, -1, 3, 0, 2, 2, 2]])
@pytest.mark.parametrize("encoded", [False, True])
def test_parquet_labels(tmp_path, values, encoded):
    labels = pa.array(values).dictionary_encode() if encoded else pa.array(values)
    path = parquet(tmp_path / "x.parquet", v=lists(rows()), y=labels)
    assert read_points(path, labels="y").labels == values


def test_parquet_by_name(tmp_path):
    path = parquet(tmp_path / "x.parquet", a=lists(rows()), b=lists(rows() + 1))
    assert torch.equal(read_points(path, column="b").points, torch.from_numpy(rows() + 1))
    with pytest.raises(
        ValueError, match="one column of vectors, but has 2 of them: a, b; name one as column"
    ):
        read_points(path)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            pa.array([[1.0, 2], [3, 4], None, [1, 2], None]),
            r"no vector in 2 of 5 rows \(null\), the first in row 2",
        ),
        (pa.array([[1.0, 2], [3, 4], [5]]), "row 2 has 1 numbers and row 0 has 2"),
        (pa.array([[1.0, 2], [3, 4], [5, None]]), r"a missing number \(null\), the first in row 2"),
        (pa.array([], pa.list_(pa.float32())), "'v' of .* holds no points"),
        (pa.array([[], []], pa.list_(pa.float32())), "holds empty vectors"),
        (pa.array([[1, 2], [3, 4]]), r"holds list<.*int64>, not lists of floating point numbers"),
        (pa.array([[[1.0]], [[2.0]]]), "holds list<.*list<.*double>>, not lists of floating"),
        (pa.array([1.0, 2.0]), "holds double, not lists of floating point numbers; columns of vectors: none"),
    ],
)
def test_parquet_columns_that_hold_no_vectors(tmp_path, cells, message):
    path = parquet(tmp_path / "x.parquet", v=cells)
    with pytest.raises(ValueError, match=message):
        read_points(path, column="v")


def test_null_beyond_the_first_row_group_is_found_where_it_is(tmp_path):
    table = pa.table({"v": pa.array([[1.0, 2]] * 10 + [[1, None]])})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=4)
    with pytest.raises(ValueError, match="the first in row 10"):
        read_points(tmp_path / "x.parquet")


def test_parquet_columns_that_are_not_there(tmp_path):
    path = parquet(tmp_path / "x.parquet", v=lists(rows()), y=[1.5] * 7, z=["a", None] * 3 + ["b"])
    with pytest.raises(ValueError, match=r"no column 'w'; it holds v \(list<.*>\), y \(double\)"):
        read_points(path, column="w")
    with pytest.raises(ValueError, match="no column 'w' to take labels from, and there is no such file"):
        read_points(path, labels="w")
    with pytest.raises(ValueError, match=r"labels are integers or strings, but column 'y' .* double"):
        read_points(path, labels="y")
    with pytest.raises(ValueError, match=r"'z' .* no label in 3 of 7 rows \(null\), the first in row 1"):
        read_points(path, labels="z")
    with pytest.raises(ValueError, match=r"has none; it holds id \(int64\)"):
        read_points(parquet(tmp_path / "y.parquet", id=[1, 2]))


@pytest.mark.parametrize("content", [b"", b"not parquet, whatever the name says"])
def test_broken_parquet(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.parquet can not be read as Parquet"):
        read_points(tmp_path / "x.parquet")


# labels in a file of their own


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([2, 1, 2]), [2, 1, 2]),
        (np.array(["a", "ä", "a"]), ["a", "ä", "a"]),
        (np.array(["a", "ä", "a"]).astype("U4"), ["a", "ä", "a"]),
        (np.char.encode(np.array(["a", "ä", "a"]), "utf-8"), ["a", "ä", "a"]),
    ],
)
def test_labels_in_npy(tmp_path, array, expected):
    np.save(tmp_path / "x.npy", rows(n=3))
    np.save(tmp_path / "y.npy", array)
    assert read_points(tmp_path / "x.npy", labels=tmp_path / "y.npy").labels == expected


@pytest.mark.parametrize("text", ["a\nb b\nä\n", "a\nb b\nä", "\ufeffa\r\nb b\r\nä\r\n"])
def test_labels_in_text(tmp_path, text):
    np.save(tmp_path / "x.npy", rows(n=3))
    (tmp_path / "y.txt").write_bytes(text.encode())
    assert read_points(tmp_path / "x.npy", labels=tmp_path / "y.txt").labels == ["a", "b b", "ä"]


def test_labels_beside_parquet_and_safetensors(tmp_path):
    (tmp_path / "y.txt").write_text("a\nb\na\n")
    save_file({"x": torch.from_numpy(rows(n=3))}, tmp_path / "x.safetensors")
    path = parquet(tmp_path / "x.parquet", v=lists(rows(n=3)))
    for file in (path, tmp_path / "x.safetensors"):
        assert read_points(file, labels=str(tmp_path / "y.txt")).labels == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("y.txt", b"a\nb\n", ValueError, "y.txt holds 2 labels, but .*x.npy holds 3 points"),
        ("y.txt", b"a\n\nb\n", ValueError, "line 2 is empty"),
        ("y.txt", b"", ValueError, "holds 0 labels"),
        ("y.txt", b"\xff\xfe\x00", ValueError, "must be text in UTF-8"),
        ("y.csv", b"a", ValueError, r"labels are read from \.npy, or \.txt"),
        ("y.npy", np.zeros(3), ValueError, r"holds float64 of shape \(3,\)"),
        ("y.npy", np.zeros((3, 1), int), ValueError, r"holds int64 of shape \(3, 1\)"),
        ("y.npy", None, FileNotFoundError, "there is no file .* to read labels from"),
    ],
)
def test_label_files_that_hold_no_labels(tmp_path, name, content, error, message):
    np.save(tmp_path / "x.npy", rows(n=3))
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        np.save(tmp_path / name, content)
    with pytest.raises(error, match=message):
        read_points(tmp_path / "x.npy", labels=tmp_path / name)


@pytest.mark.parametrize(("package", "file"), [("pyarrow", "x.parquet"), ("safetensors", "x.safetensors")])
def test_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, file):
    (tmp_path / file).touch()

    def blocked(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("conescope._optional.import_module", blocked)
    with pytest.raises(ImportError, match=rf"needs the package {package}: pip install 'conescope\[files\]'"):
        read_points(tmp_path / file)
