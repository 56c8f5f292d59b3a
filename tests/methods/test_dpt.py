"""DPT's equation by hand, the counts that the papers print, its start and its refusal."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.dpt import Dpt

from ..shapes import shape


def test_equation() -> None:
    p = {"A": torch.tensor([[1.0, 2.0], [0.0, 1.0]]), "B": torch.tensor([[1.0, 0.0, 1.0], [0.0, 3.0, 1.0]])}
    assert Dpt(rank=2, prompt_length=2).prompt(p).tolist() == [[1.0, 6.0, 3.0], [0.0, 3.0, 1.0]]


@pytest.mark.parametrize(("rank", "published"), [(10, 8_680), (64, 55_552), (256, 222_208)])
def test_published_counts_on_t5_base(rank: int, published: int) -> None:
    assert Dpt(rank=rank, prompt_length=100).parameters(shape(width=768)) == published


def test_starts_at_the_scale_of_the_embeddings_whatever_the_rank() -> None:
    for rank in (2, 16, 64):
        method = Dpt(rank=rank, prompt_length=400)
        tensors = method.build(shape(width=64, rms=0.05), torch.Generator().manual_seed(0)).trainable
        assert float(method.prompt(tensors).square().mean().sqrt()) == pytest.approx(0.05, rel=0.35)


def test_a_rank_above_the_width_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"dpt\.rank: 16 is above the model's width 8; lower rank"):
        Dpt(rank=16).parameters(shape(width=8))
