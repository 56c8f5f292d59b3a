"""Adapters folded into the weights: a plain transformers model.

Any change under which a linear stays affine is found by probing: with the trial's hooks in place, `f(0)` is the new bias and
`f(I) - f(0)` the new weight. So every linear method merges through the code that trained it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ...spaces.errors import Failure, WrongInput
from ...spaces.shape import Linear, Norm
from ..method import LinearEffect, Method, NormEffect
from ..model.backbone import Backbone, quiet
from ..model.pack import Pack
from ..model.precision import cast
from ..model.sites import Sites, local
from ..training.trainer import bound_values
from .base_files import copy_config, copy_tokenizer, dtype_of
from .kept import Kept


@torch.no_grad()
def fold(backbone: Backbone, pack: Pack) -> Kept:
    """Fold a pack of one trial into `backbone.model`, which is changed; return what it leaves as the frozen model has it."""
    folded = set(_folded(backbone, [group.method for group in pack.groups]))
    own = {id(tensor) for module in folded for tensor in backbone.model.get_submodule(module).parameters(recurse=False)}
    kept = Kept.of(backbone.model, [name for name, tensor in _tensors(backbone.model) if id(tensor) in own])
    _fold_all(backbone, pack)
    return kept


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters under all of their names: of a tied pair, both change."""
    return model.named_parameters(remove_duplicate=False)


def _folded(backbone: Backbone, methods: list[Method]) -> Iterator[str]:
    """Names of the modules that methods change."""
    yield from (site.name for site in _touched(backbone, methods))
    for method in methods:
        yield from (norm.name for norm in method.norms(backbone.shape)) if isinstance(method, NormEffect) else ()


def _fold_all(backbone: Backbone, pack: Pack) -> None:
    methods = [group.method for group in pack.groups]
    with Sites(backbone.model, backbone.shape, pack.groups, trials=1) as sites, sites.bind(bound_values(pack), rows=1):
        maps = {site: _probe(backbone.model.get_submodule(site.name), site.inputs) for site in _touched(backbone, methods)}
    for site, (weight, bias) in maps.items():
        _fold(backbone.model.get_submodule(site.name), weight, bias, name=site.name)
    for group, values in zip(pack.groups, bound_values(pack), strict=True):
        if isinstance(group.method, NormEffect):
            for norm in group.method.norms(backbone.shape):
                _fold_norm(backbone.model.get_submodule(norm.name), group.method, values, norm)


def write(backbone: Backbone, out: Path, *, dtype: torch.dtype = torch.float32, exact: Sequence[nn.Module] = ()) -> None:
    """Save a folded model, whose numbers `dtype` must hold as they are, with the base's own config and tokenizer; `exact` in float32."""
    cast(backbone.model, dtype)
    for module in exact:
        module.float()
    with quiet():
        # of a text part, under its own class's names, not those of the folder that it came from
        backbone.model.save_pretrained(out, save_original_format=not backbone.part)
    cast(backbone.model, torch.float32)
    copy_config(backbone, out, dtype=dtype)
    copy_tokenizer(backbone, out)


@torch.no_grad()
def narrowed(backbone: Backbone, check: Callable[[], None]) -> tuple[torch.dtype, str]:
    """Round a folded model to what its base's files hold, unless `check` then raises `Failure`.

    Returns the dtype that it can be saved in, and why that is not the base's.
    """
    dtype = dtype_of(backbone)
    if dtype == torch.float32:
        return dtype, ""
    weights = dict(backbone.model.named_parameters())
    exact = {name: tensor.clone() for name, tensor in weights.items() if not torch.equal(tensor, tensor.to(dtype).float())}
    cast(backbone.model, dtype)
    cast(backbone.model, torch.float32)
    try:
        check()
    except Failure as problem:
        for name, tensor in exact.items():
            backbone.model.get_parameter(name).copy_(tensor)
        return torch.float32, f"is merged in float32: rounded to the base's {str(dtype).removeprefix('torch.')}, {problem}"
    return dtype, ""


def _touched(backbone: Backbone, methods: list[Method]) -> list[Linear]:
    """The modules that methods change, whole, in order."""
    touched = [site for method in methods if isinstance(method, LinearEffect) for site in method.sites(backbone.shape)]
    return list(backbone.shape.whole(touched))


def _probe(module: nn.Module, inputs: int) -> tuple[Tensor, Tensor]:
    """Weight (outputs, inputs) and bias (outputs,) of the affine map that a hooked module computes."""
    dtype = next(module.parameters()).dtype
    bias: Tensor = module(torch.zeros(1, 1, inputs, dtype=dtype))[0, 0]
    return (module(torch.eye(inputs, dtype=dtype)[None])[0] - bias).T, bias


def _fold(module: nn.Module, weight: Tensor, bias: Tensor, *, name: str) -> None:
    frozen = dict(module.named_parameters(recurse=False))
    frozen["weight"].copy_(weight.T if isinstance(module, Conv1D) else weight)
    if "bias" in frozen:
        frozen["bias"].copy_(bias)
    elif bool(bias.abs().max() > 0):
        raise WrongInput(f"export: {name} has no bias to fold the learnt one into; use --format native")


def _fold_norm(module: nn.Module, method: NormEffect, values: dict[str, Tensor], norm: Norm) -> None:
    scale, shift = method.affine({name: value[0] for name, value in local(values, norm.key).items()}, norm)
    frozen = dict(module.named_parameters(recurse=False))
    if scale is not None:
        frozen["weight"].add_(scale)
    if shift is not None:
        frozen["bias"].add_(shift)
