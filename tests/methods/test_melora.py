"""MELoRA's equation by hand, its rank and published count, and one-line errors."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.melora import Melora

from ..shapes import linear, shape


def test_equation() -> None:
    p = {
        "A": torch.tensor([[[1.0, 1.0]], [[2.0, 0.0]]]),
        "B": torch.tensor([[[1.0], [3.0]], [[1.0], [-1.0]]]),
        "scaling": torch.tensor(0.5),
    }
    x, y = torch.tensor([[1.0, 3.0, 5.0, 7.0]]), torch.zeros(1, 4)
    # block 1: A x = 4, B 4 = (4, 12); block 2: A x = 10, B 10 = (10, -10)
    assert Melora(rank=1, blocks=2).after(p, linear(4, 4), x, y, torch.zeros(4, 4)).tolist() == [[2.0, 6.0, 5.0, -5.0]]


def test_the_update_has_rank_blocks_times_rank() -> None:
    draw = torch.Generator().manual_seed(0)
    p = {"A": torch.randn(4, 2, 4, generator=draw), "B": torch.randn(4, 3, 2, generator=draw), "scaling": torch.tensor(1.0)}
    b, a = Melora(rank=2, blocks=4).factors(p, linear(16, 12), torch.zeros(12, 16))
    assert (b.shape, a.shape) == ((12, 8), (8, 16))
    assert int(torch.linalg.matrix_rank(b @ a)) == 8


def test_published_count_on_llama_2_7b() -> None:
    assert Melora(rank=1, blocks=8).parameters(shape(width=4096, layers=32)) == 524_288


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Melora(blocks=8), r"melora\.blocks: 8 does not divide the width 12 of layers\.0\.q; choose a divisor of it"),
        (Melora(rank=4, blocks=4), r"melora\.rank: 4 in 4 blocks is above the width 12 of layers\.0\.q; lower rank or blocks"),
    ],
)
def test_refuses_before_launch(method: Melora, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        method.parameters(shape(width=12))
