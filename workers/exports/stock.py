"""Adapters as stock PEFT adapters: for each effect, the PEFT type that represents it exactly.

The tensors are put into a freshly built stock model by name, and a name that the model does not have is an error, since PEFT
itself would ignore it without a word.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import peft
import torch
from peft import IA3Config, LNTuningConfig, LoraConfig
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from ...spaces.errors import Failure, WrongInput
from ...spaces.shape import Linear, Shape
from ..architecture import weight_of
from ..backbone import Backbone
from ..method import Biases, Gates, KeysValues, LowRank, Method, NormEffect, SoftPrompt
from ..sites import local
from . import prompts
from .prompts import TASK_TYPES, Built, Tensors


def to_peft(backbone: Backbone, method: Method, values: Tensors) -> Built:
    """Return PEFT's config and its tensors, under the names they have in a stock model, for one trained method.

    `values` are the method's trainable and frozen tensors. Raises `WrongInput` where PEFT has no exact form.
    """
    for effect, convert in CONVERSIONS.items():
        if isinstance(method, effect) and "peft" in method.exports:
            return convert(backbone, method, values)
    raise WrongInput(f"export: {type(method).__name__.lower()} has no exact PEFT form; use --format {' or '.join(method.exports)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep PEFT from warning that a norm has no number of inputs: LN_TUNING asks for it and does not need it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unsupported layer type")
        yield


def write(backbone: Backbone, built: Built, out: Path) -> None:
    """Write a PEFT adapter folder by PEFT's own means, on a throw-away copy of the frozen model's structure."""
    config, tensors = built
    with quiet():
        model = peft.get_peft_model(backbone.model, config)
    try:
        names = peft.get_peft_model_state_dict(model)
        if set(names) != set(tensors):
            odd = sorted(set(names) ^ set(tensors))
            raise Failure(f"export: the stock model and the adapter disagree on {len(odd)} tensors, e.g. {odd[0]}")
        peft.set_peft_model_state_dict(model, {name: tensor.to(names[name].dtype) for name, tensor in tensors.items()})
        model.save_pretrained(str(out))
    finally:
        if hasattr(model.base_model, "unload"):
            model.base_model.unload()


def _low_rank(backbone: Backbone, method: LowRank, values: Tensors) -> Built:
    pairs = {
        site.name: method.factors(local(values, site.key), site, _weight(backbone, site)) for site in method.sites(backbone.shape)
    }
    config = _lora_config(backbone, {name: a.shape[0] for name, (_, a) in pairs.items()})
    tensors = {f"base_model.model.{name}.lora_A.weight": a for name, (_, a) in pairs.items()}
    return config, tensors | {f"base_model.model.{name}.lora_B.weight": b for name, (b, _) in pairs.items()}


def _biases(backbone: Backbone, method: Biases, values: Tensors) -> Built:
    """LORA of rank 1 with zero factors and `lora_bias`: the bias of B is δ."""
    sites = method.sites(backbone.shape)
    config = _lora_config(backbone, dict.fromkeys((site.name for site in sites), 1))
    config.lora_bias = True
    tensors: Tensors = {}
    for site in sites:
        base = f"base_model.model.{site.name}"
        tensors[f"{base}.lora_A.weight"] = torch.zeros(1, site.inputs)
        tensors[f"{base}.lora_B.weight"] = torch.zeros(site.outputs, 1)
        tensors[f"{base}.lora_B.bias"] = method.bias(local(values, site.key), site)
    return config, tensors


def _gates(backbone: Backbone, method: Gates, values: Tensors) -> Built:
    gates = {site: method.gates(local(values, site.key), site) for site in method.sites(backbone.shape)}
    double = next((site.name for site, (before, after) in gates.items() if before is not None and after is not None), None)
    if double is not None:
        raise WrongInput(f"export: IA3 has one gate a linear, {double} has two; use --format native or merged")
    before = [site for site, (gate, _) in gates.items() if gate is not None]
    config = IA3Config(
        task_type=TASK_TYPES[backbone.family],
        target_modules=[site.name for site in gates],
        feedforward_modules=[site.name for site in before],
        fan_in_fan_out=_conv1d(backbone),
        inference_mode=True,
    )
    tensors = {f"base_model.model.{site.name}.ia3_l": _column(gates[site], first=site in before) for site in gates}
    return config, tensors


def _column(gates: tuple[Tensor | None, Tensor | None], *, first: bool) -> Tensor:
    before, after = gates
    gate = before if before is not None else after
    if gate is None:
        raise Failure(f"export: a gated linear without a gate: {gates!r}")
    return gate[None, :] if first else gate[:, None]


def _norms(backbone: Backbone, method: NormEffect, values: Tensors) -> Built:
    """LN_TUNING holds scale and shift as they are, not their changes."""
    sites, tensors = method.sites(backbone.shape), Tensors()
    for site in sites:
        module, base = backbone.model.get_submodule(site.name), f"base_model.model.{site.name}.ln_tuning_layers"
        scale, shift = method.affine(local(values, site.key), site)
        tensors[f"{base}.weight"] = module.get_parameter("weight") + scale
        if site.bias:
            tensors[f"{base}.bias"] = module.get_parameter("bias") + (0.0 if shift is None else shift)
    return LNTuningConfig(task_type=TASK_TYPES[backbone.family], target_modules=[site.name for site in sites], inference_mode=True), tensors


def _lora_config(backbone: Backbone, ranks: dict[str, int]) -> LoraConfig:
    return LoraConfig(
        task_type=TASK_TYPES[backbone.family],
        r=max(ranks.values()),
        lora_alpha=max(ranks.values()),
        target_modules=list(ranks),
        rank_pattern=ranks,
        alpha_pattern=dict(ranks),
        fan_in_fan_out=_conv1d(backbone),
        inference_mode=True,
    )


def _conv1d(backbone: Backbone) -> bool:
    return any(isinstance(module, Conv1D) for module in backbone.model.modules())


def _weight(backbone: Backbone, site: Linear) -> Tensor:
    return weight_of(backbone.model.get_submodule(site.name))


CONVERSIONS: dict[type, Callable[..., Built]] = {
    SoftPrompt: prompts.soft_prompt,
    KeysValues: prompts.keys_values,
    LowRank: _low_rank,
    Gates: _gates,
    Biases: _biases,
    NormEffect: _norms,
}


def formats(methods: Sequence[Method], shape: Shape) -> tuple[str, ...]:
    """The formats that represent a configuration exactly on a model: a composition can be merged only if all of it can."""
    if len(methods) > 1:
        return ("native", "merged") if all("merged" in method.exports for method in methods) else ("native",)
    (method,) = methods
    stock = not isinstance(method, KeysValues) or prompts.fills(shape, method)
    return tuple(style for style in method.exports if style != "peft" or stock)
