"""Streams of blocks: whatever the format, start and block size, the rows are those that were written."""

import contextlib
import csv
import io
import json
import os
import pickle
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from conescope.scale import Block, Shard, open_shards, read_points, shard_of

N, D = 23, 3
TEXTS = ["a", "ä", "two\nlines", 'quo"ted', "comma,"]


def rows(n=N, d=D, dtype="float32"):
    return np.random.default_rng(0).normal(size=(n, d)).astype(dtype)


def whole_numbers(n=N):
    return [i % 5 - 1 for i in range(n)]


def strings(n=N):
    return [TEXTS[i % 5] for i in range(n)]


def lists(array, kind=None):
    return pa.array(list(array), type=kind or pa.list_(pa.from_numpy_dtype(array.dtype)))


def write_npy(path, array, labels):
    np.save(path, array)


def write_npz(path, array, labels):
    np.savez_compressed(path, x=array, y=labels, other=np.zeros(3))


def write_tensors(path, array, labels):
    save_file({"x": torch.from_numpy(array), "y": torch.tensor(labels)}, path)


def table(array, labels):
    return pa.table({"x": lists(array), "y": labels, "id": range(len(array))})


def write_parquet(path, array, labels):
    pq.write_table(table(array, labels), path, row_group_size=7)


def write_arrow_file(path, array, labels):
    with pa.ipc.new_file(path, table(array, labels).schema) as writer:
        writer.write_table(table(array, labels), max_chunksize=5)


def write_arrow_stream(path, array, labels):
    with pa.ipc.new_stream(path, table(array, labels).schema) as writer:
        writer.write_table(table(array, labels), max_chunksize=5)


def write_hdf5(path, array, labels):
    with h5py.File(path, "w") as file:
        file.create_dataset("deep/x", data=array, chunks=(4, array.shape[1]))
        file["y"] = labels


def write_hdf5_contiguous(path, array, labels):
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = array, labels


def write_zarr(path, array, labels, version=3):
    store = zarr.storage.ZipStore(path, mode="w") if path.suffix == ".zip" else str(path)
    group = zarr.open_group(store, mode="w", zarr_format=version)
    group.create_array("x", data=array, chunks=(4, 2))
    if isinstance(labels[0], str):
        group.create_array("y", shape=(len(labels),), dtype=str)[:] = np.array(labels, dtype=object)
    else:
        group.create_array("y", data=np.array(labels))
    if path.suffix == ".zip":
        store.close()


def write_zarr_2(path, array, labels):
    write_zarr(path, array, labels, version=2)


def write_csv(path, array, labels):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerow(["id", "y", *(f"e{i}" for i in range(array.shape[1]))])
        for i, (row, label) in enumerate(zip(array.tolist(), labels, strict=True)):
            writer.writerow([i, label, *row])


def write_csv_of_lists(path, array, labels):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "y", "x"])
        for i, (row, label) in enumerate(zip(array.tolist(), labels, strict=True)):
            writer.writerow([i, label, json.dumps(row)])


def write_json_lines(path, array, labels):
    lines = [json.dumps({"y": y, "x": x}) for x, y in zip(array.tolist(), labels, strict=True)]
    path.write_text("\n\n".join(lines))


FORMATS = {  # how it is written: file, whether labels may be strings, whether the file tells its rows
    "npy": (write_npy, "x.npy", None, True),
    "npz": (write_npz, "x.npz", True, True),
    "safetensors": (write_tensors, "x.safetensors", False, True),
    "parquet": (write_parquet, "x.parquet", True, True),
    "arrow file": (write_arrow_file, "x.feather", True, True),
    "arrow stream": (write_arrow_stream, "x.arrow", True, False),
    "hdf5": (write_hdf5, "x.h5", True, True),
    "hdf5 contiguous": (write_hdf5_contiguous, "x.hdf5", True, True),
    "zarr": (write_zarr, "x.zarr", True, True),
    "zarr 2": (write_zarr_2, "x.zarr", True, True),
    "zarr zip": (write_zarr, "x.zarr.zip", True, True),
    "csv": (write_csv, "x.csv", True, False),
    "tsv": (write_csv, "x.tsv", True, False),
    "csv of lists": (write_csv_of_lists, "x.csv", True, False),
    "json lines": (write_json_lines, "x.jsonl", True, False),
}
TEXT = ("csv", "tsv", "csv of lists", "json lines")


def written(folder, name, array=None, labels=None):
    write, file, text, _ = FORMATS[name]
    path = folder / file
    if labels is None:
        labels = strings() if text else whole_numbers()
    write(path, rows() if array is None else array, labels)
    return path


@pytest.fixture(scope="module", params=FORMATS)
def stored(request, tmp_path_factory):
    """A file of each format: its name, its shard, and the points and labels that were written."""
    name = request.param
    path = written(tmp_path_factory.mktemp("stored"), name)
    text = FORMATS[name][2]
    (shard,) = open_shards(path, labels=None if text is None else "y")
    points = torch.from_numpy(rows())
    expected = {None: None, True: strings(), False: whole_numbers()}[text]
    return name, shard, points.double() if name in TEXT else points, expected


def gathered(blocks):
    blocks = list(blocks)
    labels = None if blocks[0].labels is None else [label for block in blocks for label in block.labels]
    return torch.cat([block.points for block in blocks]), labels


# the same in every format


def test_what_is_written_is_read(stored):
    name, shard, points, labels = stored
    assert shard.shape() == (N if FORMATS[name][3] else None, D)
    found, classes = gathered(shard.blocks())
    assert torch.equal(found, points)
    assert found.dtype == points.dtype
    assert classes == labels
    at_once = read_points(shard.path, labels=shard.labels)
    assert torch.equal(at_once.points, points)
    assert at_once.labels == labels


@settings(max_examples=20, deadline=None)
@given(start=st.integers(0, N), height=st.integers(1, N + 3))
def test_blocks_are_slices(stored, start, height):
    _, shard, points, labels = stored
    blocks = list(shard.blocks(start, height))
    assert [len(block.points) for block in blocks] == [min(height, N - at) for at in range(start, N, height)]
    for at, block in zip(range(start, N, height), blocks, strict=True):
        assert torch.equal(block.points, points[at : at + height])
        assert block.labels == (None if labels is None else labels[at : at + height])


def test_a_block_may_be_written_to(stored):
    _, shard, points, _ = stored
    for block in shard.blocks(rows=4):
        block.points.zero_()
    assert torch.equal(gathered(shard.blocks())[0], points)


def test_beyond_the_end(stored):
    _, shard, _, _ = stored
    assert list(shard.blocks(start=N)) == []
    with pytest.raises(ValueError, match=rf"has {N} rows, and can not be read from row {N + 1} on"):
        list(shard.blocks(start=N + 1))


@pytest.mark.parametrize(("start", "height"), [(-1, None), (0, 0), (0, -3)])
def test_blocks_have_rows(stored, start, height):
    with pytest.raises(ValueError, match="at least one row and begin at 0"):
        stored[1].blocks(start, height)


def test_the_file_is_closed(stored):
    _, shard, _, _ = stored
    list(shard.blocks(rows=5))
    assert closed()
    dropped = shard.blocks(rows=5)
    next(dropped)
    dropped.close()
    assert closed()
    with contextlib.suppress(KeyError), contextlib.closing(shard.blocks(rows=5)) as blocks:
        next(blocks)
        raise KeyError
    assert closed()


def closed():
    """Whether no file of the test is open, once the threads that read ahead (CSV) have noticed."""
    end = time.monotonic() + 5
    while descriptors() and time.monotonic() < end:
        time.sleep(0.01)
    return descriptors() == []


def descriptors():
    """The files of the test that are open; not the pipes of the event loop that zarr keeps."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [name for name in found if "stored" in name]


def test_labels_of_whole_numbers(tmp_path):
    for name in FORMATS:
        if name == "npy":
            continue
        folder = tmp_path / name
        folder.mkdir()
        path = written(folder, name, labels=whole_numbers())
        expected = (
            [str(label) for label in whole_numbers()] if "csv" in name or name == "tsv" else whole_numbers()
        )
        assert read_points(path, labels="y").labels == expected


def test_labels_in_a_file_of_their_own(stored, tmp_path):
    _, shard, _points, _ = stored
    np.save(tmp_path / "labels.npy", np.arange(N))
    other = Shard(shard.name, shard.path, labels=str(tmp_path / "labels.npy"))
    found = list(other.blocks(5, 4))
    assert [block.labels for block in found] == [list(range(at, min(at + 4, N))) for at in range(5, N, 4)]
    for count in (N - 1, N + 1):
        np.save(tmp_path / "labels.npy", np.arange(count))
        with pytest.raises(ValueError, match=rf"labels.npy holds {count} labels, but .* points"):
            list(other.blocks())


def test_missing_label_column(stored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, shard, _, _ = stored
    with pytest.raises(
        (ValueError, FileNotFoundError), match=r"no (column|file) .*to (take|read) labels from"
    ):
        list(Shard(shard.name, shard.path, labels="nowhere").blocks())


def test_missing_column(stored):
    _, shard, _, _ = stored
    with pytest.raises(ValueError, match=r"'w'"):
        Shard(shard.name, shard.path, column="w").shape()


def test_file_that_is_gone(stored, tmp_path):
    gone = Shard("x", tmp_path / stored[1].path.name)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*x"):
        gone.shape()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*x"):
        list(gone.blocks())


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("zarr") or "zip" in name])
@pytest.mark.parametrize("kept", [0, 1, 5, 0.5])
def test_files_that_end_too_early(tmp_path, name, kept):
    array = rows(400)
    path = written(tmp_path, name, array, labels=whole_numbers(400))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    (shard,) = open_shards(path)  # a broken file raises when it is read
    if kept == 0.5 and name in TEXT:
        with contextlib.suppress(ValueError):  # the end of a text can be cut without a trace
            found = torch.cat([block.points for block in shard.blocks()])
            assert len(found) < 400
        return
    with pytest.raises(ValueError, match=rf"{path.name}"):
        list(shard.blocks())


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_something_else(tmp_path, name):
    path = tmp_path / FORMATS[name][1]
    path.write_bytes(b"\x00\xff\xfenothing of the kind" * 30)
    with pytest.raises(ValueError, match=rf"{path.name}"):
        open_shards(path)[0].shape()


@pytest.mark.parametrize("name", FORMATS)
def test_folders_in_place_of_files(tmp_path, name):
    path = tmp_path / FORMATS[name][1]
    path.mkdir()
    with pytest.raises(ValueError, match=r"is a directory|can not be read as Zarr"):
        open_shards(path)[0].shape()


@pytest.mark.parametrize("name", ["npz", "parquet", "arrow file", "arrow stream", "hdf5", "zarr", "zarr 2"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floating_point_types(tmp_path, name, dtype):
    path = written(tmp_path, name, rows(dtype=dtype))
    found = read_points(path).points
    assert torch.equal(found, torch.from_numpy(rows(dtype=dtype)))
    assert found.dtype == getattr(torch, dtype)


@pytest.mark.parametrize("name", ["npy", "npz", "hdf5 contiguous", "zarr 2"])
def test_numbers_in_the_other_byte_order(tmp_path, name):
    found = read_points(written(tmp_path, name, rows(dtype=">f4"))).points
    assert torch.equal(found, torch.from_numpy(rows()))


@pytest.mark.parametrize("name", ["npz", "hdf5 contiguous", "zarr", "zarr 2"])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 2), "i8"), r"'x' of .*is int64; convert with array.astype\('float32'\)"),
        (np.zeros((5, 2), complex), "'x' of .*is complex128"),
        (np.zeros((5, 2), bool), "'x' of .*is bool"),
        (np.zeros(5, "f4"), r"'x' of .*has shape \(5,\); a single vector"),
        (np.zeros((5, 2, 2), "f4"), r"'x' of .*has shape \(5, 2, 2\); token vectors"),
        (np.zeros((0, 2), "f4"), r"'x' of .*holds no points: its shape is \(0, 2\)"),
        (np.zeros((5, 0), "f4"), r"'x' of .*holds no points: its shape is \(5, 0\)"),
    ],
)
def test_arrays_that_hold_no_points(tmp_path, name, array, message):
    path = tmp_path / FORMATS[name][1]
    if name == "npz":
        np.savez(path, x=array)
    elif "hdf5" in name:
        with h5py.File(path, "w") as file:
            file["x"] = array
    else:
        group = zarr.open_group(str(path), mode="w", zarr_format=2 if "2" in name else 3)
        group.create_array("x", data=array, chunks=tuple(max(size, 1) for size in array.shape))
    with pytest.raises(ValueError, match=message):
        open_shards(path, column="x")[0].shape()


@pytest.mark.parametrize(
    "name", ["npz", "safetensors", "hdf5", "zarr", "parquet", "arrow file", "json lines"]
)
def test_the_column_is_guessed_by_its_name(tmp_path, name):
    def store(**arrays):
        path = tmp_path / FORMATS[name][1]
        if name == "npz":
            np.savez(path, **arrays)
        elif name == "safetensors":
            save_file({key: torch.from_numpy(array) for key, array in arrays.items()}, path)
        elif name == "hdf5":
            with h5py.File(path, "w") as file:
                file.update(arrays)
        elif name == "zarr":
            zarr.save_group(str(path), **arrays)
        elif name == "parquet":
            pq.write_table(pa.table({key: lists(array) for key, array in arrays.items()}), path)
        elif name == "arrow file":
            write = pa.table({key: lists(array) for key, array in arrays.items()})
            with pa.ipc.new_file(path, write.schema) as writer:
                writer.write_table(write)
        else:
            keys = arrays.keys()
            lines = zip(*(array.tolist() for array in arrays.values()), strict=True)
            path.write_text("\n".join(json.dumps(dict(zip(keys, line, strict=True))) for line in lines))
        return path

    found = read_points(store(a=rows() + 1, My_Embedding=rows())).points
    assert torch.equal(found.float(), torch.from_numpy(rows()))
    with pytest.raises(ValueError, match=r"has 2 of them: .*; name one as column; it holds a \("):
        read_points(store(a=rows(), b=rows()))
    with pytest.raises(ValueError, match=r"has 3 of them: .*; name one as column"):
        read_points(store(a=rows(), vec_1=rows(), emb=rows()))
    assert torch.equal(
        read_points(store(a=rows(), b=rows() + 1), column="a").points.float(), torch.from_numpy(rows())
    )


# what one format has


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_pickles_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = np.array([[Bomb()]], dtype=object)
    np.savez("object.npz", x=bomb, y=bomb[0])
    with zipfile.ZipFile("plain.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Bomb()))
    np.savez("labels.npz", x=np.zeros((1, 2)), y=bomb[0])
    with pytest.raises(ValueError, match=r"'x' of .*is object"):
        read_points("object.npz", column="x")
    with pytest.raises(ValueError, match=r"plain.npz can not be read as npz"):
        read_points("plain.npz")
    with pytest.raises(ValueError, match=r"labels.npz can not be read as npz: .*allow_pickle"):
        read_points("labels.npz", labels="y")
    assert not Path("exploded").exists()


@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_zarr_packed_with_pickle_is_refused_and_not_run(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    head = {
        "zarr_format": 2,
        "shape": [1, 2],
        "chunks": [1, 2],
        "dtype": "<f8",
        "fill_value": 0,
        "order": "C",
    }
    codec = {"id": "pickle", "protocol": 5}
    head |= (
        {"filters": [codec], "compressor": None}
        if place == "filters"
        else {"filters": None, "compressor": codec}
    )
    Path("x.zarr").mkdir()
    Path("x.zarr/.zarray").write_text(json.dumps(head))
    Path("x.zarr/0.0").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"pickle|can not be read as Zarr"):
        read_points("x.zarr")
    assert not Path("exploded").exists()


def test_npy_in_fortran_order(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(rows()))
    found = list(open_shards(tmp_path / "x.npy")[0].blocks(3, 6))
    assert torch.equal(torch.cat([block.points for block in found]), torch.from_numpy(rows()[3:]))


def test_npz_with_a_damaged_member(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        content = io.BytesIO()
        np.save(content, rows(4000))
        archive.writestr("x.npy", content.getvalue())
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    whole[40_000] ^= 1  # one bit of the numbers
    (tmp_path / "x.npz").write_bytes(whole)
    shard = open_shards(tmp_path / "x.npz")[0]
    assert shard.shape() == (4000, D)
    with pytest.raises(ValueError, match=r"x.npz can not be read as npz: Bad CRC-32"):
        list(shard.blocks())


def test_safetensors_in_bfloat16(tmp_path):
    points = torch.from_numpy(rows()).bfloat16()
    save_file({"x": points}, tmp_path / "x.safetensors")
    found = list(open_shards(tmp_path / "x.safetensors")[0].blocks(2, 5))
    assert torch.equal(torch.cat([block.points for block in found]), points[2:])


@pytest.mark.parametrize("name", ["parquet", "arrow file", "arrow stream"])
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed_size_list", "tensor"])
def test_kinds_of_lists(tmp_path, name, kind):
    number = pa.float32()
    plain = {"list": pa.list_(number), "large_list": pa.large_list(number)}.get(kind, pa.list_(number, D))
    cells = lists(rows(), plain)
    if kind == "tensor":
        cells = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(number, [D]), cells)
    path = tmp_path / FORMATS[name][1]
    some = pa.table({"x": cells, "y": strings()})
    if name == "parquet":
        pq.write_table(some, path, row_group_size=6)
    else:
        start = pa.ipc.new_file if name == "arrow file" else pa.ipc.new_stream
        with start(path, some.schema) as writer:
            writer.write_table(some, max_chunksize=6)
    found = list(open_shards(path, labels="y")[0].blocks(4, 5))
    assert torch.equal(torch.cat([block.points for block in found]), torch.from_numpy(rows()[4:]))
    assert [label for block in found for label in block.labels] == strings()[4:]


@pytest.mark.parametrize("name", ["parquet", "arrow file", "arrow stream"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1.0], "row 17 has 1 numbers and row 0 has 2"),
        (None, r"no vector in 1 of \d+ rows.* \(null\), the first in row 17"),
        ([1.0, None], r"a missing number \(null\), the first in row 17"),
    ],
)
def test_a_broken_row_is_named_and_those_before_it_are_not_lost(tmp_path, name, bad, message):
    cells = [[float(i), 0.5] for i in range(20)]
    cells[17] = bad
    some = pa.table({"x": pa.array(cells, pa.list_(pa.float64())), "y": ["a"] * 20})
    path = tmp_path / FORMATS[name][1]
    if name == "parquet":
        pq.write_table(some, path, row_group_size=6)
    else:
        start = pa.ipc.new_file if name == "arrow file" else pa.ipc.new_stream
        with start(path, some.schema) as writer:
            writer.write_table(some, max_chunksize=6)
    blocks = open_shards(path)[0].blocks(rows=6)
    assert [len(next(blocks).points), len(next(blocks).points)] == [6, 6]
    with pytest.raises(ValueError, match=message):
        next(blocks)


@pytest.mark.parametrize("name", ["arrow file", "arrow stream"])
def test_compressed_arrow(tmp_path, name):
    path = tmp_path / FORMATS[name][1]
    start = pa.ipc.new_file if name == "arrow file" else pa.ipc.new_stream
    some = table(rows(), strings())
    with start(path, some.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(some, max_chunksize=5)
    assert torch.equal(read_points(path).points, torch.from_numpy(rows()))


@pytest.mark.parametrize("name", ["parquet", "arrow file", "arrow stream"])
def test_tables_without_rows(tmp_path, name):
    path = written(tmp_path, name, np.zeros((0, 3), "f4"), labels=pa.array([], pa.string()))
    with pytest.raises(ValueError, match=r"'x' of .* holds no points"):
        open_shards(path)[0].shape()


def test_damaged_parquet_page_is_an_error_of_its_rows(tmp_path):
    path = tmp_path / "x.parquet"
    some = pa.table({"x": lists(rows(4000))})
    pq.write_table(some, path, row_group_size=1000, write_page_checksum=True, use_dictionary=False)
    whole = bytearray(path.read_bytes())
    whole[len(whole) * 7 // 8] ^= 1
    path.write_bytes(whole)
    blocks = open_shards(path)[0].blocks(rows=1000)
    assert torch.equal(next(blocks).points, torch.from_numpy(rows(4000)[:1000]))
    with pytest.raises(ValueError, match=r"x.parquet can not be read as Parquet: .*(corrupt|checksum)"):
        list(blocks)


def test_hdf5_by_its_path_and_labels_of_all_kinds(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["layers/3/x"], file["layers/4/x"] = rows(), rows() + 1
        file["layers/y"] = np.array(["a", "ä"] * 11 + ["b"], dtype=h5py.string_dtype())
        file["bytes"] = np.array([b"a", b"b"] * 11 + [b"c"])
        file["truth"] = np.arange(N) % 2 == 0
        file["ragged"] = np.array([np.arange(i) for i in range(N)], dtype=h5py.vlen_dtype("i4"))
        file["other"] = h5py.ExternalLink("elsewhere.h5", "/x")
    read = {"path": tmp_path / "x.h5", "column": "/layers/4/x"}
    assert torch.equal(read_points(**read).points, torch.from_numpy(rows() + 1))
    assert read_points(**read, labels="layers/y").labels == ["a", "ä"] * 11 + ["b"]
    assert read_points(**read, labels="bytes").labels == ["a", "b"] * 11 + ["c"]
    assert read_points(**read, labels="truth").labels == [i % 2 == 0 for i in range(N)]
    with pytest.raises(ValueError, match="labels are a 1-d array of integers or strings"):
        read_points(**read, labels="ragged")
    with pytest.raises(ValueError, match="no dataset 'other'"):
        read_points(tmp_path / "x.h5", column="other")


def test_damaged_hdf5_chunk(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = file.create_dataset("x", data=rows(64), chunks=(16, D), fletcher32=True)
        at = data.id.get_chunk_info(3).byte_offset
    whole = bytearray((tmp_path / "x.h5").read_bytes())
    whole[at] ^= 1
    (tmp_path / "x.h5").write_bytes(whole)
    blocks = open_shards(tmp_path / "x.h5")[0].blocks(rows=16)
    assert len([next(blocks) for _ in range(3)]) == 3
    with pytest.raises(ValueError, match=r"x.h5 can not be read as HDF5"):
        next(blocks)


def test_zarr_that_is_one_array(tmp_path):
    zarr.save_array(str(tmp_path / "store"), rows())  # a store is known by what is in it, too
    (shard,) = open_shards(tmp_path / "store")
    assert torch.equal(gathered(shard.blocks(rows=4))[0], torch.from_numpy(rows()))


def test_damaged_zarr_chunk(tmp_path):
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
    group.create_array("x", data=rows(64), chunks=(16, D))
    (tmp_path / "x.zarr/x/c/3/0").write_bytes(b"no such thing")
    blocks = open_shards(tmp_path / "x.zarr")[0].blocks(rows=16)
    assert len([next(blocks) for _ in range(3)]) == 3
    with pytest.raises(ValueError, match=r"x.zarr can not be read as Zarr"):
        next(blocks)


def test_zarr_in_shards(tmp_path):
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
    group.create_array("x", data=rows(64), chunks=(4, D), shards=(32, D))
    assert torch.equal(read_points(tmp_path / "x.zarr").points, torch.from_numpy(rows(64)))


# text


def text(path, content):
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        ("e0,e1\n1.5,2\n3,nan\n", None, [[1.5, 2], [3, np.nan]]),
        ("e0,e1\n1.5,inf\n-inf,1e3", None, [[1.5, np.inf], [-np.inf, 1000]]),
        ("\ufeffe0,e1\r\n1.5,2\r\n", None, [[1.5, 2]]),
        ("1.5,2\n3,4\n", None, [[1.5, 2], [3, 4]]),  # no line of names
        ("0,1\n1.5,2.5\n", None, [[1.5, 2.5]]),  # names that count, as pandas gives them
        (",0,1\n0,1.5,2.5\n1,3.5,4.5\n", None, [[1.5, 2.5], [3.5, 4.5]]),  # and its index
        ("x,y,topic\n1.5,2.5,a\n", None, [[1.5, 2.5]]),
        ("score,e1,e2\n0.5,1.5,2.5\n", None, [[1.5, 2.5]]),
        ("a0,a1,vec0,vec1\n1.5,2.5,3.5,4.5\n", None, [[3.5, 4.5]]),
        ("a0,a1,b0,b1\n1.5,2.5,3.5,4.5\n", "b", [[3.5, 4.5]]),
        ("a0,a1,b0,b1\n1,2,3,4\n", "b", [[3, 4]]),  # whole numbers where they are asked for
        ('v\n"[1, 2.5]"\n"[3, NaN]"\n', None, [[1, 2.5], [3, np.nan]]),
        ("e0\n0.5\n", "e", [[0.5]]),
    ],
)
def test_csv(tmp_path, content, column, expected):
    found = read_points(text(tmp_path / "x.csv", content), column=column).points
    assert torch.equal(found.isnan(), torch.tensor(expected, dtype=torch.float64).isnan())
    assert torch.equal(found.nan_to_num(), torch.tensor(expected, dtype=torch.float64).nan_to_num())


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("", None, "x.csv is empty"),
        ("\n1,2\n", None, "first line of .* is empty"),
        ("e0,e1\n", None, "holds no points"),
        ("id,x\n1,0.5\n", None, "is not clear, since column 'id' holds whole numbers"),
        ("1,2\n3,5\n", None, "is not clear|needs one group"),
        ("a,b\nx,y\n", None, "no column holds decimal numbers"),
        ("a0,a1,b0,b1\n1.5,2.5,3.5,4.5\n", None, "has 2 of them: a, b; name one as column"),
        ("e0,e1\n0.5,1.5\n1.5\n", None, "can not be read as CSV: .*Expected 2 columns, got 1"),
        ("e0,e1\n0.5,1.5\n1.5,\n", None, "row 1 of .* has no number in column 'e1'"),
        ("e0,e1\n0.5,1.5\n1.5,x\n", None, "can not be read as CSV: .*Row #3: .*invalid value 'x'"),
        ("e0,e1\n0.5,\n1.5,\n", None, "row 0 of .* has no number in column 'e1'"),
        ("x,y\n0.5,1.5\n1.5,NA\n", None, "is not clear, since column 'y' holds numbers and text"),
        ("x,y\n0.5,\n1.5,\n", None, "is not clear, since column 'y' holds nothing"),
        ("e0,e0\n0.5,1.5\n", None, "has 2 columns called 'e0'"),
        ("e0,e1,t\n0.5,1.5,a\n", "t", "column 't' of .* holds string, not lists"),
        ("e0,e1\n0.5,1.5\n", "f", "no column 'f'; it holds e0"),
        ('v\n"[1, 2]"\n"[3]"\n', None, "'v' in row 1 of .* has 1 numbers, and row 0 has 2"),
        ('v\n"[1, 2]"\n"[3 4]"\n', None, r"'v' in row 1 of .* must be a list as in JSON, .*'\[3 4\]'"),
        ('v\n"[1, null]"\n', None, "'v' in row 0 of .* has a missing number"),
        ('v,w\n"[1, 2]",a\n,b\n', None, "'v' in row 1 of .* must be a list"),
        ("v\n[]\n", None, "'v' in row 0 of .* is an empty vector"),
    ],
)
def test_csv_that_holds_no_points(tmp_path, content, column, message):
    with pytest.raises(ValueError, match=message):
        read_points(text(tmp_path / "x.csv", content), column=column)


def test_csv_label_that_is_missing(tmp_path):
    path = text(tmp_path / "x.csv", "e0,e1,y\n0.5,1,a\n0.5,1,\n")
    with pytest.raises(ValueError, match=r"row 1 of .* has no label in column 'y'"):
        read_points(path, labels="y")


def test_csv_longer_than_what_is_parsed_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("conescope.scale.delimited.BYTES", 2000)
    array = rows(500)
    write_csv(tmp_path / "x.csv", array, strings(500))
    (shard,) = open_shards(tmp_path / "x.csv", labels="y")
    points, labels = gathered(shard.blocks(123, 45))
    assert torch.equal(points, torch.from_numpy(array[123:]).double())
    assert labels == strings(500)[123:]


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        ("[1, 2.5]\n[3, 4]\n", None, [[1, 2.5], [3, 4]]),
        ('\n{"v": [1, 2]}\n\n{"v": [3, 4], "w": 1}\n\n', None, [[1, 2], [3, 4]]),
        ('\ufeff{"a": [1, 2], "embedding": [3, 4], "tags": ["x"]}', None, [[3, 4]]),
        ('{"a": [1, 2], "b": [3, 4]}', "a", [[1, 2]]),
    ],
)
def test_json_lines(tmp_path, content, column, expected):
    for name in ("x.jsonl", "x.ndjson"):
        found = read_points(text(tmp_path / name, content), column=column).points
        assert torch.equal(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("", None, "x.jsonl is empty"),
        ("\n \n", None, "x.jsonl is empty"),
        ("3\n", None, "must hold an object or a list, but line 1 holds a number"),
        ("[[1, 2], [3, 4]]", None, "needs one list of numbers"),
        ('{"a": "x"}', None, r"has none; it holds a \(text\)"),
        ('{"a": "x"}', "a", "'a' in row 0 of .* must be a list of numbers, but is text"),
        ('{"a": [1, 2]}\n\n{"a": [1, 2]', None, "as JSON lines: line 3: "),
        ('{"a": [1, 2]}\n{"b": [1, 2]}', None, "row 1 of .* has no 'a'"),
        ('{"a": [1, 2]}\n[1, 2]', None, "row 1 of .* has no 'a'"),
        ('{"a": [1, 2]}\n7', None, "row 1 of .* has no 'a'"),
        ('{"a": [1, 2]}\n{"a": [1]}', None, "'a' in row 1 of .* has 1 numbers, and row 0 has 2"),
        ('{"a": [1, 2]}\n{"a": [1, null]}', None, r"'a' in row 1 of .* has a missing number \(null\)"),
        ('{"a": [1, 2]}\n{"a": [1, "2"]}', None, "'a' in row 1 of .* holds other things"),
        ('{"a": [1, 2]}\n{"a": [1, true]}', None, "'a' in row 1 of .* holds other things"),
        ('{"a": [1, 2]}\n{"a": null}', None, "'a' in row 1 of .* must be a list of numbers, but is null"),
        ("[1, 2]\n[1, 1" + "0" * 400 + "]", None, "row 1 of .* too large"),
        ("[1, 2]\n" + "[" * 100_000, None, "as JSON lines: line 2"),
    ],
)
def test_json_lines_that_hold_no_points(tmp_path, content, column, message):
    with pytest.raises(ValueError, match=message):
        read_points(text(tmp_path / "x.jsonl", content), column=column)


@pytest.mark.parametrize("label", ["null", "1.5", "[1]", "3"])
def test_json_labels_of_another_type(tmp_path, label):
    path = text(tmp_path / "x.jsonl", '{"v": [1, 2], "y": "a"}\n{"v": [1, 2], "y": ' + label + "}")
    with pytest.raises(ValueError, match="all integers or all strings, but 'y' in row 1"):
        read_points(path, labels="y")


# in memory


def test_points_in_memory():
    points = torch.from_numpy(rows())
    shard = shard_of(points, strings(), name="mine")
    assert (shard.name, shard.shape()) == ("mine", (N, D))
    found = list(shard.blocks(3, 8))
    assert torch.equal(torch.cat([block.points for block in found]), points[3:])
    assert [label for block in found for label in block.labels] == strings()[3:]
    assert found[0].points.data_ptr() == points[3:].data_ptr()
    assert next(shard_of(points).blocks()).labels is None
    with pytest.raises(ValueError, match="22 labels, but 23 points"):
        shard_of(points, strings(22))


def test_blocks_are_of_about_128_mib_and_of_twice_that_where_nothing_is_copied(tmp_path):
    points = torch.zeros(1).expand(9 << 20, 16)
    heights = [len(block.points) for block in shard_of(points).blocks()]
    assert heights == [4 << 20, 4 << 20, 1 << 20]  # 2^22 x 16 x 4 bytes
    path = tmp_path / "points.npy"
    with path.open("wb") as file:  # a file with a hole, which takes no room
        header = {"descr": "<f4", "fortran_order": False, "shape": (9 << 20, 16)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + (9 << 20) * 16 * 4)
    (shard,) = open_shards(path)
    assert [len(block.points) for block in shard.blocks()] == heights
    save_file({"points": torch.zeros(3 << 20, 16)}, path.with_suffix(".safetensors"))
    (shard,) = open_shards(path.with_suffix(".safetensors"))
    assert [len(block.points) for block in shard.blocks()] == [2 << 20, 1 << 20]


# finding


def names(where, **options):
    return [shard.name for shard in open_shards(where, **options)]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("d/b.npy", "d/a.parquet", "d/sub/c.csv", "d/.hidden.npy", "d/.cache/x.npy", "d/_SUCCESS"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    write_zarr(tmp_path / "d" / "z.zarr", rows(), whole_numbers())
    (tmp_path / "empty" / "x").mkdir(parents=True)
    (tmp_path / "empty" / "notes.md").touch()
    return tmp_path


def test_folders(tree):
    assert names("d") == ["a.parquet", "b.npy", "sub/c.csv", "z.zarr"]
    assert names(tree / "d") == ["a.parquet", "b.npy", "sub/c.csv", "z.zarr"]
    assert [shard.path for shard in open_shards("d")][1] == Path("d/b.npy")


def test_patterns(tree):
    assert names("d/*.npy") == ["b.npy"]
    assert names("d/*") == ["a.parquet", "b.npy", "sub/c.csv", "z.zarr"]
    assert names("d/**") == ["a.parquet", "b.npy", "sub/c.csv", "z.zarr"]
    assert names("*/s*/*.csv") == ["d/sub/c.csv"]
    assert names(str(tree / "d" / "[ab].*")) == ["a.parquet", "b.npy"]
    Path("[x].npy").touch()
    assert names("[x].npy") == ["[x].npy"]


def test_several(tree):
    assert names(["d/b.npy", "d/*.npy", tree / "d" / "b.npy", "d/sub"]) == ["b.npy", "c.csv"]
    Path("e").mkdir()
    Path("e/b.npy").touch()
    assert names(["e", "d/b.npy"]) == ["d/b.npy", "e/b.npy"]


def test_nothing_found(tree):
    with pytest.raises(ValueError, match="empty is a directory, and no file of points is in it"):
        open_shards("empty")
    with pytest.raises(FileNotFoundError, match=r"no file of points matches d/\*\.txt"):
        open_shards("d/*.txt")
    with pytest.raises(FileNotFoundError, match="there is no file nowhere"):
        open_shards(["d", "nowhere"])
    with pytest.raises(ValueError, match="there is no file to read: the list is empty"):
        open_shards([])
    with pytest.raises(ValueError, match=r"points are read from \.npy, .*but empty/notes\.md ends in '\.md'"):
        open_shards("empty/notes.md")


def test_labels_beside_the_points_are_no_points(tmp_path):
    np.save(tmp_path / "x.npy", rows())
    np.save(tmp_path / "y.npy", np.arange(N))
    found = read_points(tmp_path, labels=tmp_path / "y.npy")
    assert torch.equal(found.points, torch.from_numpy(rows()))
    assert found.labels == list(range(N))
    np.save(tmp_path / "z.npy", rows())
    with pytest.raises(ValueError, match="a file of labels goes with one file of points, but there are 2"):
        open_shards(tmp_path, labels=tmp_path / "y.npy")


def test_several_files_are_one_cloud(tmp_path):
    write_parquet(tmp_path / "a.parquet", rows(), strings())
    write_npz(tmp_path / "b.npz", rows() + 1, strings())
    found = read_points(tmp_path, labels="y")
    assert torch.equal(found.points, torch.from_numpy(np.concatenate([rows(), rows() + 1])))
    assert found.labels == strings() * 2
    np.savez(tmp_path / "c.npz", x=rows(d=4))
    with pytest.raises(ValueError, match=r"as many dimensions, but c.npz has 4 and a.parquet has 3"):
        read_points(tmp_path)


def test_a_broken_shard_does_not_hide_the_others(tmp_path):
    write_npy(tmp_path / "a.npy", rows(), None)
    (tmp_path / "b.npy").write_bytes(b"broken")
    write_npy(tmp_path / "c.npy", rows(), None)
    good, bad, other = open_shards(tmp_path)
    assert good.shape() == other.shape() == (N, D)
    with pytest.raises(ValueError, match=r"b.npy is not an npy file"):
        list(bad.blocks())


def test_shards_travel(tmp_path):
    write_npy(tmp_path / "a.npy", rows(), None)
    (shard,) = open_shards(tmp_path)
    other = pickle.loads(pickle.dumps(shard))  # to the workers of a cluster
    assert other == shard
    assert isinstance(next(other.blocks()), Block)


@pytest.mark.parametrize(
    ("package", "file"), [("h5py", "x.h5"), ("zarr", "x.zarr"), ("pyarrow", "x.csv"), ("pyarrow", "x.arrow")]
)
def test_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, file):
    (tmp_path / file).touch()

    def blocked(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("conescope._optional.import_module", blocked)
    with pytest.raises(ImportError, match=rf"needs the package {package}: pip install 'conescope\[files\]'"):
        read_points(tmp_path / file)
