"""PEFT's modules around parts of a frozen model, for the time of a pass: put in, run with tensors of ours, taken out again."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces.errors import WrongInput, reason

REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, ImportError, KeyError, AttributeError, IndexError)
"""What PEFT raises at settings that it cannot use."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep advice about defaults, sparse tensors and norms without a number of inputs off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turn what PEFT complains about into one line, `WrongInput`, that starts with `name`."""
    try:
        with quiet():
            yield
    except REFUSALS as error:
        raise WrongInput(f"{name}: PEFT refuses: {reason(error)}") from error


def wrap(model: nn.Module, config: Any, *, name: str, seed: int) -> nn.Module:
    """Return PEFT's model around `model`, whose modules it has wrapped; `WrongInput`, starting with `name`, where it refuses."""
    from peft import get_peft_model

    with refusing(name), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wrapped: nn.Module = get_peft_model(model, config)
    return wrapped


def trainable(wrapped: nn.Module) -> dict[str, nn.Parameter]:
    """What PEFT trains, under its names."""
    return {name: parameter for name, parameter in wrapped.named_parameters() if parameter.requires_grad}


@contextmanager
def injected(model: nn.Module, targets: Sequence[str], config: Any, *, name: str, seed: int) -> Iterator[nn.Module]:
    """Let PEFT wrap the modules `targets` of `model`, drawing from `seed`; yields PEFT's model, and unwraps at the end."""
    before = {target: model.get_submodule(target) for target in targets}
    known, training = set(vars(model)), model.training
    try:
        wrapped = wrap(model, config, name=name, seed=seed)
        model.train(training)
        yield wrapped
    finally:
        for target, module in before.items():
            parent, _, attribute = target.rpartition(".")
            setattr(model.get_submodule(parent), attribute, module.requires_grad_(False))
        for extra in set(vars(model)) - known:
            delattr(model, extra)


@contextmanager
def holding(wrapped: nn.Module, values: Mapping[str, Tensor], *, added: bool) -> Iterator[None]:
    """Run with these tensors, under PEFT's names, in the place of PEFT's parameters, or `added` to them, so that gradients reach them."""
    swapped: list[tuple[nn.Module, str, nn.Parameter]] = []
    try:
        for name in trainable(wrapped):
            parent, _, attribute = name.rpartition(".")
            holder = wrapped.get_submodule(parent)
            parameter = holder._parameters.pop(attribute)
            assert parameter is not None
            swapped.append((holder, attribute, parameter))
            own = values[name].to(parameter.device)
            setattr(holder, attribute, parameter.detach() + own if added else own)
        yield
    finally:
        for holder, attribute, parameter in swapped:
            delattr(holder, attribute)
            holder.register_parameter(attribute, parameter)
