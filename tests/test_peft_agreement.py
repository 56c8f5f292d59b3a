"""LoRA and (IA)³ against peft, number for number: the same values give the same hidden states, and the counts are equal."""

import copy

import peft
import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports.outputs import probe, run_model, trained_outputs
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.encoding import encode

from . import toy, zoo

NAMES = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "down": "output.dense"}
LORA = peft.LoraConfig(r=2, lora_alpha=8, target_modules=["query", "value"])
IA3 = peft.IA3Config(target_modules=r".*(key|value|layer\.\d\.output\.dense)", feedforward_modules=r".*layer\.\d\.output\.dense")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return zoo.backbone("encoder")


@pytest.mark.parametrize(
    ("name", "values", "config"),
    [("lora", {"rank": 2, "alpha": 8.0, "modules": "q,v"}, LORA), ("ia3", {"modules": "k,v,down"}, IA3)],
)
def test_same_numbers_same_outputs(name: str, values: Hyperparameters, config: peft.PeftConfig, backbone: Backbone) -> None:
    pack = toy.pack(backbone, [(name, values, 0)])
    torch.manual_seed(0)
    pack.flat.add_(0.3 * torch.randn_like(pack.flat))
    stock = peft.get_peft_model(copy.deepcopy(backbone.model), config)
    assert stock.num_parameters(only_trainable=True) == count(name, values, backbone.shape)
    copy_into(stock, pack)
    inputs = probe(encode(backbone, toy.rows(), max_tokens=32), pad=0)
    with torch.no_grad():
        theirs = run_model(stock.eval(), inputs)
    untouched = run_model(backbone.model, inputs)
    assert float((theirs - untouched).abs().max()) > 0.01
    torch.testing.assert_close(trained_outputs(backbone, pack, inputs), theirs, rtol=1e-10, atol=1e-10)


def copy_into(stock: torch.nn.Module, pack: Pack) -> None:
    """Write a pack of one into the peft model's parameters, found by the linear they belong to."""
    for key, value in pack.of_trial(pack.flat, 0).items():
        site, _, tensor = key.partition("/")
        layer, role = site.split(".")
        (parameter,) = [p for n, p in stock.named_parameters() if p.requires_grad and belongs(n, layer, role, tensor)]
        assign(parameter, value)


def belongs(name: str, layer: str, role: str, tensor: str) -> bool:
    kind = {"A": "lora_A", "B": "lora_B", "l": "ia3_l"}[tensor]
    return f"layer.{layer}.{NAMES[role]}." in name and kind in name


@torch.no_grad()
def assign(parameter: Tensor, value: Tensor) -> None:
    parameter.copy_(value.view_as(parameter))
