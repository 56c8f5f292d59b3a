"""AdaMix: one expert a step, their average in the end, and the counts before and after."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.adamix import Adamix
from ulpt_search.workers.methods.adapter import Adapter

from ..shapes import linear, shape

P = {
    "D": torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]]]),
    "c": torch.tensor([[0.5], [1.5]]),
    "U": torch.tensor([[[1.0], [2.0]]]),
    "b": torch.tensor([[0.0, 1.0]]),
    "up": torch.ones(1),
}


@pytest.mark.parametrize(
    ("weights", "down", "bias"),
    [((1.0, 0.0), (1.0, 0.0), 0.5), ((0.0, 1.0), (0.0, 3.0), 1.5), ((0.5, 0.5), (0.5, 1.5), 1.0)],
    ids=["first expert", "second expert", "average"],
)
def test_equation(weights: tuple[float, float], down: tuple[float, float], bias: float) -> None:
    """With mixed weights it is the plain adapter of those weights."""
    site, y = linear(2, 2, role="down"), torch.tensor([[1.0, -2.0]])
    one = {"D": torch.tensor([down]), "c": torch.tensor([bias]), "U": P["U"][0], "b": P["b"][0]}
    mixed = Adamix(experts=2, rank=1).after({**P, "down": torch.tensor(weights)}, site, y, y, torch.eye(2))
    torch.testing.assert_close(mixed, Adapter(rank=1).after(one, site, y, y, torch.eye(2)))


def test_a_step_draws_one_expert_a_site_and_evaluation_averages() -> None:
    method, where = Adamix(experts=3, rank=2), shape(width=8, layers=40)
    draws = method.noise(where, torch.Generator().manual_seed(0))
    frozen = method.build(where, torch.Generator()).frozen
    assert draws.keys() == frozen.keys()
    picked = torch.stack([draw for name, draw in draws.items() if name.endswith("/down")])
    assert torch.equal(picked.sum(1), torch.ones(40))
    assert bool((picked.sum(0) > 5).all())  # every expert has its turn
    assert all(torch.equal(value, torch.full((len(value),), 1 / len(value))) for value in frozen.values())


def test_counts_on_roberta_large() -> None:
    """What is left after averaging is an adapter of size 16: the 0.8M of the paper's table; four times the down projections are trained."""
    where = shape(width=1024, layers=24)
    left = Adapter(rank=16, modules="down").parameters(where)
    assert left == 811_392
    assert Adamix(experts=4, rank=16).parameters(where) == left + 24 * 3 * (1024 * 16 + 16)
    assert Adamix(experts=4, rank=16, share_up=False).parameters(where) == 4 * left


def test_a_rank_above_the_width_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"adamix\.rank: 9 is above the width 8 of layers\.0\.down; lower rank"):
        Adamix(rank=9).parameters(shape(width=8))
