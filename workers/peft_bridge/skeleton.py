"""The modules that PEFT would wrap, without the model around them: what an adapter has is read off it before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ...spaces.shape import Linear, Norm
from .wrapping import trainable, wrap

Target = Linear | Norm


@dataclass(frozen=True)
class Start:
    """How an adapter's start depends on the frozen weights."""

    reads: bool
    """Its first values follow from the values of the weights."""
    writes: bool
    """It takes something out of the weights themselves."""


def on_skeleton(targets: Sequence[Target], config: Any, *, name: str, seed: int, device: str) -> dict[str, nn.Parameter]:
    """Trainable tensors that PEFT makes on modules of the right sizes under the right names; without memory on `meta`."""
    with torch.device(device):
        model = _skeleton(targets)
    return trainable(wrap(model, config, name=name, seed=seed))


def start_of(targets: Sequence[Target], config: Any, *, name: str) -> Start:
    """Try a start on two skeletons of different weights."""
    (first, touched), (second, _) = (_tried(targets, config, name=name, weights=weights) for weights in (1, 2))
    return Start(any(not torch.equal(first[key], second[key]) for key in first), touched)


def _tried(targets: Sequence[Target], config: Any, *, name: str, weights: int) -> tuple[dict[str, Tensor], bool]:
    """The adapter's first values on weights of a seed, and whether those have changed."""
    model, draw = _skeleton(targets), torch.Generator().manual_seed(weights)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1, generator=draw)
    held = {target.name: model.get_submodule(target.name) for target in targets}
    before = {key: tensor.clone() for key, module in held.items() for key, tensor in _named(key, module)}
    made = {key: tensor.detach().clone() for key, tensor in trainable(wrap(model, config, name=name, seed=0)).items()}
    after = {key: tensor for key, module in held.items() for key, tensor in _named(key, module)}
    return made, any(key not in after or not torch.equal(tensor, after[key]) for key, tensor in before.items())


def _named(key: str, module: nn.Module) -> list[tuple[str, Tensor]]:
    """A frozen module's own tensors."""
    return [(f"{key}.{name}", tensor) for name, tensor in module.named_parameters(recurse=False)]


def _skeleton(targets: Sequence[Target]) -> nn.Module:
    """The wrapped modules alone; weights are random, since some types decompose them."""
    root = nn.Module()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for target in targets:
            made = nn.LayerNorm(target.width, bias=target.bias) if isinstance(target, Norm) else _linear(target)
            _place(root, target.name, made)
    return root.requires_grad_(False)


def _linear(site: Linear) -> nn.Module:
    return Conv1D(site.outputs, site.inputs) if site.transposed else nn.Linear(site.inputs, site.outputs, bias=site.bias)


def _place(root: nn.Module, name: str, module: nn.Module) -> None:
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)
