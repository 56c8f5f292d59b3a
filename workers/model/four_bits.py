"""Weights in 4 bits, as bitsandbytes keeps them: NF4 with scales that are in 8 bits themselves, as in QLoRA (Dettmers et al. 2023)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LIBRARY = "bitsandbytes"
SETTINGS: Mapping[str, Any] = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
SKIPPED, NAMED = "llm_int8_skip_modules", ""
BLOCK, OUTER = 64, 256
"""Weights of one scale, and scales of one outer scale."""


def made(settings: Mapping[str, Any]) -> bool:
    """Whether a folder's own settings are of this kind."""
    return bool(settings.get("load_in_4bit"))


def packs(module: nn.Module) -> bool:
    """Whether transformers keeps such a module's weight in 4 bits, where no exception names it."""
    return type(module) is nn.Linear or isinstance(module, Conv1D)


def serves(module: nn.Module) -> bool:
    """Whether such a module computes by a weight in 4 bits: transformers puts another in its place, which does."""
    return packs(module) or type(module).__name__ == "Linear4bit"


def holds(tensor: object) -> bool:
    """Whether a tensor holds numbers in 4 bits."""
    return type(tensor).__name__ == "Params4bit" and getattr(tensor, "quant_state", None) is not None


def shape(tensor: Any) -> torch.Size:
    """The size of the weight that it stands for."""
    size: torch.Size = tensor.quant_state.shape
    return size


def dense(tensor: Any) -> Tensor:
    """The numbers that its linear multiplies by."""
    from bitsandbytes.functional import dequantize_4bit

    numbers: Tensor = dequantize_4bit(tensor.data, tensor.quant_state)
    return numbers


def parts(tensor: Tensor) -> dict[str, Tensor]:
    """What of it lies in memory as plain bytes; its scales are a few hundredths of that."""
    return {"": tensor}


def kept(size: torch.Size) -> int:
    """Bytes of a weight of this size: packed numbers, scales and outer scales, two code tables and an offset."""
    scales = -(-size.numel() // BLOCK)
    return -(-size.numel() // 2) + scales + 4 * -(-scales // OUTER) + 4 * (16 + OUTER + 1)


def compute_in(module: Any, dtype: torch.dtype) -> None:
    """Let a linear compute in `dtype`, by products that have gradients.

    On CPUs with products in bfloat16, bitsandbytes lays a weight out anew at its first pass without a gradient, for a kernel that
    has none: whatever were trained below such a linear afterwards would stand still.
    """
    module.compute_dtype, module.compute_type_is_set = dtype, True
    module.support_avx512bf16_for_cpu = False
