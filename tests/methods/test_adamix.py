"""AdaMix: one expert a step, their average in the end, and the counts before and after."""

import math

import pytest
import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.adamix import Adamix
from ulpt_search.workers.methods.adapter import Adapter
from ulpt_search.workers.model.readouts.objectives import CrossEntropy

from .. import toy, zoo
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


def test_the_consistency_loss_is_the_symmetric_divergence_of_two_passes() -> None:
    """p = (3/4, 1/4), q = (1/4, 3/4): KL(p‖q) = KL(q‖p) = ½ ln 3; each half moves the pass that it measures alone."""
    first = torch.tensor([[[3.0, 1.0]]]).log().requires_grad_()
    second = torch.tensor([[[1.0, 3.0]]]).log().requires_grad_()
    both = CrossEntropy().disagreement(first, second)
    assert both.item() == pytest.approx(0.5 * math.log(3))
    (gradient,) = torch.autograd.grad(both.sum(), first)
    torch.testing.assert_close(gradient, torch.tensor([[[0.25, -0.25]]]))  # ½ (softmax(first) - softmax(second))
    assert CrossEntropy().disagreement(first, first.detach()).item() == pytest.approx(0)


def test_a_second_pass_has_experts_of_its_own_and_is_no_business_of_the_neighbours() -> None:
    backbone = zoo.backbone("encoder")
    values: Hyperparameters = {"experts": 2, "rank": 2}
    pack = toy.pack(backbone, [("adamix", values, 0), ("lora", {}, 1)])
    assert pack.consistent.tolist() == [1.0, 0.0]
    first, second = (pack.noise(backbone.shape, [0, 1], 3, again=again)[0] for again in (False, True))
    steps = [pack.noise(backbone.shape, [0, 1], step, again=True)[0] for step in range(8)]
    assert first.keys() == second.keys()
    assert any(not torch.equal(step[name], first[name]) for step in steps for name in first)
    mixed, _, _ = toy.train(backbone, [("adamix", values, 0), ("lora", {}, 1)], steps=4)
    alone, _, _ = toy.train(backbone, [("lora", {}, 1)], steps=4)
    for name, value in mixed.of_trial(mixed.flat, 1).items():
        torch.testing.assert_close(value, alone.of_trial(alone.flat, 0)[name], rtol=1e-6, atol=1e-7)
