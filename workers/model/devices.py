"""Where a model is computed and in which precision: what a space asks for, or what this machine has."""

import platform
from pathlib import Path

import torch

from ...spaces.errors import WrongInput

SPLIT = "split"
"""All GPUs that a process sees, for one model."""


def device_of(wanted: str) -> torch.device:
    """The device that a space asks for, of several the first; `WrongInput` where there is none of that name here."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == SPLIT:
        if gpus < 2:
            raise WrongInput(
                f"model.device: split is over two GPUs or more, but PyTorch sees {gpus} here; give --gpus-per-worker 2 or auto"
            )
        return torch.device("cuda", 0)
    if wanted == "auto":
        return torch.device("cuda" if gpus else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise WrongInput(f"model.device: {wanted!r} is no device; give auto, cpu, cuda, cuda:1 or split") from error
    if device.type == "cuda" and (device.index or 0) >= gpus:
        seen = "PyTorch sees no GPU here" if not gpus else f"PyTorch sees {gpus} here, counted from 0"
        raise WrongInput(f"model.device: {wanted} asked for, but {seen}; give auto or cpu")
    return device


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """Return the backbone's dtype: bfloat16 where the hardware multiplies it natively, float32 elsewhere."""
    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    return getattr(torch, native_dtypes(device)[-1])  # type: ignore[no-any-return]


def native_dtypes(device: torch.device) -> tuple[str, ...]:
    """What the hardware multiplies natively; the last is taken where nothing was measured."""
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bfloat16()
    return ("float32", "bfloat16") if native else ("float32",)


def first(wanted: str, measured: str) -> str:
    """What a space asks for; what was measured where it leaves that open."""
    return measured if wanted == "auto" else wanted


def _cpu_has_bfloat16() -> bool:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf8", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
