"""Uni-LoRA's equation by hand, an isometric projection, and agreement with peft on forward and count."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.unilora import Unilora

from ..oracles import Stock
from ..shapes import linear, shape


def test_equation() -> None:
    p = {"theta": torch.tensor([2.0, 3.0]), "scale": torch.tensor([0.5, 1.0]), "A": torch.tensor([[0, 1]]), "B": torch.tensor([[1], [0]])}
    x, y = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)
    # A = (1, 3), B = (3, 1)ᵀ, so A x = 7
    assert Unilora(rank=1).after(p, linear(2, 2), x, y, torch.zeros(2, 2)).tolist() == [[21.0, 7.0]]


def test_the_projection_keeps_lengths() -> None:
    method, model = Unilora(length=24, rank=2), shape(width=8, kv=4, layers=2)
    tensors = method.build(model, torch.Generator().manual_seed(0))
    theta = torch.randn(24, generator=torch.Generator().manual_seed(1))
    squares = torch.zeros(())
    for site in method.sites(model):
        p = {**tensors.frozen, "theta": theta, "A": tensors.frozen[f"{site.key}/A"], "B": tensors.frozen[f"{site.key}/B"]}
        b, a = method.factors(p, site, torch.zeros(0))
        squares = squares + b.square().sum() + a.square().sum()
    torch.testing.assert_close(squares, theta.square().sum())


def test_agrees_with_peft() -> None:
    from peft import UniLoraConfig

    stock = Stock(UniLoraConfig(r=2, theta_d_length=24, target_modules=["q", "v"]), width=8, kv=4, layers=2)
    method, model, draw = Unilora(length=24, rank=2), shape(width=8, kv=4, layers=2), torch.Generator().manual_seed(0)
    assert stock.trainable == method.parameters(model) == 24
    theta = torch.randn(24, generator=draw)
    stock.model.base_model.unilora_theta_d["default"].data = theta
    places = {
        site: (stock.at(site).unilora_indices_A["default"], stock.at(site).unilora_indices_B["default"]) for site in method.sites(model)
    }
    scale = torch.bincount(torch.cat([part.flatten() for pair in places.values() for part in pair])).float().rsqrt()
    for site, (a, b) in places.items():
        theirs, x = stock.at(site), torch.randn(5, 8, generator=draw)
        p = {"theta": theta, "scale": scale, "A": a, "B": b}
        torch.testing.assert_close(method.after(p, site, x, theirs.base_layer(x).detach(), torch.zeros(0)), theirs(x).detach())


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Unilora(rank=16), r"unilora\.rank: 16 is above the width 8 of layers\.0\.q; lower rank"),
        (Unilora(length=100, rank=1), r"unilora\.length: 100 is above the 64 LoRA entries to fill; lower length or raise rank"),
    ],
)
def test_refuses_before_launch(method: Unilora, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        method.parameters(shape(width=8))
