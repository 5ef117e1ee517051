"""Where a model trains, and in which precision."""

import torch


def chosen_device(name: str) -> torch.device:
    """Return the device of that name; "auto" takes a CUDA device if there is one.

    Raises:
        ValueError: for a name of no device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError as problem:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:0 and so on, got {name!r}") from problem


def chosen_precision(name: str, device: torch.device) -> str:
    """Return fp32, bf16 or fp16; "auto" takes bf16 where the processor multiplies it fast.

    Raises:
        ValueError: for another name.
    """
    if name not in ("auto", "fp32", "bf16", "fp16"):
        raise ValueError(f"precision must be auto, fp32, bf16 or fp16, got {name!r}")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # torch.backends has no public name for this yet
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if fast else "fp32"
