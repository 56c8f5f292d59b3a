"""VeRA's equation by hand, agreement with peft on forward and count, and the published counts."""

import pytest
import torch

from ulpt_search.workers.methods.vera import Vera

from ..oracles import Stock
from ..shapes import linear, shape


def test_equation() -> None:
    p = {
        "A": torch.tensor([[1.0, 1.0, 9.0]]),
        "B": torch.tensor([[1.0], [2.0], [9.0]]),
        "d": torch.tensor([0.5]),
        "b": torch.tensor([1.0, -1.0]),
    }
    x, y = torch.tensor([[1.0, 3.0]]), torch.tensor([[10.0, 10.0]])
    assert Vera(rank=1).after(p, linear(2, 2), x, y, torch.zeros(2, 2)).tolist() == [[12.0, 6.0]]


@pytest.mark.parametrize(
    ("rank", "width", "kv", "layers", "published"),
    [
        (1024, 768, None, 12, 43_008),
        (256, 1024, None, 24, 61_440),
        (1, 2048, 512, 16, 40_992),
        (8, 2048, 512, 16, 41_216),
        (1, 896, 128, 24, 24_624),
    ],
)
def test_published_counts(rank: int, width: int, kv: int | None, layers: int, published: int) -> None:
    assert Vera(rank=rank).parameters(shape(width=width, kv=kv, layers=layers)) == published


def test_agrees_with_peft() -> None:
    from peft import VeraConfig

    stock, model = Stock(VeraConfig(r=3, target_modules=["q", "v"]), width=8, kv=4, layers=2), shape(width=8, kv=4, layers=2)
    method, draw = Vera(rank=3), torch.Generator().manual_seed(0)
    assert stock.trainable == method.parameters(model)
    assert {name: tensor.shape for name, tensor in method.build(model, draw).frozen.items()} == {"A": (3, 8), "B": (8, 3)}
    for site in method.sites(model):
        theirs = stock.at(site)
        d, b, x = torch.randn(3, generator=draw), torch.randn(site.outputs, generator=draw), torch.randn(5, 8, generator=draw)
        theirs.vera_lambda_d["default"].data, theirs.vera_lambda_b["default"].data = d, b
        p = {"A": theirs.vera_A["default"], "B": theirs.vera_B["default"], "d": d, "b": b}
        torch.testing.assert_close(method.after(p, site, x, theirs.base_layer(x).detach(), torch.zeros(0)), theirs(x).detach())
