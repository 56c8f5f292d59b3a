"""LoRETTA adp: its equation with the trains multiplied out, and the published counts."""

import dataclasses

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.loretta_adp import LorettaAdp

from ..shapes import linear, shape


def test_equation_by_hand() -> None:
    method, site = LorettaAdp(rank=1, bottleneck=2), linear(3, 2, role="o")
    p = {
        "D0": torch.tensor([[[1.0], [2.0]]]),
        "D1": torch.tensor([[[1.0], [-1.0]]]),
        "U0": torch.tensor([[[3.0], [1.0]]]),
        "U1": torch.tensor([[[2.0], [5.0]]]),
    }
    p |= {"c": torch.tensor([1.0, 1.0]), "e": torch.tensor([0.0, 10.0])}
    y = torch.tensor([[1.0, 1.0]])
    # D y = (3, -3), relu(D y + c) = (4, 0), U = (3, 1) ⊗ (2, 5), so U (4, 0) = (24, 8)
    assert method.after(p, site, torch.zeros(1, 3), y, torch.zeros(2, 3)).tolist() == [[25.0, 19.0]]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_equation_is_an_adapter_with_the_trains_multiplied_out(activation: str) -> None:
    method, site, draw = (
        LorettaAdp(rank=3, bottleneck=8, bias=False, activation=activation),
        linear(24, 20, role="o"),
        torch.Generator().manual_seed(0),
    )
    train = method.train(site)
    p = train.draw("D", generator=draw, std=1.0, zero=False) | train.draw("U", generator=draw, std=1.0, zero=False)
    y = torch.randn(5, 20, generator=draw)
    (d_left, d_right), (u_left, u_right) = train.unfold(p, "D"), train.unfold(p, "U")
    wanted = y + getattr(torch, activation)(y @ (d_left @ d_right)) @ (u_left @ u_right).mT
    torch.testing.assert_close(method.after(p, site, y, y, torch.zeros(20, 24)), wanted)


def test_starts_from_the_unchanged_model() -> None:
    method, site = LorettaAdp(rank=2, bottleneck=8), linear(16, 16, role="o")
    tensors = method.build(
        dataclasses.replace(shape(width=16), linears=(site, linear(16, 16, role="down"))), torch.Generator().manual_seed(0)
    )
    p = {name.rpartition("/")[2]: tensor for name, tensor in tensors.trainable.items() if name.startswith("0.o/")}
    y = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(method.after(p, site, y, y, torch.zeros(16, 16)), y)


def test_published_count_on_deberta_base() -> None:
    assert LorettaAdp(rank=5).parameters(shape(width=768, layers=12)) == 57_408


def test_published_count_on_llama_2_7b() -> None:
    norms = 65 * 4096
    method = LorettaAdp(rank=8, shape="16x16x16x4x4x4")
    assert method.parameters(shape(width=4096, feed_forward=11_008, layers=32)) + norms == 880_640


def test_a_width_that_cannot_be_factored_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match="cannot factor the width 509, which is prime; use lora or melora"):
        LorettaAdp().parameters(shape(width=509, heads=1))
