"""LoRA's equation by hand, its count, and its variants beside PEFT's."""

import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.lora import Lora

from ..oracles import Stock
from ..shapes import linear, shape


def test_equation() -> None:
    p = {"A": torch.tensor([[1.0, 1.0]]), "B": torch.tensor([[1.0], [0.0], [2.0]]), "scaling": torch.tensor(0.5)}
    x, y = torch.tensor([[1.0, 3.0]]), torch.tensor([[10.0, 10.0, 10.0]])
    assert Lora(rank=1).after(p, linear(2, 3), x, y, torch.zeros(3, 2)).tolist() == [[12.0, 10.0, 14.0]]


def test_counts_rank_times_in_plus_out() -> None:
    assert Lora(rank=1, modules="q,v").parameters(shape(width=2048, kv=512, layers=16)) == 106_496


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Lora(rank=16), r"lora\.rank: 16 is above the width 8 of layers\.0\.q; lower rank"),
        (Lora(rank=3, init="orthogonal"), r"lora\.rank: 3 is odd, and orthogonal starts take an even rank; use 4"),
    ],
)
def test_refuses_before_launch(method: Lora, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        method.parameters(shape(width=8))


@pytest.mark.parametrize(("rslora", "scaling"), [(False, 2.0), (True, 4.0)])
def test_alpha_is_its_own_and_rslora_divides_it_by_the_root(rslora: bool, scaling: float) -> None:
    frozen = Lora(rank=4, alpha=8.0, rslora=rslora).build(shape(width=8), torch.Generator()).frozen
    assert float(frozen["scaling"]) == scaling


def test_lora_plus_gives_b_a_rate_of_its_own() -> None:
    method = Lora(lr=1e-3, lr_ratio=16.0, dora=True)
    assert [method.rate(f"0.q/{name}") for name in "ABm"] == [1e-3, 16e-3, 1e-3]


def test_an_orthogonal_start_changes_nothing_though_neither_factor_is_zero() -> None:
    start = Lora(rank=4, init="orthogonal", layers="last:1").build(shape(width=64), torch.Generator().manual_seed(0)).trainable
    a, b = start["1.q/A"], start["1.q/B"]
    torch.testing.assert_close(b @ a, torch.zeros(64, 64), atol=1e-6, rtol=0)
    assert torch.linalg.matrix_rank(a) == torch.linalg.matrix_rank(b) == 2
    assert float(a.std()) == pytest.approx(0.1 * 0.5**0.5, rel=0.2)


def test_pissa_moves_the_principal_part_and_starts_unchanged() -> None:
    """W = diag(4, 1), r = 1, s = 1: A₀ = (2, 0), B₀ = (2, 0)ᵀ; with A = (0, 1), B = (1, 0)ᵀ the update is (3, 0)ᵀ(2, 1) - diag(4, 0)."""
    weight, site = torch.diag(torch.tensor([4.0, 1.0])), linear(2, 2)
    method, p = Lora(rank=1, init="pissa"), {"scaling": torch.tensor(1.0), "A": torch.zeros(1, 2), "B": torch.zeros(2, 1)}

    def delta(values: dict[str, Tensor]) -> Tensor:
        b, a = method.factors(values, site, weight)
        assert a.shape[0] == 2
        return b @ a

    torch.testing.assert_close(delta(p), torch.zeros(2, 2))
    moved = {**p, "A": torch.tensor([[0.0, 1.0]]), "B": torch.tensor([[1.0], [0.0]])}
    torch.testing.assert_close(delta(moved), torch.tensor([[2.0, 3.0], [0.0, 0.0]]))


def test_pissa_agrees_with_peft() -> None:
    """PEFT takes s B₀ A₀ out of its base weight and trains B₀ + B, A₀ + A; signs of the singular vectors are free."""
    from peft import LoraConfig

    config = LoraConfig(r=2, lora_alpha=6, target_modules=["q"], init_lora_weights="pissa")
    stock, site, draw = Stock(config, width=8, kv=4, layers=1), linear(8, 8), torch.Generator().manual_seed(1)
    theirs = stock.at(site)
    s, a0, b0 = 3.0, theirs.lora_A["default"].weight.detach(), theirs.lora_B["default"].weight.detach()
    weight = theirs.base_layer.weight.detach() + s * b0 @ a0
    x, a, b = torch.randn(5, 8, generator=draw), torch.randn(2, 8, generator=draw), torch.randn(8, 2, generator=draw)
    method = Lora(rank=2, alpha=6.0, init="pissa")
    left, _ = method.factors({"scaling": torch.tensor(s), "A": 0 * a, "B": 0 * b}, site, weight)
    signs = (left[:, :2] * b0).sum(0).sign()
    theirs.lora_A["default"].weight.data, theirs.lora_B["default"].weight.data = a0 + a, b0 + b
    p = {"scaling": torch.tensor(s), "A": signs[:, None] * a, "B": b * signs}
    y = x @ weight.mT + theirs.base_layer.bias.detach()
    torch.testing.assert_close(method.after(p, site, x, y, weight), theirs(x).detach(), rtol=1e-4, atol=1e-4)


def test_dora_agrees_with_peft_in_values_gradients_and_count() -> None:
    from peft import LoraConfig

    stock = Stock(LoraConfig(r=2, lora_alpha=6, target_modules=["q", "v"], use_dora=True), width=8, kv=4, layers=2)
    model, draw, method = shape(width=8, kv=4, layers=2, bias=True), torch.Generator().manual_seed(0), Lora(rank=2, alpha=6.0, dora=True)
    assert stock.trainable == method.parameters(model) == 2 * (2 * (8 + 8) + 8 + 2 * (8 + 4) + 4)
    for site in method.sites(model):
        theirs, x = stock.at(site), torch.randn(5, 8, generator=draw)
        weight, bias = theirs.base_layer.weight.detach(), theirs.base_layer.bias.detach()
        sizes = {"A": (2, 8), "B": (site.outputs, 2), "m": (site.outputs,)}
        p = {name: torch.randn(size, generator=draw).requires_grad_() for name, size in sizes.items()}
        magnitude = theirs.lora_magnitude_vector["default"].weight
        stocks = [theirs.lora_A["default"].weight, theirs.lora_B["default"].weight, magnitude]
        for stock_tensor, value in zip(stocks, (p["A"], p["B"], weight.norm(dim=1) + p["m"]), strict=True):
            stock_tensor.data.copy_(value.detach())
        ours = method.after({**p, "scaling": torch.tensor(3.0)}, site, x, x @ weight.mT, weight) + bias
        torch.testing.assert_close(ours, theirs(x), rtol=1e-4, atol=1e-4)
        wanted = torch.autograd.grad(theirs(x).square().sum(), stocks)
        for got, want in zip(torch.autograd.grad(ours.square().sum(), list(p.values())), wanted, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)
