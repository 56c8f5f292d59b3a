"""FineGates by hand: gates, their noise, their penalty, and the published count."""

import math

import pytest
import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.workers.methods.finegates import Finegates

from .. import toy, zoo
from ..shapes import linear, shape

SITE = linear(2, 2)


def test_equation() -> None:
    """Gates of 0.5 and 1 (clipped) on the inputs, 0 (clipped) and 0.5 on the outputs."""
    p = {"mu_in": torch.tensor([0.0, 9.0]), "noise_in": torch.zeros(2), "mu_out": torch.tensor([-9.0, 0.0]), "noise_out": torch.zeros(2)}
    x, W = torch.tensor([[2.0, 3.0]]), torch.tensor([[1.0, 1.0], [4.0, 1.0]])
    inner = Finegates().before(p, SITE, x)
    assert inner.tolist() == [[1.0, 3.0]]
    assert Finegates().after(p, SITE, inner, inner @ W.T, W).tolist() == [[0.0, 3.5]]


@pytest.mark.parametrize(("sides", "expected"), [("in", (True, False)), ("out", (False, True)), ("in,out", (True, True))])
def test_sides(sides: str, expected: tuple[bool, bool]) -> None:
    p = {f"{name}_{side}": torch.zeros(2) for name in ("mu", "noise") for side in ("in", "out")}
    assert tuple(gate is not None for gate in Finegates(sides=sides).gates(p, SITE)) == expected


def test_noise_is_of_the_step_and_gone_in_the_end() -> None:
    method, where = Finegates(modules="down"), shape(width=64, feed_forward=400)
    drawn, frozen = method.noise(where, torch.Generator().manual_seed(0)), method.build(where, torch.Generator()).frozen
    assert float(torch.cat(list(drawn.values())).std()) == pytest.approx(0.1, rel=0.1)
    assert drawn.keys() == frozen.keys() - {"strength", "target"}
    assert not any(bool(frozen[name].any()) for name in drawn)


def test_penalty() -> None:
    """P(open) = Φ(2 (tanh μ + 1/2)): Φ(1) at μ = 0; the vectors of a model count alike, whatever their length."""
    p = {"0.q/mu_in": torch.zeros(3), "0.q/mu_out": torch.full((7,), 50.0), "strength": torch.tensor(10.0), "target": torch.tensor(0.25)}
    half, full = (0.5 * (1 + math.erf(z / math.sqrt(2))) for z in (1, 3))
    expected = 10 * (abs(half - 0.75) + abs(full - 0.75)) / 2
    assert float(Finegates().penalty(p)) == pytest.approx(expected, rel=1e-5)


def test_penalty_closes_gates_that_are_open_and_saturated() -> None:
    mu = torch.ones(4, requires_grad=True)
    p = {"0.q/mu_in": mu, "strength": torch.tensor(1.0), "target": torch.tensor(0.5)}
    (gradient,) = torch.autograd.grad(Finegates().penalty(p), mu)
    assert bool((gradient > 0).all())


def test_training_closes_the_share_that_the_penalty_asks_for() -> None:
    """In one pack: a strong penalty closes gates, and its neighbour, whose target is 0, keeps its own open."""
    common: Hyperparameters = {"modules": "down", "strength": 50.0, "lr": 0.1, "biases": False}
    pack, trained, _ = toy.train(zoo.backbone("encoder"), [("finegates", {**common, "target": t}, 0) for t in (0.5, 0.0)], steps=40)
    closing, opening = (torch.cat(list(pack.of_trial(pack.flat, k).values())).tanh() + 0.5 for k in (0, 1))
    assert float(closing.mean()) < 0.5 < float(opening.mean())
    assert bool((trained.losses < 10).all())  # the penalty is not part of the reported loss


def test_a_trained_bias_stands_behind_the_gate_as_in_the_authors_code() -> None:
    """g_out ⊙ (W (g_in ⊙ x) + β + δ) with open input gates, output gates 0.5 and 1, β = (1, 2), δ = (3, -2)."""
    site, open_ = linear(2, 2, bias=True), torch.full((2,), 9.0)
    p = {"mu_in": open_, "mu_out": torch.tensor([0.0, 9.0]), "delta": torch.tensor([3.0, -2.0])}
    p |= {"noise_in": torch.zeros(2), "noise_out": torch.zeros(2)}
    y = torch.tensor([[4.0, 6.0]]) + torch.tensor([1.0, 2.0])
    assert Finegates().after(p, site, y, y, torch.eye(2)).tolist() == [[4.0, 6.0]]
    assert Finegates(biases=False).after(p, site, y, y, torch.eye(2)).tolist() == [[2.5, 8.0]]


def test_the_authors_defaults() -> None:
    """The rate is the lowest of the axis: it serves a hundred epochs."""
    assert (Finegates().strength, Finegates().target) == (50.0, 0.4)
    assert Finegates.axes()["lr"].corners()[0] == 1e-3


def test_published_count_on_roberta_base() -> None:
    """All six linears of twelve layers: gates are 0.13 % of 125 million, and with their biases it is 0.2 %."""
    roberta = shape(width=768, layers=12, bias=True)
    assert Finegates(modules="q,k,v,o,up,down", biases=False).parameters(roberta) == 165_888
    assert Finegates(modules="q,k,v,o,up,down").parameters(roberta) == 165_888 + 12 * (4 * 768 + 3072 + 768)
