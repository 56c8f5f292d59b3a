"""Rates without units: a model whose sizes are multiplied in one place and divided where they are read trains the same.

`Method.unit` says what a tensor is measured in. The laws hold for every method; what they need to know of the model is in `rescaled.py`.
"""

import pytest
import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import catalogue, count, method, parts
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import build_parts

from . import rescaled, toy, zoo
from .test_laws import fitting

METHODS = sorted(catalogue())
SIZES = (0.01, 100.0)


def trained(name: str, values: Hyperparameters, backbone: Backbone) -> torch.Tensor:
    """Label scores after a few steps; skips where the model lacks the method's site."""
    try:
        count(name, values, backbone.shape)
    except WrongInput as reason:
        pytest.skip(str(reason))
    return toy.train(backbone, [(name, values, 1)], steps=6)[2]


def test_sizes_are_measured_off_the_weights() -> None:
    backbone = zoo.backbone("decoder")
    q, norm, attention = backbone.shape.linears[0], backbone.shape.norms[0], backbone.shape.attentions[0]
    weight = backbone.model.get_submodule(q.name).get_parameter("weight")
    assert q.rms == pytest.approx(float(weight.square().mean().sqrt()))
    assert q.scale == pytest.approx(float(weight.square().mean().sqrt()) * 32**0.5)
    assert norm.gain == pytest.approx(1.0, abs=1e-4)
    key = backbone.model.get_submodule(f"{attention.name}.k_proj").get_parameter("weight")
    assert attention.keys == pytest.approx(float(key.square().mean().sqrt()) * 32**0.5)


def test_fused_keys_and_values_are_measured_apart() -> None:
    backbone = zoo.backbone("gpt2")
    attention = backbone.shape.attentions[0]
    weight = backbone.model.get_submodule(f"{attention.name}.c_attn").get_parameter("weight")  # (in, 3·out)
    assert attention.values == pytest.approx(float(weight[:, 64:].square().mean().sqrt()) * 32**0.5)


@pytest.mark.parametrize("name", METHODS)
def test_every_unit_is_above_zero(name: str) -> None:
    backbone = zoo.backbone("encoder")
    (part,) = build_parts(0, parts(name, fitting(name, backbone)), backbone.shape, 0)
    assert part.units.keys() == part.tensors.trainable.keys()
    assert all(0 < unit < float("inf") for unit in part.units.values())


@pytest.mark.parametrize("family", zoo.FAMILIES)
@pytest.mark.parametrize("name", METHODS)
def test_the_size_of_the_embeddings_does_not_matter(name: str, family: str) -> None:
    values = method(name).defaults()
    expected = trained(name, values, zoo.backbone(family))
    for size in SIZES:
        torch.testing.assert_close(trained(name, values, rescaled.embeddings(family, size)), expected, rtol=1e-5, atol=1e-5)


ABSOLUTE = {
    "adapter": "a network of its own, whose published start is a number",
    "adamix": "as adapter",
    "loretta_adp": "as adapter",
    "fourierft": "starts with a change of published size",
    "snell": "as fourierft",
    "unilora": "one vector for all linears, whose published start is a number",
    "lorta": "one tensor for all linears, which have no size in common",
}
"""Methods for which the size of a single linear matters, and why."""

OWN: dict[str, Hyperparameters] = {"pruned_prefix": {"shared": False}}


def on_linears() -> list[tuple[str, Hyperparameters]]:
    """Every method, on several choices of linears where it has one."""
    names = sorted(set(METHODS) - set(ABSOLUTE))
    values = {name: {**method(name).defaults(), **OWN.get(name, {})} for name in names}
    choices: dict[str, tuple[str | None, ...]] = {name: ("k,v", "down,o") if "modules" in values[name] else (None,) for name in names}
    for name in ("bitfit", "finegates"):  # a bias is as large as an output, which the weights tell for inputs of size 1 only
        choices[name] = ("k,v",)
    return [(name, values[name] if chosen is None else {**values[name], "modules": chosen}) for name in names for chosen in choices[name]]


@pytest.mark.parametrize("family", rescaled.PAIRS)
@pytest.mark.parametrize(("name", "values"), on_linears())
def test_the_size_of_linears_does_not_matter(name: str, values: Hyperparameters, family: str) -> None:
    expected = trained(name, values, zoo.backbone(family))
    for size in SIZES:
        torch.testing.assert_close(trained(name, values, rescaled.linears(family, size)), expected, rtol=1e-5, atol=1e-5)


def test_the_size_of_norms_does_not_matter() -> None:
    values = method("ln_tuning").defaults()
    expected = trained("ln_tuning", values, zoo.backbone("decoder"))
    for size in SIZES:
        torch.testing.assert_close(trained("ln_tuning", values, rescaled.norms(size)), expected, rtol=1e-4, atol=1e-4)
