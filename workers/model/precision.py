"""Weights in the precision of their files or in another, the way transformers itself loads them.

A few numbers stay in float32 whatever the rest is in.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor, nn

from .quantised import compute_in, is_packed, packed_linears

TABLES = ("inv_freq", "embed_positions")
"""Last part of the name of rotary frequencies and tables: in bfloat16 they would turn far positions by radians."""


_NARROW = {"BF16": torch.bfloat16, "F16": torch.float16}


def stored_in(files: Sequence[Path]) -> torch.dtype:
    """What a checkpoint holds: bfloat16 or float16 where all of its numbers are that, else float32; whole numbers do not count."""
    found = {kind for path in files for kind in (_kinds(path) if path.suffix == ".safetensors" else {"F32"}) if "F" in kind}
    return _NARROW.get(found.pop(), torch.float32) if len(found) == 1 else torch.float32


def _kinds(path: Path) -> set[str]:
    """What a safetensors file calls the kinds of its numbers."""
    with safetensors.safe_open(path, "pt") as file:
        return {str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118 - not a mapping


def as_stored(load: Callable[..., Any], files: Sequence[Path]) -> Any:
    """Call `load(dtype=…)`, which returns a model and a report, with what these files hold: in float32 it would be twice as large.

    Numbers that no file holds, such as a table of positions, are wanted as float32 computes them: families whose own are rounded on
    the way are loaded in float32 all the same.
    """
    dtype = stored_in(files)
    model, report = load(dtype=dtype)
    if dtype == torch.float32 or not any(_rounded(model)):
        return model, report
    del model
    return load(dtype=torch.float32)


def _rounded(model: nn.Module) -> Iterator[str]:
    """Names of numbers beside the weights that are in less than float32."""
    held = model.state_dict().keys()
    for name, tensor in model.named_buffers():
        if name not in held and tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize:
            yield name


def cast(model: nn.Module, dtype: torch.dtype, device: torch.device | None = None) -> None:
    """Bring a model's numbers to `dtype` and its device, in place; one with weights in a few bits stays where it is."""
    if any(packed_linears(model)):
        _cast_around(model, dtype)
        return
    kept = {name: tensor.detach().clone() for name, tensor in _stubborn(model)} if dtype.itemsize < torch.float32.itemsize else {}
    model.to(device=device, dtype=dtype)
    for name, tensor in kept.items():
        parent, _, last = name.rpartition(".")
        _replace(model.get_submodule(parent), last, tensor.to(device))


def _cast_around(model: nn.Module, dtype: torch.dtype) -> None:
    """Bring what is not in a few bits to `dtype`, tied tensors once, and let the rest compute in it."""
    kept = {id(tensor) for _, tensor in _stubborn(model)} if dtype.itemsize < torch.float32.itemsize else set()
    for module in model.modules():
        for name, tensor in chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False)):
            if tensor.is_floating_point() and not is_packed(tensor) and id(tensor) not in kept:
                _replace(module, name, tensor.detach().to(dtype))
    compute_in(model, dtype)


def _stubborn(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What stays in float32: tables of rotary positions, and what the family insists on, such as a router."""
    strict = tuple(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_floating_point() and (name.endswith(TABLES) or any(f".{part}" in f".{name}" for part in strict)):
            yield name, tensor


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    if name in module._buffers:
        module._buffers[name] = tensor
    else:
        module.get_parameter(name).data = tensor
