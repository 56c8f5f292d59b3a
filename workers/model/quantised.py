"""Frozen weights in few bits, as transformers and its guests keep them: loaded, read as numbers again, counted.

`KINDS` are those that are served: what their linears compute is an input times the numbers that `dense` gives, row by row. LLM.int8
is left out: it rounds the rows of a batch to 8 bits, too, so that the score of a text jumps with what its last bits are.

Files are read in float32, whatever is computed in: the few bits are the same in every precision.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from ...spaces.errors import WrongInput
from ...spaces.space import BITS, Quantization
from . import eight_bits, four_bits


class Kind(Protocol):
    """One way to keep weights in few bits: a module with these names."""

    LIBRARY: str
    """The package that computes with them."""
    SETTINGS: Mapping[str, Any]
    """Transformers' own, by which a stock library makes the same base of the same files."""
    SKIPPED: str
    """What of a folder's settings names modules that stay whole."""
    NAMED: str
    """What transformers puts behind a module's name before it looks for exceptions."""

    def made(self, settings: Mapping[str, Any], /) -> bool:
        """Whether a folder's own settings are of this kind."""

    def packs(self, module: nn.Module, /) -> bool:
        """Whether transformers packs such a module's weight, where no exception names it."""

    def serves(self, module: nn.Module, /) -> bool:
        """Whether a module whose weight is, or is to be, packed computes by it."""

    def holds(self, tensor: object, /) -> bool:
        """Whether a tensor is such a weight."""

    def shape(self, tensor: Tensor, /) -> torch.Size:
        """The size of the weight that one stands for."""

    def dense(self, tensor: Tensor, /) -> Tensor:
        """The numbers (outputs, inputs) of one, as its linear multiplies by them."""

    def parts(self, tensor: Tensor, /) -> dict[str, Tensor]:
        """What of one lies in memory: end of a name -> plain tensor."""

    def kept(self, size: torch.Size, /) -> int:
        """Bytes of a weight of this size."""

    def compute_in(self, module: nn.Module, dtype: torch.dtype, /) -> None:
        """Let a module with such a weight compute in `dtype`, by products that have gradients."""


KINDS: Mapping[Quantization, Kind] = {"bnb-4bit": four_bits, "torchao-8bit": eight_bits}


def kind_of(quantization: Quantization, config: PretrainedConfig, name: str) -> Quantization:
    """How a folder's weights are kept: as the space asks, or as they lie there. `WrongInput` where that is nothing to train on."""
    given = getattr(config, "quantization_config", None)
    if given is None:
        return quantization
    found = given if isinstance(given, dict) else given.to_dict()
    held = next((kind for kind, own in KINDS.items() if own.made(found)), None)
    if held is not None and quantization in ("none", held):
        return held
    if held is not None:
        raise WrongInput(f"model {name}: its folder holds {held}, and model.quantization asks for {quantization}; leave that out")
    method = found.get("quant_method", "unknown")
    said = "8 bits of LLM.int8" if found.get("load_in_8bit") else f"weights of {method}"
    raise WrongInput(
        f"model {name}: its folder holds {said}, and frozen weights are served plain or as {' or '.join(KINDS)}; give an unquantised "
        f"copy with model.quantization: {' or '.join(KINDS)}"
    )


def packed(load: Callable[..., Any], config: PretrainedConfig, quantization: Quantization, device: torch.device) -> Any:
    """Call `load`, which returns a model and a report, for weights in few bits on their device: such are never moved."""
    from transformers.quantizers.auto import AutoQuantizationConfig  # loads every method's, so only where one is asked for

    given = getattr(config, "quantization_config", None)
    settings = {} if given is not None else {"quantization_config": AutoQuantizationConfig.from_dict(dict(KINDS[quantization].SETTINGS))}
    model, report = load(dtype=torch.float32, device_map={"": str(device)}, **settings)
    compute_in(model, torch.float32)
    return model, report


def require_library(quantization: Quantization) -> None:
    """Raise `WrongInput` where a kind's library, or what loads its weights, is not installed."""
    if quantization == "none":
        return
    missing = [name for name in (KINDS[quantization].LIBRARY, "accelerate") if find_spec(name) is None]
    if missing:
        raise WrongInput(f"model.quantization: {quantization} needs {' and '.join(missing)}; pip install 'ulpt-search[quantized]'")


def require_served(modules: Iterable[nn.Module], quantization: Quantization, name: str) -> None:
    """Raise `WrongInput` where a model has no linears, of these `modules`, that a kind packs, or one that does not compute by it."""
    own, found = KINDS[quantization], list(modules)
    others = " or ".join(kind for kind in ("none", *KINDS) if kind != quantization)
    odd = next((type(module).__name__ for module in found if not own.serves(module)), None)
    if odd is not None:
        raise WrongInput(f"model {name}: its {odd} does not compute by weights of {own.LIBRARY}; give model.quantization: {others}")
    if not found:
        raise WrongInput(f"model {name}: {own.LIBRARY} keeps none of its linears in {BITS[quantization]} bits; give {others}")


def bits_of(quantization: Quantization) -> dict[str, Any] | None:
    """The settings by which a stock library makes such a base; None for plain weights."""
    return dict(KINDS[quantization].SETTINGS) if quantization in KINDS else None


def _kind(tensor: object) -> Kind | None:
    """In which way a tensor holds numbers in few bits; None for a plain one."""
    return next((own for own in KINDS.values() if own.holds(tensor)), None)


def is_packed(tensor: object) -> bool:
    """Whether a tensor holds numbers in few bits."""
    return _kind(tensor) is not None


def dense(tensor: Tensor) -> Tensor:
    """The numbers (outputs, inputs) of a weight: itself, or what its few bits stand for, which is what its linear multiplies by."""
    own = _kind(tensor)
    return tensor if own is None else own.dense(tensor)


def size_of(tensor: Tensor) -> torch.Size:
    """The size of a weight, however it is kept."""
    own = _kind(tensor)
    return tensor.shape if own is None else own.shape(tensor)


def packed_linears(model: nn.Module) -> Iterator[nn.Module]:
    """The modules whose weights are in few bits."""
    return (module for module in model.modules() if is_packed(getattr(module, "weight", None)))


def compute_in(model: nn.Module, dtype: torch.dtype) -> None:
    """Let linears in few bits compute in `dtype`, by products that have gradients."""
    for module in packed_linears(model):
        own = _kind(module.weight)
        assert own is not None
        own.compute_in(module, dtype)


def names(model: PreTrainedModel, quantization: Quantization) -> set[str]:
    """Names of the linears that transformers puts in few bits, by its own rules; the model may be on the meta device."""
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    own, given = KINDS[quantization], getattr(model.config, "quantization_config", None) or {}
    skipped = (given if isinstance(given, dict) else given.to_dict()).get(own.SKIPPED)
    whole = HfQuantizer.get_modules_to_not_convert(model, skipped, list(model._keep_in_fp32_modules or ()))
    linears = (name for name, module in model.named_modules() if own.packs(module))
    return {name for name in linears if should_convert_module(name + own.NAMED, whole)}


def saved(model: PreTrainedModel, quantization: Quantization) -> int:
    """Bytes by which a model on paper is smaller in few bits; none where its weights stay plain."""
    if quantization == "none":
        return 0
    weights = [model.get_submodule(name).get_parameter("weight") for name in names(model, quantization)]
    return sum(weight.nbytes - KINDS[quantization].kept(weight.shape) for weight in weights)


def lying(model: nn.Module) -> dict[str, Tensor]:
    """Name -> plain tensor of all parameters as they lie in memory, those in few bits part by part."""
    found: dict[str, Tensor] = {}
    for name, tensor in model.named_parameters():
        own = _kind(tensor)
        found.update({name: tensor} if own is None else {name + part: plain for part, plain in own.parts(tensor).items()})
    return found


def bytes_held(model: nn.Module) -> int:
    """Bytes of a loaded model's parameters as they are kept."""
    return sum(tensor.nbytes for tensor in lying(model).values())


def float_bytes(model: nn.Module) -> int:
    """Bytes of a loaded model's parameters if all of them were in float32."""
    return sum(4 * size_of(tensor).numel() for tensor in model.parameters())
