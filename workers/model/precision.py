"""Weights in another precision, the way transformers itself loads them: a few numbers stay in float32 whatever the rest is in."""

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

TABLES = ("inv_freq", "embed_positions")
"""Last part of the name of rotary frequencies and tables: in bfloat16 they would turn far positions by radians."""


def cast(model: nn.Module, dtype: torch.dtype, device: torch.device | None = None) -> None:
    """Bring a model's numbers to `dtype` and its device, in place."""
    kept = {name: tensor.detach().clone() for name, tensor in _stubborn(model)} if dtype.itemsize < torch.float32.itemsize else {}
    model.to(device=device, dtype=dtype)
    for name, tensor in kept.items():
        parent, _, last = name.rpartition(".")
        _replace(model.get_submodule(parent), last, tensor.to(device))


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
