"""SNELL by hand: distances, and the competition that leaves a share of them."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.snell import Snell

from ..shapes import linear, shape

# |b - a| is 5, 0 for the first kernel and 1, 3 for the second; with rank 4 points have two coordinates.
P = {
    "a": torch.tensor([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 4.0]]]),
    "b": torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]]]),
}
DISTANCES = [0.1 * (5 - 1), 0.1 * (0 - 3)]


def test_equation() -> None:
    delta = Snell(rank=4, sparsity=0.0).delta(P, linear(2, 1), torch.zeros(1, 2))
    torch.testing.assert_close(delta, torch.tensor([DISTANCES]), rtol=0, atol=1e-4)


def test_the_smaller_ones_lose_the_competition() -> None:
    """Half of two entries is closed: t = 0.3, and what is left is 0.4 · (0.4 - 0.3)."""
    delta = Snell(rank=4, sparsity=0.5).delta(P, linear(2, 1), torch.zeros(1, 2))
    torch.testing.assert_close(delta, torch.tensor([[0.04, 0.0]]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sparsity", [0.3, 0.6, 0.9])
def test_the_share_of_zeros_is_the_sparsity(sparsity: float) -> None:
    where = shape(width=40, layers=1)
    p = Snell(modules="v").build(where, torch.Generator().manual_seed(0)).trainable
    values = {"a": p["0.v/a"], "b": p["0.v/b"]}
    delta = Snell(modules="v", sparsity=sparsity).delta(values, linear(40, 40), torch.zeros(40, 40))
    assert float((delta == 0).float().mean()) == pytest.approx(sparsity, abs=1e-3)


def test_makes_full_rank_out_of_few_numbers() -> None:
    p = Snell(modules="v").build(shape(width=24, layers=1), torch.Generator().manual_seed(0)).trainable
    delta = Snell().delta({"a": p["0.v/a"].double(), "b": p["0.v/b"].double()}, linear(24, 24), torch.zeros(24, 24))
    assert int(torch.linalg.matrix_rank(delta)) == 24


def test_counts_like_lora() -> None:
    assert Snell(rank=8).parameters(shape(width=2048, kv=512, layers=16)) == 8 * 106_496


def test_an_odd_rank_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"snell\.rank: 3 is odd, and each of the two kernels takes half; use 4"):
        Snell(rank=3).parameters(shape(width=8))
