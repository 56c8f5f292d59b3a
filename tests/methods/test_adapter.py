"""The adapter's equation by hand, and the counts that the literature prints."""

import math

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.adapter import Adapter

from ..shapes import linear, shape


def test_equation() -> None:
    p = {"D": torch.tensor([[1.0, -1.0]]), "c": torch.tensor([1.0]), "U": torch.tensor([[2.0], [0.0]]), "b": torch.tensor([0.0, 3.0])}
    y = torch.tensor([[3.0, 2.0]])
    gelu = 2 * 0.5 * (1 + math.erf(2 / math.sqrt(2)))
    expected = torch.tensor([[3.0 + 2 * gelu, 5.0]])
    torch.testing.assert_close(Adapter(rank=1).after(p, linear(4, 2, role="o"), y, y, torch.zeros(2, 4)), expected)


@pytest.mark.parametrize(("rank", "published"), [(8, "0.8M"), (64, "6.3M")])
def test_counts_on_roberta_large(rank: int, published: str) -> None:
    """0.8M is what the LoRA paper (arXiv 2106.09685, table 2) prints for adapters of size 8."""
    assert f"{Adapter(rank=rank).parameters(shape(width=1024, layers=24)) / 1e6:.1f}M" == published


def test_starts_as_almost_the_frozen_model() -> None:
    where = shape(width=64)
    p = Adapter(rank=4).build(where, torch.Generator().manual_seed(0)).trainable
    y = torch.randn(5, 64, generator=torch.Generator().manual_seed(1))
    site = where.select(modules="down")[0]
    after = Adapter(rank=4).after({name: p[f"{site.key}/{name}"] for name in "DcUb"}, site, y, y, torch.zeros(64, 256))
    torch.testing.assert_close(after, y, rtol=0, atol=0.01)


def test_a_rank_above_the_width_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"adapter\.rank: 9 is above the width 8 of layers\.0\.o; lower rank"):
        Adapter(rank=9).parameters(shape(width=8))
