"""TinyLoRA's equation by hand, agreement with peft on forward, count and sharing, and the paper's 13 parameters."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.maths.linear_algebra import principal
from ulpt_search.workers.methods.tinylora import Tinylora
from ulpt_search.workers.model.sites import local

from ..oracles import Stock
from ..shapes import linear, shape


def test_equation() -> None:
    weight = torch.diag(torch.tensor([1.0, 9.0, 4.0]))
    p = {"v": torch.tensor([[0.0, 0.0], [1.0, 10.0]]), "group": torch.tensor([1])}
    p["P"] = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])
    x, y = torch.tensor([[1.0, 1.0, 1.0]]), torch.zeros(1, 3)
    # principal directions 2 and 3 with S = 9, 4; R = [[1, 10], [0, 0]]; so y_2 = 3·(1·3·x_2 + 10·2·x_3)
    torch.testing.assert_close(Tinylora(length=2, rank=2).after(p, linear(3, 3), x, y, weight), torch.tensor([[0.0, 69.0, 0.0]]))


@pytest.mark.parametrize("weight_tying", [0.0, 0.5, 0.75, 1.0])
def test_agrees_with_peft(weight_tying: float) -> None:
    from peft import TinyLoraConfig

    config = TinyLoraConfig(r=2, u=5, weight_tying=weight_tying, target_modules=["q", "v"])
    stock, model = Stock(config, width=8, kv=4, layers=3), shape(width=8, kv=4, layers=3)
    method, draw = Tinylora(length=5, rank=2, weight_tying=weight_tying), torch.Generator().manual_seed(0)
    assert stock.trainable == method.parameters(model)
    p = method.build(model, draw).frozen | {"v": torch.randn(method.parameters(model) // 5, 5, generator=draw)}
    for site in method.sites(model):
        theirs, mine, x = stock.at(site), local(p, site.key), torch.randn(5, 8, generator=draw)
        theirs.tinylora_v["default"][theirs._tinylora_v_key["default"]].data = mine["v"][mine["group"]][0]
        weight = theirs.base_layer.weight.detach()
        signs = (principal(weight, 2)[0] * theirs.tinylora_B["default"]).sum(0).sign()
        mine["P"] = signs[:, None] * theirs.tinylora_P["default"] * signs
        torch.testing.assert_close(
            method.after(mine, site, x, theirs.base_layer(x).detach(), weight), theirs(x).detach(), rtol=1e-4, atol=1e-5
        )


def test_the_papers_thirteen_parameters() -> None:
    assert Tinylora(length=13, weight_tying=1.0, modules="q,k,v,o").parameters(shape(width=3584, kv=512, layers=28)) == 13


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Tinylora(rank=16), r"tinylora\.rank: 16 is above the width 8 of layers\.0\.q; lower rank"),
        (Tinylora(weight_tying=1.5), r"tinylora\.weight_tying: 1\.5 is not between 0 \(no sharing\) and 1 \(one v for all\)"),
    ],
)
def test_refuses_before_launch(method: Tinylora, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        method.parameters(shape(width=8))
