"""TT-LoRA's equation by hand, and the counts of its published shapes on the linears of Gemma-3-4B."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.tt_lora import TtLora

from ..shapes import linear, shape


def test_equation() -> None:
    method, site = TtLora(rank=1, order=2), linear(4, 6)
    assert method.train(site).shape == (2, 2, 2, 3)
    p = {
        "G0": torch.tensor([1.0, 2.0]),
        "G1": torch.tensor([1.0, -1.0]),
        "G2": torch.tensor([1.0, 3.0]),
        "G3": torch.tensor([1.0, 0.0, 2.0]),
    }
    p = {name: core.reshape(1, -1, 1) for name, core in p.items()} | {"alpha": torch.tensor(0.5)}
    x, y = torch.tensor([[1.0, 0.0, 2.0, 1.0]]), torch.zeros(1, 6)
    # inputs: (1, 2) ⊗ (1, -1) = (1, -1, 2, -2), so the inner product is 3; outputs: (1, 3) ⊗ (1, 0, 2)
    assert method.after(p, site, x, y, torch.zeros(6, 4)).tolist() == [[1.5, 0.0, 3.0, 4.5, 0.0, 9.0]]


@pytest.mark.parametrize(
    ("outputs", "dimensions", "published"), [(2048, (5, 8, 8, 8, 4, 8, 8, 8), 2_920), (1024, (5, 8, 8, 8, 4, 4, 8, 8), 2_664)]
)
def test_published_counts(outputs: int, dimensions: tuple[int, ...], published: int) -> None:
    train = TtLora(rank=8).train(linear(2560, outputs))
    assert train.shape == dimensions
    assert train.count == published


def test_counts_every_chosen_linear() -> None:
    assert TtLora(rank=2, order=2).parameters(shape(width=16, layers=3)) == 3 * 2 * (2 * 4 + 4 * 4 + 4 * 4 + 2 * 4)


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (8, r"tt_lora\.rank: 16 is above the width 8 of layers\.0\.q; lower rank"),
        (31, "cannot factor the width 31, which is prime; use lora or melora"),
    ],
)
def test_refuses_before_launch(width: int, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        TtLora(rank=16).parameters(shape(width=width, heads=1))
