"""A fresh adapter leaves the frozen model's scores as they are, every method's and every type of PEFT's, or the reason stands here."""

import pytest

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.workers.catalogue import catalogue, method
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.frozen_scores import own_scores, relative
from ulpt_search.workers.model.readouts.encoding import encode

from . import toy, zoo
from .test_bridge import KINDS, small

IN_FRONT = "its tokens, or keys and values, stand before the text"
MOVES = {
    "adamix": "D and U start at N(0, 0.02²), as in the authors' code: near the identity",
    "adapter": "D and U start at N(0, 0.01²), as in the paper: near the identity",
    "dept": IN_FRONT,
    "dpt": IN_FRONT,
    "ether": "a mirror is never the identity",
    "fourierft": "coefficients start at N(0, 1), as in the paper and by PEFT's default",
    "head": "it gives scores of its own",
    "lora_xs": "R starts at N(0, 1e-5²), as in the paper: near the identity",
    "p_tuning": IN_FRONT,
    "prefix": IN_FRONT,
    "prompt": IN_FRONT,
    "pruned_prefix": IN_FRONT,
    "snell": "distances between random points are not zero",
    "ulpt": IN_FRONT,
    "unilora": "θ = 0 would have no gradient: it starts at U(±0.02)",
    "peft:c3a": "PEFT's default start is Xavier's; `init_weights: true` is zero",
    "peft:fourierft": "PEFT's default start is N(0, 1)",
    "peft:unilora": "θ = 0 would have no gradient: it starts at U(±0.02)",
    "peft:vblora": "a bank of zeros would have no gradient: it starts at U(±0.02)",
}
"""Method -> why its start changes the model."""
FAMILIES = ("encoder", "decoder", pytest.param("encoder-decoder", marks=pytest.mark.slow))


def values_of(name: str) -> Hyperparameters:
    return small(name) if name in KINDS else method(name).defaults()


def change(backbone: Backbone, name: str, values: Hyperparameters) -> float:
    """How far a fresh adapter moves the label scores of a few rows, as a share of the largest."""
    if not toy.fits(backbone, (name, values, 3)):
        pytest.skip(f"{name} has no site in this model")
    trainer, data = toy.trainer(backbone), encode(backbone, toy.rows(6), max_tokens=32)
    fresh = toy.pack(backbone, [(name, values, 3)])
    trainer.heads.begin(fresh, encode(backbone, toy.rows(), max_tokens=32))
    return relative(trainer.predict(fresh, data)[0], own_scores(backbone, trainer.readout, data, range(6)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", sorted(catalogue()))
def test_a_fresh_adapter_of_a_method(name: str, family: str) -> None:
    far = change(zoo.backbone(family), name, values_of(name))
    assert far > 1e-7 if name in MOVES else far < 1e-9


@pytest.mark.parametrize("family", ["encoder", pytest.param("decoder", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", KINDS)
def test_a_fresh_adapter_of_peft(name: str, family: str) -> None:
    far = change(zoo.backbone(family, "float32"), name, values_of(name))
    assert far > 1e-4 if name in MOVES else far < 1e-5


def test_a_start_of_zeros_that_peft_offers_is_one() -> None:
    assert change(zoo.backbone("encoder", "float32"), "peft:c3a", {**small("peft:c3a"), "init_weights": True}) < 1e-5


def test_every_reason_is_about_a_method_that_there_is() -> None:
    assert set(MOVES) <= {*catalogue(), *KINDS}
