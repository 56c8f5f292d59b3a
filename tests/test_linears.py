"""Which stock form a change of linears takes, and that the form multiplies out to the change."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.workers.catalogue import method
from ulpt_search.workers.exports.linears import _factors
from ulpt_search.workers.exports.stock import to_peft

from . import zoo


def stock(family: str, name: str, hyperparameters: Hyperparameters) -> tuple[Any, dict[str, Tensor]]:
    """PEFT's config and tensors of a method whose trainable tensors are all moved by one."""
    backbone, chosen = zoo.backbone(family, "float32"), method(name).create(hyperparameters)
    tensors = chosen.build(backbone.shape, torch.Generator().manual_seed(0))
    return to_peft(backbone, chosen, {name: tensor + 1 for name, tensor in tensors.trainable.items()} | tensors.frozen)


@pytest.mark.parametrize(
    ("family", "name", "hyperparameters", "form"),
    [
        ("decoder", "sparta", {"k": 100}, "SHIRA"),
        ("gpt2", "sparta", {"k": 100}, "LORA"),  # PEFT's SHIRA does not know GPT-2's linears
        ("decoder", "sparta", {"k": 3000}, "LORA"),  # r·(in + out) would be more entries than there are
        ("decoder", "finegates", {"sides": "in"}, "IA3"),
        ("decoder", "finegates", {"sides": "out"}, "IA3"),
        ("encoder", "finegates", {}, "LORA"),
        ("decoder", "spp", {}, "LORA"),
    ],
)
def test_takes_the_smallest_exact_form(family: str, name: str, hyperparameters: Hyperparameters, form: str) -> None:
    config, _ = stock(family, name, hyperparameters)
    assert config.peft_type.value == form


def test_shira_holds_every_entry_once_and_zeros_besides() -> None:
    config, tensors = stock("encoder", "sparta", {"k": 100})
    values = torch.cat([tensor for name, tensor in tensors.items() if name.endswith("shira_weight")])
    assert (config.r, int(values.sum()), len(values)) == (1, 100, 4 * 64)


def test_two_gates_change_the_bias_where_there_is_one() -> None:
    assert stock("encoder", "finegates", {})[0].lora_bias
    assert not stock("decoder", "finegates", {})[0].lora_bias


@pytest.mark.parametrize(
    ("entries", "rank"),
    [([], 1), ([(0, 1), (3, 1), (2, 1)], 1), ([(2, 0), (2, 3)], 1), ([(0, 0), (1, 1), (2, 1)], 2)],
    ids=["nothing", "a column", "a row", "fewer columns than rows"],
)
def test_factors_are_exact_and_no_larger_than_needed(entries: list[tuple[int, int]], rank: int) -> None:
    delta = torch.zeros(4, 5)
    for number, entry in enumerate(entries):
        delta[entry] = number + 1.0
    b, a = _factors(delta)
    assert (b.shape, a.shape) == ((4, rank), (rank, 5))
    assert torch.equal(b @ a, delta)
