"""`conescope scan` and `merge`: the measures of a state are those of its points, however they were read."""

import subprocess
import sys

import numpy as np
import pytest

import conescope
from conescope.cli import main
from conescope.results import Measurement
from conescope.scale.state import load

FEW = ["mean_cosine", "drift", "effective_rank", "isoscore", "uniformity", "hubness"]


@pytest.fixture(autouse=True)
def shards(tmp_path, monkeypatch):
    """Three files of labeled points."""
    monkeypatch.chdir(tmp_path)
    for name, seed, n in (("a", 0, 30), ("b", 1, 25), ("c", 2, 7)):
        np.savez(f"{name}.npz", emb=rows(n, seed), y=np.arange(n) % 3)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def rows(n, seed):
    return (np.random.default_rng(seed).normal(size=(n, 5)) + seed / 2).astype("float32")


def everything():
    return np.concatenate([rows(30, 0), rows(25, 1), rows(7, 2)])


def classes():
    return np.concatenate([np.arange(n) % 3 for n in (30, 25, 7)])


def measured(run, *arguments):
    code, out, _ = run("measure", *arguments, "--json", "--quick")
    assert code == 0
    return Measurement.model_validate_json(out)


def same(found, expected):
    assert found.names() == expected.names()
    for name in expected.names():
        value = expected.measured(name).value
        assert (found.measured(name).value is None) == (value is None)
        assert value is None or found.value(name) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_state_measures_as_its_files_do(run):
    code, out, err = run("scan", "a.npz", "b.npz", "c.npz", "-o", "x.state")
    assert (code, out) == (0, "")
    assert err == "x.state: 62 points in 5 dimensions of 3 files; see them with conescope measure x.state\n"
    found = measured(run, "x.state")
    same(found, measured(run, "a.npz", "b.npz", "c.npz"))
    same(found, conescope.measure(everything(), intervals=False, null=False))
    assert (found.n, found.d, found.sampled) == (62, 5, None)


def test_a_sample_is_the_same_in_a_state_and_in_files(run):
    run("scan", "a.npz", "b.npz", "-o", "x.state", "--sample", 20, "--seed", 3)
    options = ["--measure", "uniformity", "--measure", "hubness"]
    found = measured(run, "x.state", *options)
    assert found == measured(run, "a.npz", "b.npz", "--sample", 20, "--seed", 3, *options)
    assert found.measured("uniformity").note == "on 20 of 55 points, seed 3"


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")])
def test_merge_measures_as_one_scan_does(run, order):
    for name in order:
        assert run("scan", f"{name}.npz", "-o", f"{name}.state")[0] == 0
    code, out, err = run("merge", *(f"{name}.state" for name in order), "-o", "all.state")
    assert (code, out) == (0, "")
    assert (
        err == "all.state: 62 points in 5 dimensions of 3 files; see them with conescope measure all.state\n"
    )
    expected = conescope.measure(everything(), measures=FEW, intervals=False, null=False)
    names = [part for name in FEW for part in ("--measure", name)]
    same(measured(run, "all.state", *names), expected)
    same(measured(run, *(f"{name}.state" for name in order), *names), expected)  # merged on the way


def test_labels_are_kept_and_merged(run):
    for name in "abc":
        assert run("scan", f"{name}.npz", "--labels", "y", "-o", f"{name}.state")[0] == 0
    assert run("merge", "c.state", "b.state", "a.state", "-o", "all.state")[0] == 0
    names = ["self_similarity", "class_separation", "neural_collapse", "anisotropy_1_within_class"]
    options = [part for name in names for part in ("--measure", name)]
    expected = conescope.measure(everything(), classes(), names, intervals=False, null=False)
    same(measured(run, "all.state", *options), expected)


def test_double_reaches_the_scan(run, tmp_path):
    run("scan", "a.npz", "-o", "x.state", "--double")
    assert load("x.state")[0].moments.resolution < 1e-12


# resuming


def test_the_same_scan_again_reads_nothing_twice(run):
    run("scan", "a.npz", "-o", "x.state")
    code, _, err = run("scan", "a.npz", "-o", "x.state")
    assert code == 0
    assert err.startswith("x.state: 30 points in 5 dimensions, with what it held before; ")
    code, _, err = run("scan", "a.npz", "b.npz", "-o", "x.state")  # one more
    assert err.startswith("x.state: 55 points in 5 dimensions of 2 files, with what it held before; ")
    same(measured(run, "x.state"), measured(run, "a.npz", "b.npz"))


def test_a_stopped_scan_says_so_and_goes_on(run, monkeypatch):
    from conescope.scale import scan as scanning
    from conescope.scale import shards

    np.save("long.npy", rows(200, 5))
    monkeypatch.setattr(shards, "UNCOPIED", 50 * 5 * 4)  # four blocks
    whole = scanning.scan

    def stopped(*arguments, advance, **options):
        def stop(count, total, shard):
            if count >= 100:
                raise KeyboardInterrupt

        return whole(*arguments, advance=stop, **options)

    with monkeypatch.context() as patch:
        patch.setattr(scanning, "scan", stopped)
        code, out, err = run("scan", "a.npz", "long.npy", "-o", "x.state")
    assert (code, out) == (130, "")
    assert err == "stopped; what was read is in x.state, and the same command goes on from there\n"

    code, out, err = run("check", "x.state", "--min", "mean_cosine=-1")
    assert code == 0
    assert err.startswith("note: the scan of long.npy was stopped after ")
    code, out, err = run("merge", "x.state", "-o", "y.state")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "x.state is not finished: the scan of long.npy was stopped after" in err

    code, _, err = run("scan", "a.npz", "long.npy", "-o", "x.state")
    assert code == 0
    assert err.startswith("x.state: 230 points in 5 dimensions of 2 files, with what it held before; ")
    same(
        measured(run, "x.state"),
        conescope.measure(np.concatenate([rows(30, 0), rows(200, 5)]), intervals=False, null=False),
    )


def test_other_settings_do_not_mix_with_what_is_there(run, tmp_path):
    run("scan", "a.npz", "-o", "x.state")
    before = (tmp_path / "x.state").read_bytes()
    for options in (["--seed", 1], ["--sample", 50], ["--labels", "y"]):
        code, out, err = run("scan", "b.npz", "-o", "x.state", *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "give the same settings, or another file" in err
    assert (tmp_path / "x.state").read_bytes() == before


# what goes wrong


def test_a_corrupt_shard_is_named_and_the_rest_is_kept(run):
    np.save("d.npy", rows(40, 3))
    with open("d.npy", "r+b") as file:
        file.truncate(300)
    code, out, err = run("scan", "a.npz", "d.npy", "-o", "x.state")
    told, problem = err.splitlines()
    assert (code, out) == (2, "")
    assert told.startswith("x.state: 30 points in 5 dimensions; ")
    assert problem.startswith("conescope: x.state leaves out what could not be read: d.npy ends before")
    same(measured(run, "x.state"), measured(run, "a.npz"))
    np.save("d.npy", rows(40, 3))  # mended: only this one is read, and added
    code, _, err = run("scan", "a.npz", "d.npy", "-o", "x.state")
    assert code == 0
    assert err.startswith("x.state: 70 points")


def test_nothing_is_written_when_nothing_could_be_read(run, tmp_path):
    (tmp_path / "d.npy").write_bytes(b"")
    code, out, err = run("scan", "d.npy", "-o", "x.state")
    assert (code, out, err) == (2, "", "conescope: d.npy is empty\n")
    assert not (tmp_path / "x.state").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan", "a.npz", "-o", "x.npz"], "states are kept in files that end in .state, got x.npz"),
        (["scan", "a.npz", "-o", "x"], "end in .state, got x"),
        (["merge", "a.state", "-o", "x.safetensors"], "end in .state, got x.safetensors"),
        (["merge", "a.state", "none.state", "-o", "x.state"], "there is no file none.state"),
        (["merge", "a.state", "a.state", "-o", "x.state"], "a.state: both hold the same points"),
        (["merge", "a.state", "again.state", "-o", "x.state"], "again.state: both hold the same points"),
        (["merge", "a.state", "labeled.state", "-o", "x.state"], "labeled.state: states with and without"),
        (["merge", "a.state", "seeded.state", "-o", "x.state"], "seeded.state: samples must be drawn alike"),
        (["merge", "a.state", "wide.state", "-o", "x.state"], "wide.state: points of 5 and of 6 dimensions"),
        (["merge", "a.state", "junk.state", "-o", "x.state"], "junk.state can not be read as a state"),
        (["scan", "a.state", "-o", "x.state"], "a.state"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_output_alone(run, tmp_path, arguments, message):
    np.save("wide.npy", np.ones((4, 6)))
    (tmp_path / "junk.state").write_bytes(b"junk")
    for command in (
        ["a.npz", "-o", "a.state"],
        ["a.npz", "-o", "again.state"],
        ["b.npz", "--labels", "y", "-o", "labeled.state"],
        ["b.npz", "--seed", "1", "-o", "seeded.state"],
        ["wide.npy", "-o", "wide.state"],
        ["c.npz", "-o", "x.state"],
    ):
        assert run("scan", *command)[0] == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("conescope: ")
    assert message in err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_merge_may_go_into_one_of_its_parts(run):
    for name in "ab":
        run("scan", f"{name}.npz", "-o", f"{name}.state")
    assert run("merge", "a.state", "b.state", "-o", "a.state")[0] == 0
    assert load("a.state")[0].n == 55
    assert run("scan", "a.npz", "b.npz", "c.npz", "-o", "a.state")[0] == 0  # and grow on
    same(measured(run, "a.state"), measured(run, "a.npz", "b.npz", "c.npz"))


def test_a_write_that_fails_leaves_the_state_as_it_was(run, monkeypatch, tmp_path):
    import safetensors.torch

    for name in "ab":
        run("scan", f"{name}.npz", "-o", f"{name}.state")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(tensors, file, metadata):
        with open(file, "wb") as handle:
            handle.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    for arguments in (["merge", "a.state", "b.state", "-o", "a.state"], ["scan", "c.npz", "-o", "a.state"]):
        code, out, err = run(*arguments)
        assert (code, out, err) == (2, "", "conescope: no space left on device\n")
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_folders_of_the_output_are_made(run):
    assert run("scan", "a.npz", "-o", "new/deep/x.state")[0] == 0
    assert load("new/deep/x.state")[0].n == 30


def test_hostile_names_reach_the_terminal_as_escapes(run):
    code, _, err = run("scan", "a.npz", "-o", "x\x1b[31m[red].state")
    assert code == 0
    assert r"x\x1b[31m[red].state: 30 points" in err
    assert "\x1b" not in err


def test_no_progress_in_a_pipe():
    command = [sys.executable, "-m", "conescope", "scan", "a.npz", "-o", "x.state"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
