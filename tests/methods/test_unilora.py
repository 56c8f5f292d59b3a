"""Uni-LoRA's equation by hand, an isometric projection, and agreement with peft on forward and count."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.unilora import Unilora

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
    from peft import UniLoraConfig, get_peft_model

    base = torch.nn.Sequential(torch.nn.ModuleDict({"q": torch.nn.Linear(8, 8), "v": torch.nn.Linear(8, 4)}))
    adapted = get_peft_model(base, UniLoraConfig(r=2, theta_d_length=24, target_modules=["q", "v"]))  # type: ignore[arg-type]
    method, model, draw = Unilora(length=24, rank=2), shape(width=8, kv=4, layers=1), torch.Generator().manual_seed(0)
    assert sum(p.numel() for p in adapted.parameters() if p.requires_grad) == method.parameters(model) == 24
    theta = torch.randn(24, generator=draw)
    adapted.base_model.unilora_theta_d["default"].data = theta
    places = torch.cat([adapted.get_submodule(f"base_model.model.0.{role}").unilora_indices_A["default"].flatten() for role in "qv"])
    places = torch.cat(
        [places, *(adapted.get_submodule(f"base_model.model.0.{role}").unilora_indices_B["default"].flatten() for role in "qv")]
    )
    scale = torch.bincount(places, minlength=24).float().rsqrt()
    for site in method.sites(model):
        theirs = adapted.get_submodule(f"base_model.model.0.{site.role}")
        p = {"theta": theta, "scale": scale, "A": theirs.unilora_indices_A["default"], "B": theirs.unilora_indices_B["default"]}
        x = torch.randn(5, 8, generator=draw)
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
