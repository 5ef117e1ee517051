"""`conescope.measure`: every value as the function gives it, whatever the points come in."""

import json
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import conescope
from conescope.measures import MEASURES
from conescope.results import Measurement
from conescope.scale.sample import draw, fingerprint
from conescope.scale.scan import scan
from conescope.scale.shards import open_shards, shard_of
from conescope.scale.state import save, state_of
from conescope.survey.measurement import measurement
from tests.survey.clouds import approx, assert_same, cloud, collapsed, undefined

PLAIN = {"intervals": False, "null": False}
SOME = (
    "norm_variation",
    "effective_rank",
    "rankme",
    "hubness",
    "quantization_error",
    "relative_persistent_entropy",
)
NEEDED = (*SOME, "neural_collapse", "class_separation")
UNLABELED = tuple(name for name, row in MEASURES.items() if row.needs == "nothing")
BY_LABELS = tuple(name for name, row in MEASURES.items() if row.needs == "labels")


def value(row, points, labels, partners):
    arguments = {"nothing": (), "labels": (labels,), "partners": (partners,)}[row.needs]
    return row.function(points.double(), *arguments).item()


# values


@pytest.mark.parametrize(
    ("points", "classes"),
    [
        (cloud(90, 8) + 0.3, 3),
        (cloud(60, 100), 4),
        (cloud(300, 5) * torch.tensor([9.0, 3, 1, 0.1, 0.01]), 7),
        (cloud(40, 6)[torch.arange(120) % 40], 2),
        (cloud(30, 1) + 1, 2),
    ],
    ids=["cone", "wide", "stretched", "repeated", "line"],
)
def test_values_are_those_of_the_functions(points, classes):
    labels, partners = torch.arange(len(points)) % classes, points.flip(0) + 0.1
    found = conescope.measure(points, labels, partners=partners, **PLAIN)
    assert found.names() == tuple(MEASURES)
    assert (found.n, found.d, found.sampled) == (*points.shape, None)
    for name, row in MEASURES.items():
        expected = value(row, points, labels, partners)
        if math.isfinite(expected):
            assert found.value(name) == approx(expected), name
        else:
            assert found.measured(name).value is None, name
            assert found.measured(name).note == row.undefined


def test_by_hand_through_the_front_door():
    found = conescope.measure(torch.tensor([[3.0, 4.0], [3.0, 0.0], [0.0, 4.0]]))
    # centered: (1, 4/3), (1, -8/3), (-2, 4/3); scatter [[6, -4], [-4, 32/3]]; its roots 12.963, 3.704
    assert found.value("anisotropy_1") == pytest.approx(0.777849, abs=1e-6)
    assert found.value("mean_norm") == pytest.approx(4)  # 5, 3, 4
    assert found.value("norm_variation") == pytest.approx(math.sqrt(2 / 3) / 4)
    assert found.value("mean_cosine") == pytest.approx((0.6 + 0.8 + 0) / 3)
    assert found.value("drift") == pytest.approx(math.sqrt(2**2 + (8 / 3) ** 2))


def test_what_a_gaussian_gives_stands_beside_the_value_and_has_the_same_size():
    found = conescope.measure(cloud(300, 12), sample=100, intervals=False)
    assert found.measured("isoscore").isotropic == pytest.approx(298 / 312)  # (n - 2) / (n + d) of all
    assert found.measured("persistent_entropy").isotropic == pytest.approx(math.log(99))  # of the sample
    for name, row in MEASURES.items():
        if name in found.names() and row.isotropic(100 if row.sampled else 300, 12) is not None:
            expected = row.isotropic(100 if row.sampled else 300, 12)
            assert found.measured(name).isotropic == pytest.approx(expected)


# which measures


def test_measures_are_left_out_for_which_something_is_missing():
    assert conescope.measure(cloud(20, 4), **PLAIN).names() == UNLABELED
    with_labels = conescope.measure(cloud(20, 4), [0, 1] * 10, **PLAIN).names()
    assert set(with_labels) == {*UNLABELED, *BY_LABELS}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("anisotropy_1_within_class", "anisotropy_1_within_class compares points within classes and needs"),
        ("alignment", "alignment compares each point with its partner and needs partners"),
    ],
)
def test_asking_for_them_is_an_error(name, message):
    with pytest.raises(ValueError, match=message):
        conescope.measure(cloud(20, 4), measures=[name])


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


@pytest.mark.parametrize("name", MEASURES)
def test_one_measure_alone_has_the_value_it_has_among_all(name):
    points, labels, partners = cloud(60, 6) + 0.4, [0, 1, 2] * 20, cloud(60, 6, seed=1)
    row = MEASURES[name]
    alone = conescope.measure(
        points,
        labels if row.needs == "labels" else None,
        name,
        partners=partners if row.needs == "partners" else None,
        **PLAIN,
    )
    expected = value(row, points, torch.tensor(labels), partners)
    assert alone.value(name) == approx(expected)


# the same points in other clothes


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
        lambda x: torch.cat([x, x], dim=1)[:, :5],
    ],
    ids=[
        "double",
        "numpy",
        "fortran",
        "strides",
        "big endian",
        "requires grad",
        "transposed",
        "slice",
    ],
)
def test_same_points_in_other_clothes(convert):
    points = cloud(40, 5) + 0.3
    assert_same(conescope.measure(convert(points), **PLAIN), conescope.measure(points, **PLAIN))
    assert_same(conescope.measure(convert(points), None, SOME), conescope.measure(points, None, SOME))


def test_array_that_must_not_be_written_is_read():
    array = cloud(30, 5).numpy()
    expected = conescope.measure(array, **PLAIN)
    array.flags.writeable = False
    assert conescope.measure(array, **PLAIN) == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_double(dtype):
    points = cloud(30, 5).to(dtype)
    assert conescope.measure(points, **PLAIN) == conescope.measure(points.double(), **PLAIN)


def test_precision_is_as_asked_for_and_says_so():
    points = cloud(200, 6) * torch.tensor([1, 1, 1, 1, 1, 1e-4])
    double = conescope.measure(points, measures="condition_number", precision="double")
    single = conescope.measure(points, measures="condition_number", precision="single")
    assert double.value("condition_number") == approx(
        MEASURES["condition_number"].function(points.double()).item()
    )
    assert undefined(single) == {"condition_number"}  # 1e-8 of the variance is below what float32 tells
    assert "1 of 6 directions hold less than a millionth of the strongest variance" in single.notes[0]
    assert double.notes == ()


def test_order_of_the_points_changes_nothing():
    points, labels = cloud(80, 6) + 0.2, torch.arange(80) % 3
    order = torch.randperm(80, generator=torch.Generator().manual_seed(1))
    partners = cloud(80, 6, seed=2)
    assert_same(
        conescope.measure(points[order], labels[order], partners=partners[order]),
        conescope.measure(points, labels, partners=partners),
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu():
    points, labels = cloud(300, 6), torch.arange(300) % 3
    assert_same(
        conescope.measure(points.cuda(), labels, sample=100), conescope.measure(points, labels, sample=100)
    )


# files and states


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same 90 points with labels in files of every shape, and their partners."""
    folder = tmp_path_factory.mktemp("files")
    points, labels = (cloud(90, 5) + 0.3).numpy(), ["a", "b", "c"] * 30
    np.save(folder / "all.npy", points)
    np.save(folder / "labels.npy", np.array(labels))
    np.save(folder / "partners.npy", points[::-1])
    (folder / "shards").mkdir()
    for number, (start, stop) in enumerate([(0, 20), (20, 71), (71, 90)]):
        columns = {"id": range(start, stop), "vector": list(points[start:stop]), "topic": labels[start:stop]}
        pq.write_table(pa.table(columns), folder / "shards" / f"{number}.parquet")
    shards = folder / "shards"
    state = scan(open_shards(shards, labels="topic"), labels=True).state
    save(state, folder / "all.state")
    for number in range(2):
        part = sorted(shards.iterdir())[: 2 - number] if number == 0 else sorted(shards.iterdir())[2:]
        save(scan(open_shards(part, labels="topic"), labels=True).state, folder / f"part{number}.state")
    return folder, points, labels


WHERE = {
    "npy": (lambda folder: folder / "all.npy", lambda folder: folder / "labels.npy"),
    "npy as text": (lambda folder: str(folder / "all.npy"), lambda folder: str(folder / "labels.npy")),
    "folder": (lambda folder: folder / "shards", lambda folder: "topic"),
    "glob": (lambda folder: str(folder / "shards" / "*.parquet"), lambda folder: "topic"),
    "list": (lambda folder: sorted((folder / "shards").iterdir()), lambda folder: "topic"),
    "backwards": (lambda folder: sorted((folder / "shards").iterdir())[::-1], lambda folder: "topic"),
    "state file": (lambda folder: folder / "all.state", lambda folder: None),
    "state files": (lambda folder: [folder / "part0.state", folder / "part1.state"], lambda folder: None),
}


@pytest.mark.parametrize("where", WHERE)
def test_files_have_the_values_of_the_array(files, where):
    folder, points, labels = files
    path, classes = (part(folder) for part in WHERE[where])
    assert_same(conescope.measure(path, classes, **PLAIN), conescope.measure(points, labels, **PLAIN))
    assert_same(conescope.measure(path, classes, NEEDED), conescope.measure(points, labels, NEEDED))


@pytest.mark.parametrize("partners", ["file", "array"])
def test_partners_of_files(files, partners):
    folder, points, _ = files
    given = folder / "partners.npy" if partners == "file" else points[::-1].copy()
    expected = conescope.measure(points, partners=points[::-1].copy(), measures="alignment")
    assert_same(
        conescope.measure(folder / "shards", partners=given, column="vector", measures="alignment"), expected
    )


def test_a_state_is_measured_as_its_points_are(files):
    _, points, labels = files
    scanned = scan([shard_of(torch.from_numpy(points), labels)], labels=True)
    assert_same(conescope.measure(scanned.state, **PLAIN), conescope.measure(points, labels, **PLAIN))


def test_a_state_has_its_labels_and_nothing_can_be_added(files):
    folder, points, labels = files
    state = state_of(torch.from_numpy(points))
    for options in ({"labels": labels}, {"column": "x"}, {"partners": points}):
        with pytest.raises(ValueError, match="a state has its column and labels already, and no partners"):
            conescope.measure(state, **options)
        with pytest.raises(ValueError, match="a state has its column and labels already, and no partners"):
            conescope.measure(folder / "all.state", **options)


def test_a_state_without_a_scatter_is_measured_as_far_as_it_goes():
    points = cloud(60, 4) + 0.5
    state = state_of(points, order=1)
    found = conescope.measure(state, **PLAIN)
    expected = [name for name in UNLABELED if MEASURES[name].sampled or MEASURES[name].order == 1]
    assert found.names() == tuple(expected)
    assert found.value("mean_cosine") == approx(MEASURES["mean_cosine"].function(points.double()).item())
    with pytest.raises(ValueError, match="moments of order 1, which have no spectrum: scan again"):
        conescope.measure(state, measures="isoscore")


def test_unreadable_shards_are_named(files, tmp_path):
    _, points, _ = files
    np.save(tmp_path / "a.npy", points)
    broken = points.copy()
    broken[7, 1] = np.nan
    np.save(tmp_path / "b.npy", broken)
    with pytest.raises(ValueError, match=r"b\.npy.*row 7"):
        conescope.measure(tmp_path)


# samples


@pytest.mark.parametrize("where", ["array", "file"])
def test_measures_of_all_pairs_take_a_sample_and_say_so(where, tmp_path):
    points, labels = cloud(300, 6) + 0.2, torch.arange(300) % 2
    np.save(tmp_path / "points.npy", points.numpy())
    np.save(tmp_path / "labels.npy", labels.numpy())
    given = (points, labels) if where == "array" else (tmp_path / "points.npy", tmp_path / "labels.npy")
    found = conescope.measure(*given, sample=100, seed=3, **PLAIN)
    drawn = draw(points, capacity=100, seed=3, shard=fingerprint(points)).rows.sort().values
    assert found.sampled == len(drawn.unique()) == 100
    for measured in found.values:
        row = MEASURES[measured.name]
        rows = drawn if row.sampled else torch.arange(300)
        expected = value(row, points[rows], labels[rows], None)
        assert measured.value == approx(expected)
        assert measured.note == ("on 100 of 300 points, seed 3" if row.sampled else "")


def test_same_seed_same_sample():
    points, names = cloud(300, 6), ["persistent_entropy", "twonn", "drift"]
    first, again, other = (conescope.measure(points, None, names, sample=100, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first.value("persistent_entropy") != other.value("persistent_entropy")


@pytest.mark.parametrize("sample", [300, 4096, None])
def test_no_sample_where_none_is_needed(sample):
    found = conescope.measure(cloud(300, 6) + 0.5, sample=sample, **PLAIN)
    assert found.sampled is None
    assert {measured.note for measured in found.values} == {""}


def test_all_points_are_taken_if_asked_for():
    points = cloud(5000, 2)
    (every,) = conescope.measure(points, None, "mean_cosine_centered", sample=None, **PLAIN).values
    (some,) = conescope.measure(points, None, "mean_cosine_centered", **PLAIN).values
    assert every.value == approx(MEASURES["mean_cosine_centered"].function(points.double()).item())
    assert every.note == ""
    assert some.note.startswith("on ")


def test_ties_fall_as_in_the_file():
    # of points on a grid many distances are equal, and the first point counts as the nearer one
    points = torch.cartesian_prod(torch.arange(9.0), torch.arange(9.0))
    row = MEASURES["hubness"]

    def order(seed):
        return torch.randperm(81, generator=torch.Generator().manual_seed(seed))

    values = {row.function(points[order(seed)].double()).item() for seed in range(20)}
    assert len(values) > 1  # so it matters
    found = conescope.measure(points, None, "hubness", **PLAIN)
    assert found.value("hubness") == approx(row.function(points.double()).item())


def test_global_seeds_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1:]  # noqa: NPY002 (what must not move)
    conescope.measure(cloud(120, 6), sample=100)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_equal(np.random.get_state()[1:], before[1])  # noqa: NPY002


# few points


@pytest.mark.parametrize("d", [1, 4])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_hardly_any_points(n, d):
    points, labels = cloud(n, d), torch.arange(n) % 2
    found = conescope.measure(points, labels, partners=points)
    expected = {
        name for name, row in MEASURES.items() if math.isnan(value(row, points, labels, points.double()))
    }
    assert undefined(found) == expected
    assert found.names() == tuple(MEASURES)
    for measured in found.values:
        assert measured.low is measured.high is None  # fewer than twenty points have no interval
        assert (measured.note == MEASURES[measured.name].undefined) == (measured.value is None)
    assert found.findings[0].title in ("too few points", "collapsed")
    assert f"n = {n} for d = {d}" in str(found)
    assert Measurement.model_validate_json(found.model_dump_json()) == found


def test_no_point_at_all_has_no_value():
    assert undefined(conescope.measure(cloud(0, 4))) == set(UNLABELED)


# errors


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
    found = conescope.measure(points, labels, BY_LABELS, **PLAIN)
    for name in BY_LABELS:
        assert found.value(name) == approx(value(MEASURES[name], points, torch.arange(30) % 3, None))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1], ValueError, "expected 30, got 2"),
        (torch.zeros(29, dtype=torch.int64), ValueError, r"expected shape \(30,\), got \(29,\)"),
        (torch.zeros(30), TypeError, "integers"),
        (np.zeros(30), TypeError, "integers or strings, one a point, got float64"),
        (np.zeros((30, 1), dtype=np.int64), TypeError, r"got int64 of shape \(30, 1\)"),
        ([([],)] * 30, TypeError, "must be hashable, such as integers or strings"),
        ("topic", TypeError, "labels of points in memory have one entry a point, got 'topic'"),
    ],
)
def test_labels_that_can_not_be(labels, error, message):
    with pytest.raises(error, match=message):
        conescope.measure(cloud(30, 5), labels)


@pytest.mark.usefixtures("without_shape_checks")
def test_labels_of_files_are_a_name():
    with pytest.raises(TypeError, match="labels of files are the name of a column, or a file"):
        conescope.measure("points.npy", [0, 1])


def test_a_column_of_an_array_is_refused():
    with pytest.raises(ValueError, match="a column is of files; an array has none"):
        conescope.measure(cloud(30, 5), column="x")


@pytest.mark.parametrize("convert", [lambda x: x, lambda x: x.numpy()], ids=["torch", "numpy"])
def test_nan_row_is_named(convert):
    points = cloud(30, 5)
    points[17, 2], points[20, 0] = torch.nan, -torch.inf
    with pytest.raises(ValueError, match="2 of 30 rows hold NaN or infinity, the first in row 17"):
        conescope.measure(convert(points))


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (torch.zeros(5), ValueError, r"shape \(n, d\).*got \(5,\)"),
        (torch.zeros(2, 3, 4), ValueError, r"got \(2, 3, 4\)"),
        (torch.zeros(5, 0), ValueError, r"got \(5, 0\)"),
        (torch.zeros(5, 2, dtype=torch.int64), TypeError, "int64; convert"),
        (torch.zeros(5, 2, dtype=torch.complex64), TypeError, "points must be real, got torch.complex64"),
        (torch.zeros(5, 2, dtype=torch.float8_e4m3fn), TypeError, "16 to 64 bits, got torch.float8_e4m3fn"),
        (torch.zeros(5, 2).to_sparse(), TypeError, r"dense, got torch.sparse_coo.*points.to_dense\(\)"),
        (np.zeros((5, 2), dtype=np.int32), TypeError, r"int32; convert with points.astype\('float32'\)"),
        (np.array([[1, "a"]], dtype=object), TypeError, "array of object"),
        (np.zeros((5, 2), dtype=complex), TypeError, "points must be real, got an array of complex128"),
        (np.ma.masked_equal(np.zeros((5, 2)), 0), TypeError, "got a masked array; drop the rows"),
        ([[1.0, 2.0], [3.0, 4.0]], TypeError, "a path or several paths, got list of list; convert numbers"),
        (None, TypeError, "a path or several paths, got NoneType; convert numbers"),
    ],
)
def test_points_that_can_not_be(points, error, message):
    with pytest.raises(error, match=message):
        conescope.measure(points)


@pytest.mark.parametrize(
    ("partners", "error", "message"),
    [
        (cloud(29, 5), ValueError, r"expected \(30, 5\), got \(29, 5\)"),
        (cloud(30, 5) * math.nan, ValueError, "partners: points must be finite, but 30 of 30 rows"),
        (torch.zeros(30, 5, dtype=torch.int64), TypeError, "partners: points must be floating point"),
    ],
)
def test_partners_that_can_not_be(partners, error, message):
    with pytest.raises(error, match=message):
        conescope.measure(cloud(30, 5), partners=partners)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 1}, "at least 2, or None for all rows, got 1"),
        ({"sample": -5}, "got -5"),
        ({"sample": 5.5}, "sample is a number of rows.* got 5.5"),
        ({"seed": -1}, "seed is a whole number from 0 to .*, got -1"),
        ({"seed": 2**32}, "got 4294967296"),
        ({"precision": "half"}, "precision is single, double, or None to choose, got 'half'"),
    ],
)
def test_options_that_can_not_be(options, message):
    with pytest.raises(ValueError, match=message):
        conescope.measure(cloud(30, 5), **options)


@pytest.mark.usefixtures("without_shape_checks")
def test_whole_numbers_of_numpy_are_whole_numbers():
    points = cloud(30, 5)
    found = conescope.measure(points, measures="twonn", sample=np.int64(20), seed=np.uint8(3))
    assert found == conescope.measure(points, measures="twonn", sample=20, seed=3)


# results


def test_gradient_is_cut_and_input_left_alone():
    points = cloud(30, 5).requires_grad_()
    before = points.detach().clone()
    conescope.measure(points)
    assert points.grad is None
    assert torch.equal(points.detach(), before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("points", [cloud(20, 128), collapsed(60, 8), torch.zeros(30, 3)], ids=str)
def test_round_trip_as_json(points):
    found = conescope.measure(points, [0, 1] * (len(points) // 2))
    text = found.model_dump_json()
    assert Measurement.model_validate_json(text) == found
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


def test_stages_are_told_in_order():
    told = []
    rows = [MEASURES["isoscore"], MEASURES["hubness"]]
    measurement(state_of(cloud(30, 5)), rows, stage=told.append)
    assert told == ["isoscore", "hubness", "intervals", "a Gaussian cloud"]


def test_a_path_need_not_be_text(tmp_path):
    class Place(os.PathLike):
        def __fspath__(self):
            return str(tmp_path / "x.npy")

    np.save(tmp_path / "x.npy", cloud(30, 5).numpy())
    assert_same(conescope.measure(Place(), **PLAIN), conescope.measure(cloud(30, 5), **PLAIN))
