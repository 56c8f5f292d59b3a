"""SPP by hand, the zeros that it keeps, and agreement with peft's HiRA, which multiplies a weight by a product of factors."""

from typing import Any

import peft
import pytest
import torch
from torch import nn

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.spp import Spp

from ..shapes import linear, shape


def test_equation() -> None:
    """Two rows of A for four rows of W."""
    p = {"A": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "b": torch.tensor([1.0, 0.0, 1.0, -1.0]), "s": torch.tensor(2.0)}
    W = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 10.0], [1.0, 1.0]])
    assert Spp(rank=2).delta(p, linear(2, 4), W).tolist() == [[2.0, 4.0], [0.0, 0.0], [0.0, 80.0], [-6.0, -8.0]]


def test_agrees_with_peft() -> None:
    torch.manual_seed(0)
    stock = peft.get_peft_model(nn.Sequential(nn.Linear(5, 8)), peft.HiraConfig(r=4, target_modules=["0"]))
    layer: Any = stock.get_submodule("base_model.model.0")
    p, x = {"A": torch.randn(4, 5), "b": torch.randn(8), "s": torch.tensor(2.0)}, torch.randn(3, 5)
    with torch.no_grad():
        layer.hira_A["default"].copy_(p["A"])
        layer.hira_B["default"].copy_(2 * p["b"][:, None] * torch.eye(4).repeat_interleave(2, 0))
    ours = Spp(rank=4).after(p, linear(5, 8), x, layer.base_layer(x), layer.base_layer.weight)
    torch.testing.assert_close(ours, stock(x))


def test_count() -> None:
    """16·in + out, on q and v of Llama-2-7B."""
    assert Spp(modules="q,v").parameters(shape(width=4096, layers=32)) == 32 * 2 * (16 * 4096 + 4096)


def test_outputs_that_do_not_divide_are_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"spp\.rank: 16 does not divide the 24 outputs of layers\.0\.q; use 12"):
        Spp(modules="q,v").parameters(shape(width=24))
