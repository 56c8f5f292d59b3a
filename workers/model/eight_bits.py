"""Weights in 8 bits, as torchao keeps them: whole numbers and one float32 scale an output; nothing else is rounded.

A linear multiplies its input by the whole numbers, in the precision of that input, and each output by its scale, row by row.

By torchao's own product, autograd would keep the whole numbers of every linear as floats until backward, which is the model once
more; `_Product` makes them again there.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

LIBRARY = "torchao"
TYPE = "Int8WeightOnlyConfig"
SETTINGS: Mapping[str, Any] = {
    "quant_method": "torchao",
    "quant_type": {"default": {"_type": TYPE, "_version": 2, "_data": {"set_inductor_config": False}}},
}
"""Without the settings that torchao would make for compiled code, process-wide."""
SKIPPED, NAMED = "modules_to_not_convert", ".weight"


def made(settings: Mapping[str, Any]) -> bool:
    """Whether a folder's own settings are of this kind; embeddings in 8 bits are another one."""
    kinds = settings.get("quant_type")
    told = kinds.get("default") if isinstance(kinds, dict) else None
    return isinstance(told, dict) and told.get("_type") == TYPE and not settings.get("include_input_output_embeddings")


def packs(module: nn.Module) -> bool:
    """Whether transformers keeps such a module's weight in 8 bits, where no exception names it; GPT-2's Conv1D it leaves whole."""
    return isinstance(module, nn.Linear)


def serves(module: nn.Module) -> bool:
    """Whether such a module computes by a weight in 8 bits: Falcon's transpose theirs, which torchao's tensor does not offer."""
    return type(module).forward is nn.Linear.forward


def holds(tensor: object) -> bool:
    """Whether a tensor holds numbers in 8 bits."""
    return type(tensor).__name__ == "Int8Tensor" and getattr(tensor, "act_quant_kwargs", None) is None


def shape(tensor: Tensor) -> torch.Size:
    """The size of the weight that it stands for."""
    return tensor.shape


def dense(tensor: Any) -> Tensor:
    """The numbers that its linear multiplies by, in float32, whatever is computed in."""
    numbers: Tensor = tensor.dequantize(torch.float32)
    return numbers


def parts(tensor: Any) -> dict[str, Tensor]:
    """What of it lies in memory: whole numbers, scales, and of a symmetric one zeros."""
    found = {f".{name}": getattr(tensor, name) for name in ("qdata", "scale", "zero_point")}
    return {name: own for name, own in found.items() if own is not None}


def kept(size: torch.Size) -> int:
    """Bytes of a weight of this size: a byte a number, and five an output."""
    return size.numel() + 5 * size[0]


def compute_in(module: Any, dtype: torch.dtype) -> None:
    """Let a linear compute in `dtype`, with gradients for its input.

    The precision that a torchao tensor says it has is that of what it was made of, and stays so when it is cast; families look at
    it to cast what they put in. The tensor is therefore put together anew, of the same parts.
    """
    old = module.weight
    new = type(old)(old.qdata, old.scale, old.block_size, dtype, zero_point=old.zero_point)
    module.weight = nn.Parameter(new, requires_grad=False)
    module.forward = partial(_forward, module)


def _forward(module: nn.Linear, x: Tensor) -> Tensor:
    """The linear's output for `x` (..., inputs)."""
    y: Tensor = _Product.apply(x, module.weight)  # type: ignore[no-untyped-call]
    return y if module.bias is None else y + module.bias


class _Product(torch.autograd.Function):
    """Torchao's product of an input and a frozen weight; the weight is read again for the input's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.weight = weight
        return linear(x, weight)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (slope,) = slopes
        return slope @ dense(ctx.weight).to(slope.dtype), None
