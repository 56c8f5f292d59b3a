"""Laws of the training rules: they reach an optimum, touch only what they may, pause and go on, and do not mind company."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import axes_of, count, parts, rule, rules
from ulpt_search.workers.methods.maths.linear_algebra import polar
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.seeds import generator
from ulpt_search.workers.model.verbalizer import encode
from ulpt_search.workers.optimizer import Optimizer, State, StepContext, largest
from ulpt_search.workers.optimizers.light_peft import LightPeft
from ulpt_search.workers.optimizers.sara import Sara
from ulpt_search.workers.optimizers.sgc import pursue, top
from ulpt_search.workers.optimizers.subzero import Subzero, matrix
from ulpt_search.workers.training.worker import reference

from . import toy, zoo
from .shapes import shape

RULES = sorted(rules())
ZEROTH = {"subzero", "senszoq"}
QUICK: dict[str, Hyperparameters] = {
    "subzero": {"subzero.lr": 0.003, "subzero.rank": 2, "subzero.refresh": 10},
    "senszoq": {"senszoq.lr": 0.02, "senszoq.fraction": 0.3},
    "dst": {"dst.fraction": 0.3},
    "sara": {"sara.fraction": 0.3, "sara.nuclear": 1e-5},
}
TRIALS: list[tuple[str, Hyperparameters]] = [("lora", {"rank": 4, "lr": 0.02}), ("prompt", {"prompt_length": 2, "lr": 0.05})]


def own(name: str) -> Optimizer:
    return rule(f"lora+{name}", QUICK.get(name, {}))


@dataclass
class Bowl:
    """A quadratic for every trial: half the squared distance to a target drawn from the trial's seed."""

    pack: Pack
    target: Tensor

    @classmethod
    def of(cls, seeds: Sequence[int], trials: Sequence[tuple[str, Hyperparameters]] = TRIALS) -> "Bowl":
        plan = shape(width=8)
        built = [build_parts(k, parts(*trials[k]), plan, seed) for k, seed in enumerate(seeds)]
        pack = Pack(built, device=torch.device("cpu"), dtype=torch.float64)
        steep = pack.fill(lambda position, name, size: torch.randn(size, generator=generator(seeds[position], len(name))))
        return cls(pack, pack.flat + steep)

    def losses(self, flat: Tensor) -> Tensor:
        return torch.zeros(self.pack.size, dtype=flat.dtype).index_add(0, self.pack.owner, (flat - self.target).square() / 2)

    def both(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        return self.losses(flat), torch.zeros(self.pack.size, dtype=flat.dtype)

    def run(self, update: Optimizer, state: State, seeds: Sequence[int], *, start: int, stop: int, horizon: int = 400) -> list[Tensor]:
        rates = update.rates(self.pack)
        moments = (StepContext(step, horizon, rates, 1e9, seeds, [self.both]) for step in range(start, stop))
        return [update.step(self.pack, state, context) for context in moments]


@pytest.mark.parametrize("name", RULES)
def test_moves_towards_an_optimum(name: str) -> None:
    bowl, update = Bowl.of([1, 2]), own(name)
    before = bowl.losses(bowl.pack.flat)
    bowl.run(update, update.start(bowl.pack), [1, 2], start=0, stop=400)
    reachable = best_reachable(bowl, update)
    after = bowl.losses(bowl.pack.flat)
    assert bool((after < before - 0.5 * (before - reachable)).all()), (before, after, reachable)


def best_reachable(bowl: Bowl, update: Optimizer) -> Tensor:
    """Loss of each trial with as many elements at their targets as the rule trains, the most rewarding ones."""
    start = Bowl.of([1, 2]).pack.flat
    costs = (start - bowl.target).square() / 2
    if isinstance(update, LightPeft | Sara):  # chosen by other things than the reward: an average share of it
        share = update.fraction if isinstance(update, Sara) else update.modules * update.ranks
        return torch.stack([costs[place].sum() * (1 - share) for place in bowl.pack.places])
    totals = [costs[place].sort().values for place in bowl.pack.places]
    return torch.stack([cost[: len(cost) - update.trainable(len(cost))].sum() for cost in totals])


@pytest.mark.parametrize("name", RULES)
def test_touches_no_more_than_it_counts(name: str) -> None:
    bowl, update = Bowl.of([1, 2]), own(name)
    start = bowl.pack.flat.clone()
    bowl.run(update, update.start(bowl.pack), [1, 2], start=0, stop=12)
    for place in bowl.pack.places:
        moved = int((bowl.pack.flat[place] != start[place]).sum())
        assert 0 < moved <= update.trainable(len(place))


@pytest.mark.parametrize("name", RULES)
def test_pauses_and_goes_on_in_company_or_alone(name: str) -> None:
    """Trial 1 of a pack, and the same trial alone, stored after 5 of 12 steps and loaded into a fresh pack, end up equal."""
    update = own(name)
    through = Bowl.of([1, 2])
    through.run(update, update.start(through.pack), [1, 2], start=0, stop=12, horizon=16)

    first = Bowl.of([1, 2])
    state = update.start(first.pack)
    first.run(update, state, [1, 2], start=0, stop=5, horizon=16)
    stored = safetensors.torch.load(safetensors.torch.save(state.of_trial(first.pack, 1)))

    alone = Bowl.of([2], TRIALS[1:])
    again = update.start(alone.pack)
    alone.pack.set_trial(alone.pack.flat, 0, first.pack.of_trial(first.pack.flat, 1))
    again.set_trial(alone.pack, 0, stored)
    alone.run(update, again, [2], start=5, stop=12, horizon=16)
    for key, value in through.pack.of_trial(through.pack.flat, 1).items():
        torch.testing.assert_close(alone.pack.of_trial(alone.pack.flat, 0)[key], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_trains_a_model_and_packs(name: str) -> None:
    backbone = zoo.backbone("encoder")
    values: Hyperparameters = {"lora.rank": 2, **QUICK.get(name, {})}
    if name in ZEROTH:
        values = {**values, f"{name}.lr": 1e-4}
    configs = [(f"lora+{name}", values, seed) for seed in (3, 4)]
    packed, together, _ = toy.train(backbone, configs, steps=8)
    assert bool(torch.isfinite(together.losses).all())
    for position, config in enumerate(configs):
        alone, single, _ = toy.train(backbone, [config], steps=8)
        torch.testing.assert_close(together.losses[position], single.losses[0], rtol=1e-6, atol=1e-8)
        theirs = alone.of_trial(alone.flat, 0)
        for key, value in packed.of_trial(packed.flat, position).items():
            torch.testing.assert_close(value, theirs[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(ZEROTH - {"senszoq"}))
def test_zeroth_order_needs_no_gradient(name: str) -> None:
    bowl, update = Bowl.of([1, 2]), own(name)
    graphs = []

    def losses(flat: Tensor) -> tuple[Tensor, Tensor]:
        graphs.append(flat.requires_grad or torch.is_grad_enabled())
        return bowl.both(flat)

    update.step(bowl.pack, update.start(bowl.pack), StepContext(0, 10, update.rates(bowl.pack), 1.0, [1, 2], [losses]))
    assert graphs == [False, False]


def test_sara_starts_with_the_smallest_frozen_weights() -> None:
    backbone = zoo.backbone("encoder")
    update = rule("full+sara", {"sara.fraction": 0.05})
    values: Hyperparameters = {"full.modules": "q", "full.layers": "last:1", "full.lr": 0.01, "sara.fraction": 0.05}
    pack = toy.pack(backbone, [("full+sara", values, 0)])
    state = update.start(pack, reference(backbone, pack))
    data = encode(backbone, toy.rows(), max_tokens=32)
    toy.trainer(backbone, steps=4).train(pack, update, state, [0], data, start=0, stop=1)
    moved = pack.flat != state.origin
    assert int(moved.sum()) == count("full+sara", values, backbone.shape)
    assert float(state.reference[moved].abs().max()) <= float(state.reference[~moved].abs().min())


def test_light_peft_drops_the_weakest_site_and_ranks() -> None:
    importance = {
        "0.q/A": torch.tensor([[1.0, 1.0, 1.0], [5.0, 5.0, 5.0]]),
        "0.q/B": torch.tensor([[1.0, 9.0], [1.0, 9.0], [1.0, 9.0]]),
        "1.q/A": torch.full((2, 3), 0.1),
        "1.q/B": torch.full((3, 2), 0.1),
    }
    marks = LightPeft(modules=0.5, ranks=0.5).dropped(importance, {2})
    assert marks["0.q/A"].tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert marks["0.q/B"].tolist() == [[1.0, 0.0]] * 3
    assert bool(marks["1.q/A"].all())
    assert bool(marks["1.q/B"].all())


def test_pursuit_finds_a_sparse_vector() -> None:
    a = torch.randn(64, 256, generator=generator(0), dtype=torch.float64)
    wanted = top(torch.randn(5, 256, generator=generator(1), dtype=torch.float64), 6)
    torch.testing.assert_close(pursue(a, wanted @ a.mT, 6), wanted)
    assert not pursue(a, torch.zeros(1, 64, dtype=torch.float64), 3).any()


def test_subzero_perturbs_within_few_dimensions() -> None:
    bowl = Bowl.of([1, 2])
    context = StepContext(3, 10, bowl.pack.rates, 1.0, [1, 2], [bowl.both])
    z = Subzero(rank=2).direction(torch.Size([12, 10]), context, 0, 7)
    assert torch.linalg.matrix_rank(z) == 2
    assert matrix(torch.Size([36])) == (6, 6)
    assert matrix(torch.Size([3, 4, 5])) == (6, 10)


def test_polar_factor_is_the_gradient_of_the_nuclear_norm() -> None:
    m = torch.randn(2, 3, 5, generator=generator(2), dtype=torch.float64, requires_grad=True)
    torch.linalg.svdvals(m).sum().backward()
    torch.testing.assert_close(polar(m.detach()), m.grad)
    assert not polar(torch.zeros(1, 4, 2)).any()


def test_largest_takes_the_first_of_equals() -> None:
    assert largest(torch.tensor([1.0, 2.0, 2.0, 2.0]), 2).tolist() == [False, True, True, False]


def test_axes_carry_the_rules_name() -> None:
    assert set(axes_of("prompt+subzero")) >= {"prompt.prompt_length", "prompt.lr", "subzero.rank", "subzero.lr"}
    assert json.dumps(sorted(axes_of("prompt+adamw"))) == json.dumps(["prompt.lr", "prompt.prompt_length"])


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("subzero", "methods.subzero: a training rule, not a method; join it to one, such as lora+subzero"),
        ("lora+sgc+dst", "methods.lora+sgc+dst: a trial has one training rule; choose sgc or dst"),
    ],
)
def test_wrong_compositions(name: str, complaint: str) -> None:
    with pytest.raises(WrongInput) as raised:
        axes_of(name)
    assert str(raised.value) == complaint


def test_counts_what_is_trained(backbone: Backbone) -> None:
    whole = count("lora", {}, backbone.shape)
    assert count("lora+dst", {"dst.fraction": 0.1}, backbone.shape) == round(whole * 0.1)
    assert count("lora+sgc", {}, backbone.shape) == whole


@pytest.fixture(params=["encoder", "decoder"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return zoo.backbone(request.param)
