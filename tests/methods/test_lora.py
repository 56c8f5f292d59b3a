"""LoRA's equation by hand, its count, and agreement with peft."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.lora import Lora

from ..shapes import linear, shape


def test_equation() -> None:
    p = {"A": torch.tensor([[1.0, 1.0]]), "B": torch.tensor([[1.0], [0.0], [2.0]]), "scaling": torch.tensor(0.5)}
    x, y = torch.tensor([[1.0, 3.0]]), torch.tensor([[10.0, 10.0, 10.0]])
    assert Lora(rank=1).after(p, linear(2, 3), x, y, torch.zeros(3, 2)).tolist() == [[12.0, 10.0, 14.0]]


def test_counts_rank_times_in_plus_out() -> None:
    assert Lora(rank=1, modules="q,v").parameters(shape(width=2048, kv=512, layers=16)) == 106_496


def test_a_rank_above_the_width_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"lora\.rank: 16 is above the width 8 of layers\.0\.q; lower rank"):
        Lora(rank=16).parameters(shape(width=8))
