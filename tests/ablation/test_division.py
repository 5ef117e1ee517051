"""Processes that share a folder: each job is done once, waited for, and taken over from one that died."""

import signal
import subprocess
import sys

import pytest

from conescope.ablation import division
from conescope.ablation.division import claimed, divide

WORKER = """
import os, sys, time
from pathlib import Path
from conescope.ablation.division import divide
folder = Path(sys.argv[1])

def read(key):
    path = folder / str(key)
    return path.read_text() if path.is_file() else None

def make(key):
    with open(folder / "made", "a") as log:
        log.write(f"{key} {os.getpid()}\\n")
    time.sleep(0.05)
    (folder / f"new-{key}").write_text(f"result {key}")
    (folder / f"new-{key}").replace(folder / str(key))
    return f"result {key}"

print(sorted(dict(divide({key: f"job-{key}" for key in range(24)}, folder / "claims", read, make)).items()))
"""
HOLDER = """
import sys, time
from pathlib import Path
from conescope.ablation.division import claimed
with claimed("job-b", Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


def start(code, folder):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_three_processes_do_each_job_once_and_all_see_all_results(tmp_path):
    workers = [start(WORKER, tmp_path) for _ in range(3)]
    told = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], told
    expected = f"{[(key, f'result {key}') for key in range(24)]}\n"
    assert [out for out, _ in told] == [expected] * 3
    made = [line.split() for line in (tmp_path / "made").read_text().splitlines()]
    assert sorted(int(key) for key, _ in made) == list(range(24))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_what_another_process_does_is_left_for_last_and_taken_over_when_it_dies(
    tmp_path, monkeypatch, caplog, end
):
    monkeypatch.setattr(division, "PATIENCE", 0.01)
    other = start(HOLDER, tmp_path)
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    looks = []

    def read(key):
        looks.append(key)
        if looks.count("b") == 9:  # it has been waited for
            other.send_signal(end)
            other.wait()
        return

    names = {key: f"job-{key}" for key in "abc"}
    assert [key for key, _ in divide(names, tmp_path, read, str.upper)] == ["a", "c", "b"]
    assert looks.count("b") >= 9
    assert caplog.messages == ["other processes make what is left (1); this one waits for them"]
    other.communicate()


def test_a_job_that_is_not_ready_waits_for_what_it_needs(tmp_path):
    finished = {}
    jobs = divide(
        {1: "1", 2: "2", 0: "0"}, tmp_path, finished.get, lambda key: key, lambda key: key <= len(finished)
    )
    for key, result in jobs:
        finished[key] = result
    assert list(finished) == [0, 1, 2]


def test_a_finished_job_is_read_and_not_made(tmp_path):
    def make(key):
        raise AssertionError(key)

    assert dict(divide({"a": "a"}, tmp_path, lambda key: 7, make)) == {"a": 7}
    assert dict(divide({}, tmp_path, lambda key: 7, make)) == {}


def test_a_claim_is_given_back_after_a_failure(tmp_path):
    def fail(key):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        list(divide({"a": "a"}, tmp_path, lambda key: None, fail))
    with claimed("a", tmp_path) as mine:
        assert mine
        with claimed("a", tmp_path) as again:
            assert not again
