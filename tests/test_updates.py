"""Laws of the training rules: they reach an optimum, touch only what they may, pause and go on, and do not mind company."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import Decline, Training
from ulpt_search.workers.catalogue import axes_of, count, parts, rule, rules
from ulpt_search.workers.methods.maths.linear_algebra import polar
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.seeds import generator
from ulpt_search.workers.optimizer import Adam, Optimizer, State, StepContext, largest
from ulpt_search.workers.optimizers.dst import Dst
from ulpt_search.workers.optimizers.light_peft import LightPeft
from ulpt_search.workers.optimizers.sara import Sara, towards_low_rank
from ulpt_search.workers.optimizers.sgc import pursue, top
from ulpt_search.workers.optimizers.subzero import Subzero, matrix
from ulpt_search.workers.training.trainer import rate_factor
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
    """A quadratic for every trial: half the squared distance, in units, to a target drawn from the trial's seed."""

    pack: Pack
    target: Tensor

    @classmethod
    def of(cls, seeds: Sequence[int], trials: Sequence[tuple[str, Hyperparameters]] = TRIALS) -> "Bowl":
        plan = shape(width=8)
        built = [build_parts(k, parts(*trials[k]), plan, seed) for k, seed in enumerate(seeds)]
        pack = Pack(built, device=torch.device("cpu"), dtype=torch.float64)
        steep = pack.fill(lambda position, name, size: torch.randn(size, generator=generator(seeds[position], len(name))))
        return cls(pack, pack.flat + pack.units * steep)

    def losses(self, flat: Tensor) -> Tensor:
        return torch.zeros(self.pack.size, dtype=flat.dtype).index_add(0, self.pack.owner, self.costs(flat))

    def costs(self, flat: Tensor) -> Tensor:
        return ((flat - self.target) / self.pack.units).square() / 2

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
    costs = bowl.costs(Bowl.of([1, 2]).pack.flat)
    if isinstance(update, LightPeft | Sara):  # chosen by other things than the reward: an average share of it
        share = update.fraction if isinstance(update, Sara) else 1 - update.ranks
        return torch.stack([costs[place].sum() * (1 - share) for place in bowl.pack.places])
    totals = [costs[place].sort().values for place in bowl.pack.places]
    kept = [round(update.fraction * len(cost)) if isinstance(update, Dst) else update.trainable(len(cost)) for cost in totals]
    return torch.stack([cost[: len(cost) - count].sum() for cost, count in zip(totals, kept, strict=True)])


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
    """Trial 1 of a pack, and the same trial alone, stored after 5 of 12 steps and loaded into a fresh pack, end up equal.

    The fresh pack's start is another machine's, equal to some digits only: what a rule needs of the start has come with the trial.
    """
    update = own(name)
    through = Bowl.of([1, 2])
    through.run(update, update.start(through.pack), [1, 2], start=0, stop=12, horizon=16)

    first = Bowl.of([1, 2])
    state = update.start(first.pack)
    first.run(update, state, [1, 2], start=0, stop=5, horizon=16)
    stored = safetensors.torch.load(safetensors.torch.save(state.of_trial(first.pack, 1)))

    alone = Bowl.of([2], TRIALS[1:])
    alone.pack.flat.mul_(1 + 1e-6)
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


def test_light_peft_drops_the_share_of_modules_that_change_least_and_of_ranks_all_together() -> None:
    """Modules q of layers 0 to 3 change outputs by 4, 3, 2, 1; half go. Of four ranks left, half go: both of the second module."""
    modules: dict[str, Tensor] = {}
    ranks: dict[str, Tensor] = {}
    for layer, (effect, scores) in enumerate(zip((4.0, 3.0, 2.0, 1.0), ((5.0, 6.0), (1.0, 2.0), (9.0, 9.0), (9.0, 9.0)), strict=True)):
        first, second = scores
        modules |= {f"{layer}.q/A": torch.full((2, 3), effect), f"{layer}.q/B": torch.full((3, 2), effect)}
        ranks[f"{layer}.q/A"] = torch.tensor([[first / 2], [second / 2]]).expand(2, 3)
        ranks[f"{layer}.q/B"] = torch.tensor([[first / 2, second / 2]]).expand(3, 2)
    marks = LightPeft(modules=0.5, ranks=0.5).dropped(modules, ranks)
    gone = {name: mark.unique().tolist() for name, mark in marks.items()}
    assert gone == {f"{layer}.q/{name}": [0.0] if layer == 0 else [1.0] for layer in range(4) for name in "AB"}
    some = LightPeft(modules=0.0, ranks=0.125).dropped(modules, ranks)
    assert [name for name, mark in some.items() if mark.any()] == ["1.q/A", "1.q/B"]
    assert some["1.q/A"].tolist() == [[1.0] * 3, [0.0] * 3]
    assert some["1.q/B"].tolist() == [[1.0, 0.0]] * 3


def test_light_peft_measures_what_a_module_changes_and_a_ranks_first_order_term() -> None:
    """On a model: after the look of four steps the scores are there, later three quarters of LoRA's modules are back at the start."""
    backbone = zoo.backbone("encoder")
    values: Hyperparameters = {"lora.rank": 2, "light_peft.estimation": 0.5, "light_peft.modules": 0.75, "light_peft.ranks": 0.0}
    pack = toy.pack(backbone, [("lora+light_peft", values, 0), ("lora+light_peft", values, 1)])
    follow = rule("lora+light_peft", values)
    state, data = follow.start(pack), encode(backbone, toy.rows(), max_tokens=32)
    trainer = toy.trainer(backbone, steps=8)
    trainer.train(pack, follow, state, [0, 1], data, start=0, stop=4)
    scores = pack.of_trial(state.vectors["modules"], 0)
    assert all(len(score.unique()) == 1 and score.any() for score in scores.values())
    assert all(score.any() for score in pack.of_trial(state.vectors["ranks"], 1).values())
    trainer.train(pack, follow, state, [0, 1], data, start=4, stop=8)
    moved = {name.partition("/")[0] for name, value in pack.of_trial(pack.flat - state.origin, 0).items() if value.any()}
    best = max(scores, key=lambda name: float(scores[name].flatten()[0]))
    assert moved == {best.partition("/")[0]}


def test_dst_keeps_a_share_of_every_silo_and_counts_all() -> None:
    update = Dst(fraction=0.5)
    kept = update.silo(torch.tensor([[1.0, -3.0, 2.0, 0.0], [0.0, 0.0, 0.0, 9.0]]), torch.tensor([[0.0] * 4, [1.0] * 4]))
    assert kept.tolist() == [[0.0, -3.0, 2.0, 0.0], [0.0, 1.0, 1.0, 9.0]]
    bowl = Bowl.of([1, 2])
    state = update.start(bowl.pack)
    bowl.run(update, state, [1, 2], start=0, stop=6)
    for values in bowl.pack.unflatten(bowl.pack.flat - state.origin):
        for silo in values.values():
            assert (silo.flatten(1) != 0).sum(1).tolist() == [max(1, round(0.5 * silo[0].numel()))] * len(silo)
    assert update.trainable(1000) == 1000


def test_sara_penalises_one_masked_matrix_a_step() -> None:
    """Of LoRA's A and B, each with zeros outside S, one has the polar factor as its gradient; over the steps each has its turn."""
    bowl = Bowl.of([1, 2], [TRIALS[0]] * 2)
    mask = (torch.arange(len(bowl.pack.flat)) % 3 > 0).double()
    weights = (bowl.pack.flat + 0.5) * mask
    chosen = set()
    for step in range(12):
        gradient = towards_low_rank(bowl.pack, weights, StepContext(step, 12, bowl.pack.rates, 1.0, [1, 2], [bowl.both]))
        touched = {name: value for name, value in bowl.pack.of_trial(gradient, 0).items() if value.any()}
        ((name, value),) = touched.items()
        torch.testing.assert_close(value, polar(bowl.pack.of_trial(weights, 0)[name]))
        chosen.add(name)
    assert len(chosen) > 2


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [("linear", [0.5, 1.0, 0.75, 0.5, 0.25]), ("cosine", [0.5, 1.0, 0.853553, 0.5, 0.146447]), ("constant", [0.5, 1.0, 1.0, 1.0, 1.0])],
)
def test_schedules_after_the_warm_up(schedule: Decline, factors: list[float]) -> None:
    """Six steps, two of them warm-up; linear and cosine as transformers' get_scheduler has them one step later."""
    recipe = Training(steps=6, rungs=(6,), warmup=1 / 3, schedule=schedule)
    assert [rate_factor(recipe, step) for step in (0, 1, 3, 4, 5)] == pytest.approx(factors, abs=1e-6)


def test_adamw_follows_the_studys_settings() -> None:
    """Two steps of PyTorch's AdamW with decay, β and ε of its own, on the same values divided by their units."""
    bowl = Bowl.of([1, 2])
    units = bowl.pack.units
    theirs = (bowl.pack.flat / units).clone().requires_grad_()
    stock = torch.optim.AdamW([theirs], lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)
    update, rates = own("adamw"), 0.1 * units
    state, settings = update.start(bowl.pack), Adam(beta1=0.8, beta2=0.95, epsilon=1e-3, decay=0.3)
    for step in range(2):
        stock.zero_grad()
        bowl.losses(theirs * units).sum().backward()
        stock.step()
        update.step(bowl.pack, state, StepContext(step, 2, rates, 1e9, [1, 2], [bowl.both], settings))
    torch.testing.assert_close(bowl.pack.flat, theirs.detach() * units)


def test_pursuit_finds_a_sparse_vector() -> None:
    a = torch.randn(64, 256, generator=generator(0), dtype=torch.float64)
    wanted = top(torch.randn(5, 256, generator=generator(1), dtype=torch.float64), 6)
    torch.testing.assert_close(pursue(a, wanted @ a.mT, 6), wanted)
    assert not pursue(a, torch.zeros(1, 64, dtype=torch.float64), 3).any()


def test_subzero_perturbs_within_few_dimensions() -> None:
    bowl = Bowl.of([1, 2])
    context = StepContext(3, 10, bowl.pack.rates, 1.0, [1, 2], [bowl.both])
    z = Subzero(rank=2).direction("0.q/weight", torch.Size([12, 10]), context, 0)
    assert torch.linalg.matrix_rank(z) == 2
    z = Subzero(rank=2).direction("0.q/A", torch.Size([4, 384]), context, 0)
    assert torch.linalg.matrix_rank(z.reshape(32, 48)) == 2
    assert torch.linalg.matrix_rank(z) == 4


@pytest.mark.parametrize(
    ("name", "size", "seen"),
    [
        ("0.q/A", (4, 384), (32, 48)),
        ("prompt", (5, 384), (40, 48)),
        ("0.q/A", (1, 384), (1, 384)),
        ("b", (36,), (1, 36)),
        ("0.q/A", (3, 4, 5), (1, 60)),
        ("0.q/weight", (384, 1536), (384, 1536)),
        ("v", (1,), (1, 1)),
    ],
)
def test_subzero_sees_matrices_as_the_reference_does(name: str, size: tuple[int, ...], seen: tuple[int, int]) -> None:
    """Adapters' matrices near-square, whole weights as they are, all else as one row, which no subspace fits."""
    assert matrix(name, torch.Size(size)) == seen


def test_polar_factor_is_the_gradient_of_the_nuclear_norm() -> None:
    m = torch.randn(2, 3, 5, generator=generator(2), dtype=torch.float64, requires_grad=True)
    torch.linalg.svdvals(m).sum().backward()
    torch.testing.assert_close(polar(m.detach()), m.grad)
    assert not polar(torch.zeros(1, 4, 2)).any()


def test_largest_takes_the_first_of_equals() -> None:
    assert largest(torch.tensor([1.0, 2.0, 2.0, 2.0]), 2).tolist() == [False, True, True, False]


def test_axes_carry_the_rules_name() -> None:
    assert set(axes_of("prompt+subzero")) >= {"prompt.prompt_length", "prompt.lr", "subzero.rank", "subzero.lr"}
    assert sorted(axes_of("prompt+adamw")) == sorted(f"prompt.{key}" for key in axes_of("prompt"))


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
    assert count("lora+sara", {"sara.fraction": 0.1}, backbone.shape) == round(whole * 0.1)
    assert count("lora+dst", {"dst.fraction": 0.1}, backbone.shape) == whole
    assert count("lora+sgc", {}, backbone.shape) == whole


@pytest.fixture(params=["encoder", "decoder"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return zoo.backbone(request.param)
