"""PEFT's own tuners through the bridge: PEFT's count, an untouched model, learning, reloading, and PEFT's own file."""

import copy
from pathlib import Path

import peft
import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers import peft_bridge as bridge
from ulpt_search.workers.catalogue import axes_of, count, parts
from ulpt_search.workers.exports import stock
from ulpt_search.workers.exports.outputs import probe, run_model, trained_outputs
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.seeds import sha256_of
from ulpt_search.workers.model.verbalizer import encode
from ulpt_search.workers.training.trainer import bound_values

from . import toy, zoo

KINDS = [f"{bridge.PREFIX}{kind.lower()}" for kind in bridge.usable()]
SMALL = {"n_frequency": 10, "num_vectors": 16, "block_size": 4, "group_size": 4, "vector_length": 4, "oft_block_size": 4, "u": 4, "r": 2}
"""Of those that a type has: sizes that fit a model of width 32."""


def small(name: str) -> Hyperparameters:
    """A type's settings at sizes that fit the tiny models, and a rate at which four steps matter."""
    return {"lr": 0.01} | {size: value for size, value in SMALL.items() if size in axes_of(name) and method(name).defaults()[size]}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return zoo.backbone("encoder")


@pytest.mark.parametrize("name", KINDS)
def test_trains_saves_and_leaves_as_peft_would(name: str, backbone: Backbone, tmp_path: Path) -> None:
    weights, modules = sha256_of(dict(backbone.model.state_dict())), [name for name, _ in backbone.model.named_modules()]
    pack, trained, scores = toy.train(backbone, [(name, {"lr": 0.01}, 3)], steps=4)
    assert bool(torch.isfinite(trained.losses).all())
    assert not torch.equal(pack.flat, toy.pack(backbone, [(name, {}, 3)]).flat)
    assert len(pack.flat) == count(name, {}, backbone.shape) == reported_by_peft(name, backbone)

    again = toy.pack(backbone, [(name, {}, 3)])
    again.set_trial(again.flat, 0, pack.of_trial(pack.flat, 0))
    assert torch.equal(toy.trainer(backbone).predict(again, encode(backbone, toy.rows(), max_tokens=32)), scores)

    method, values = parts(name, {})[0], {key: value[0].detach() for key, value in bound_values(pack)[0].items()}
    stock.write(backbone, stock.to_peft(backbone, method, values), tmp_path)
    assert [name for name, _ in backbone.model.named_modules()] == modules
    assert sha256_of(dict(backbone.model.state_dict())) == weights
    inputs = probe(encode(backbone, toy.rows(), max_tokens=32), pad=0)
    with stock.quiet():
        reloaded = peft.PeftModel.from_pretrained(copy.deepcopy(backbone.model), str(tmp_path)).eval()
    with torch.no_grad(), stock.quiet():
        theirs = run_model(reloaded, inputs)
    ours = trained_outputs(backbone, pack, inputs)
    assert float((ours - run_model(backbone.model, inputs)).abs().max()) > 1e-6
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def reported_by_peft(name: str, backbone: Backbone) -> int:
    (method,) = parts(name, {})
    assert isinstance(method, bridge.PeftTuner)
    with stock.quiet():
        model = peft.get_peft_model(copy.deepcopy(backbone.model), method.config(method.targets(backbone.shape)))
    return int(model.get_nb_trainable_parameters()[0])


def test_cannot_share_a_pack(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="peft_loha cannot share a pack, got 2 trials"):
        toy.train(backbone, [("prompt", {"prompt_length": 2}, 1), ("peft_loha", {}, 3)], steps=2)


def test_sizes_are_axes() -> None:
    assert set(axes_of("peft_loha")) == {"lr", "layers", "modules", "r"}
    assert set(axes_of("peft_loha+dst")) == {"peft_loha.lr", "peft_loha.layers", "peft_loha.modules", "peft_loha.r", "dst.fraction"}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("peft_lohas", "methods.peft_lohas: PEFT has no such tuner of frozen modules; .* Did you mean peft_loha?"),
        ("peft_poly", "methods.peft_poly: PEFT has no such tuner"),
        ("peft_loha+prompt", r"methods.peft_loha\+prompt: PEFT's tuners wrap the modules that other methods look for; use them alone"),
    ],
)
def test_wrong_names(name: str, complaint: str) -> None:
    with pytest.raises(WrongInput, match=complaint):
        axes_of(name)


def test_what_peft_refuses_is_one_line(backbone: Backbone) -> None:
    with pytest.raises(WrongInput, match="peft_c3a: PEFT refuses: ") as raised:
        count("peft_c3a", {"block_size": 7}, backbone.shape)
    assert len(str(raised.value).splitlines()) == 1
