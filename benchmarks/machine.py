"""On what a number was measured: hardware and versions, no names of hosts, no paths."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "conescope",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "faiss-cpu",
    "IsoScore",
    "scikit-dimension",
)


def hardware() -> dict[str, Any]:
    """Return the processor, its cores, the threads in use, the memory, and how busy others keep it."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": memory_gib(),
        "system": platform.system(),
        "load_before": round(os.getloadavg()[0], 2),  # processes that ran in the minute before
    }


def versions() -> dict[str, str]:
    """Return the commit, and the versions of Python and of what computes the numbers, as far as installed."""
    found = {"commit": commit(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the name of the processor where the system tells it, else the architecture."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_gib() -> int:
    """Return the memory of the machine in GiB."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def available_bytes() -> int | None:
    """Return how much memory can be had without swapping; None where the system does not tell."""
    return _kilobytes("/proc/meminfo", "MemAvailable:")


def anonymous_bytes() -> int | None:
    """Return the memory of this process that no file backs: mapped pages of files do not count."""
    return _kilobytes("/proc/self/status", "RssAnon:")


def commit() -> str:
    """Return the commit, marked if files differ from it; unknown outside of a checkout."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + " with changes" * bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _kilobytes(path: str, field: str) -> int | None:
    for line in _lines(path):
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
