"""Rates without units: a model whose sizes are multiplied in one place and divided where they are read trains the same.

`Method.unit` says what a tensor is measured in. The laws hold for every method; what they need to know of the model is in `rescaled.py`.
"""

import pytest
import torch

from ulpt_search.workers.catalogue import catalogue, parts
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import build_parts

from . import rescaled, toy, zoo
from .test_laws import fitting

METHODS = sorted(catalogue())
SIZES = (0.01, 100.0)


def scores(name: str, backbone: Backbone) -> torch.Tensor:
    """Label scores after a few steps at the method's defaults."""
    return toy.train(backbone, [(name, fitting(name, backbone), 1)], steps=6)[2]


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
    backbone = zoo.backbone(family)
    expected = scores(name, backbone)
    for size in SIZES:
        torch.testing.assert_close(scores(name, rescaled.embeddings(family, size)), expected, rtol=1e-5, atol=1e-5)
