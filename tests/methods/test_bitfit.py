"""BitFit's equation by hand, and its refusal where there is no bias."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.bitfit import Bitfit

from ..shapes import linear, shape


def test_equation() -> None:
    p, y = {"delta": torch.tensor([1.0, -1.0])}, torch.tensor([[5.0, 5.0]])
    assert Bitfit().after(p, linear(2, 2), y, y, torch.eye(2)).tolist() == [[6.0, 4.0]]


def test_published_count_on_qwen() -> None:
    assert Bitfit(modules="q,k,v").parameters(shape(width=896, kv=128, layers=24, bias=True)) == 27_648


def test_a_model_without_biases_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match="none of this model's 'q,v' linears has a bias; use ia3 or lora instead"):
        Bitfit().parameters(shape(width=8))
