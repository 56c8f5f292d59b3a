"""Frozen weights in 4 bits, as transformers and bitsandbytes keep them: loaded, read as numbers again, counted.

NF4 with scales that are in 8 bits themselves, as in QLoRA (Dettmers et al. 2023). What a linear computes is its input times the numbers
that `dense` gives, row by row. LLM.int8 is left out: it rounds the rows of a batch to 8 bits, too, so that the score of a text jumps
with what its last bits are.

Files are read in float32, whatever is computed in: the 4 bits are the same in every precision.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ...spaces.errors import WrongInput
from ...spaces.space import Quantization

SETTINGS: Mapping[str, Any] = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
"""Of `BitsAndBytesConfig`, by which a stock library makes the same base of the same files."""
BLOCK, OUTER = 64, 256
"""Weights of one scale, and scales of one outer scale."""


def kind_of(quantization: Quantization, config: PretrainedConfig, name: str) -> Quantization:
    """How a folder's weights are kept: as the space asks, or as they lie there. `WrongInput` where that is nothing to train on."""
    given = getattr(config, "quantization_config", None)
    if given is None:
        return quantization
    found = given if isinstance(given, dict) else given.to_dict()
    if found.get("load_in_4bit") and quantization in ("none", "bnb-4bit"):
        return "bnb-4bit"
    method = found.get("quant_method", "unknown")
    said = "8 bits of LLM.int8" if found.get("load_in_8bit") else f"weights of {method}"
    raise WrongInput(
        f"model {name}: its folder holds {said}, and frozen weights are served plain or as bnb-4bit; give an unquantised copy "
        "with model.quantization: bnb-4bit"
    )


def packed(load: Callable[..., Any], config: PretrainedConfig, *, dtype: torch.dtype, device: torch.device) -> Any:
    """Call `load`, which returns a model and a report, for weights in 4 bits on their device: such are never moved.

    Raises `WrongInput` where a library is missing.
    """
    _require()
    given = getattr(config, "quantization_config", None)
    made = {} if given is not None else {"quantization_config": BitsAndBytesConfig(**SETTINGS, bnb_4bit_compute_dtype=dtype)}
    model, report = load(dtype=torch.float32, device_map={"": str(device)}, **made)
    compute_in(model, torch.float32)
    return model, report


def _require() -> None:
    """`WrongInput` where bitsandbytes, or what loads its weights, is not installed."""
    missing = [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]
    if missing:
        raise WrongInput(f"model.quantization: bnb-4bit needs {' and '.join(missing)}; pip install 'ulpt-search[quantized]'")


def bits_of(quantization: Quantization) -> dict[str, Any] | None:
    """The settings by which a stock library makes such a base; None for plain weights."""
    return dict(SETTINGS) if quantization == "bnb-4bit" else None


def is_packed(tensor: object) -> bool:
    """Whether a tensor holds numbers in 4 bits."""
    return type(tensor).__name__ == "Params4bit" and getattr(tensor, "quant_state", None) is not None


def dense(tensor: Tensor) -> Tensor:
    """The numbers (outputs, inputs) of a weight: itself, or what its 4 bits stand for, which is what its linear multiplies by."""
    if not is_packed(tensor):
        return tensor
    from bitsandbytes.functional import dequantize_4bit

    made: Tensor = dequantize_4bit(tensor.data, tensor.quant_state)  # type: ignore[attr-defined]
    return made


def packed_linears(model: nn.Module) -> Iterator[nn.Module]:
    """The modules whose weights are in 4 bits."""
    return (module for module in model.modules() if is_packed(getattr(module, "weight", None)))


def compute_in(model: nn.Module, dtype: torch.dtype) -> None:
    """Let linears in 4 bits compute in `dtype`, by products that have gradients.

    On CPUs with products in bfloat16, bitsandbytes lays a weight out anew at its first pass without a gradient, for a kernel that
    has none: whatever were trained below such a linear afterwards would stand still.
    """
    for module in packed_linears(model):
        module.compute_dtype, module.compute_type_is_set = dtype, True  # type: ignore[assignment]
        module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def names(model: PreTrainedModel) -> set[str]:
    """Names of the linears that transformers puts in 4 bits, by its own rules; the model may be on the meta device."""
    from transformers.quantizers.base import HfQuantizer  # loads every method's, so only where one is asked for
    from transformers.quantizers.quantizers_utils import should_convert_module

    given = getattr(model.config, "quantization_config", None) or {}
    skipped = (given if isinstance(given, dict) else given.to_dict()).get("llm_int8_skip_modules")
    whole = HfQuantizer.get_modules_to_not_convert(model, skipped, list(model._keep_in_fp32_modules or ()))
    linears = (name for name, module in model.named_modules() if type(module) is nn.Linear or isinstance(module, Conv1D))
    return {name for name in linears if should_convert_module(name, whole)}


def saved(model: PreTrainedModel) -> int:
    """Bytes by which a model on paper is smaller in 4 bits; packed bytes, scales and outer scales are what is left of its linears."""
    weights = [model.get_submodule(name).get_parameter("weight") for name in names(model)]
    return sum(weight.nbytes - _kept(weight.numel()) for weight in weights)


def float_bytes(model: nn.Module) -> int:
    """Bytes of a loaded model's parameters if all of them were in float32."""
    sizes = (tensor.quant_state.shape if is_packed(tensor) else tensor.shape for tensor in model.parameters())  # type: ignore[attr-defined]
    return sum(4 * size.numel() for size in sizes)


def _kept(numbers: int) -> int:
    scales = -(-numbers // BLOCK)
    return -(-numbers // 2) + scales + 4 * -(-scales // OUTER) + 4 * (16 + OUTER + 1)  # two code tables and an offset
