"""LoRA-XS by hand, and the counts of the paper's tables."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.lora_xs import LoraXs

from ..shapes import linear, shape


def test_equation() -> None:
    """W = diag(1, 9, 4), r = 2: U = (e₂, e₃), A = (9 e₂, 4 e₃)ᵀ; with R = [[0, 1], [2, 0]] and α/r = 2, y₂ = 2·4·x₃ and y₃ = 2·2·9·x₂."""
    weight = torch.diag(torch.tensor([1.0, 9.0, 4.0]))
    p = {"R": torch.tensor([[0.0, 1.0], [2.0, 0.0]]), "scaling": torch.tensor(2.0)}
    x, y = torch.tensor([[5.0, 1.0, 10.0]]), torch.zeros(1, 3)
    torch.testing.assert_close(LoraXs(rank=2).after(p, linear(3, 3), x, y, weight), torch.tensor([[0.0, 80.0, 36.0]]))


def test_a_whole_rank_with_r_the_identity_is_the_weight() -> None:
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    b, a = LoraXs(rank=4).factors({"R": torch.eye(4), "scaling": torch.tensor(1.0)}, linear(4, 6), weight)
    torch.testing.assert_close(b @ a, weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(b.mT @ b, torch.eye(4), rtol=1e-4, atol=1e-5)


def test_start_is_nearly_zero_and_scaled() -> None:
    start = LoraXs(rank=32, alpha=16.0).build(shape(width=64), torch.Generator().manual_seed(0))
    assert float(start.trainable["0.q/R"].std()) == pytest.approx(1e-5, rel=0.05)
    assert float(start.frozen["scaling"]) == 0.5


@pytest.mark.parametrize(("rank", "published"), [(4, 1_536), (8, 6_144), (12, 13_824), (16, 24_576), (20, 38_400), (25, 60_000)])
def test_published_counts_on_roberta_large(rank: int, published: int) -> None:
    """1.5K, 6.1K, 13.8K, 24.6K, 38.4K and 60K: four linears of each of 24 layers."""
    assert LoraXs(rank=rank, modules="q,v,o,down").parameters(shape(width=1024, layers=24)) == published


def test_a_rank_above_the_width_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"lora_xs\.rank: 9 is above the width 8 of layers\.0\.q; lower rank"):
        LoraXs(rank=9).parameters(shape(width=8))
