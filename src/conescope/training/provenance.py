"""Where a number came from: versions and hardware."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch

TRAINING = ("torch", "transformers")  # another version of these may give a run of the same seed other numbers


def training_versions() -> dict[str, str]:
    """Return the versions of the libraries that train."""
    return {name: importlib.metadata.version(name) for name in TRAINING}


def versions() -> dict[str, str]:
    """Return the versions of Python, conescope and what computes the numbers."""
    packages = ("conescope", "torch", "transformers", "accelerate", "numpy", "scikit-learn", "scipy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def hardware(device: torch.device, precision: str) -> dict[str, Any]:
    """Return the device, the number of cores and threads, the precision and the operating system."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "system": platform.platform(terse=True),
    }


def _processor() -> str:
    """Return the name of the processor where the system tells it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
