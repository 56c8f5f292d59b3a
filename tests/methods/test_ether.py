"""ETHER by hand, its counts in the paper, and agreement with peft's HRA of one reflection."""

from typing import Any

import peft
import pytest
import torch
from torch import nn

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.ether import Ether

from ..shapes import linear, shape


def test_equation() -> None:
    """Two blocks of two: the first swaps its inputs and their signs, the second flips its first input."""
    p = {"u": torch.tensor([[1.0, 1.0], [5.0, 0.0]])}
    W, x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]]), torch.tensor([[1.0, 10.0, 100.0, 1000.0]])
    mirrored = torch.tensor([[-10.0, -1.0, -100.0, 1000.0]])
    torch.testing.assert_close(Ether(blocks=2).after(p, linear(4, 2), x, x @ W.T, W), mirrored @ W.T)


@pytest.mark.parametrize("blocks", [1, 4, 32])
def test_counts_of_the_paper_on_llama_2_7b_whatever_the_blocks(blocks: int) -> None:
    assert Ether(blocks=blocks).parameters(shape(width=4096, layers=32)) == 262_144  # printed as 0.26M


def test_counts_on_grouped_query_attention() -> None:
    assert Ether().parameters(shape(width=2048, kv=512, layers=16)) == 65_536


def test_agrees_with_peft() -> None:
    torch.manual_seed(0)
    stock = peft.get_peft_model(nn.Sequential(nn.Linear(6, 5)), peft.HRAConfig(r=1, target_modules=["0"], init_weights=False))
    layer: Any = stock.get_submodule("base_model.model.0")
    p, x = {"u": layer.hra_u["default"].detach().mT}, torch.randn(3, 6)
    ours = Ether(blocks=1).after(p, linear(6, 5), x, layer.base_layer(x), layer.base_layer.weight)
    torch.testing.assert_close(ours, stock(x))
    assert stock.get_nb_trainable_parameters()[0] == p["u"].numel()


def test_blocks_that_do_not_divide_the_width_are_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"ether\.blocks: 8 does not divide the width 12 of layers\.0\.q; use 6"):
        Ether(blocks=8).parameters(shape(width=12))
