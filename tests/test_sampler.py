"""Proposals: never infeasible, never twice, the same for the same records, and better where the records say so."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulpt_search.search.brain.feasibility import assess, require_feasible
from ulpt_search.search.brain.proposals import ENOUGH, Proposals
from ulpt_search.search.brain.sampler import Direction, Observation, propose
from ulpt_search.search.brain.search_space import Proposal, SearchSpace
from ulpt_search.search.brain.study import Study
from ulpt_search.search.brain.trial_records import TrialRecords
from ulpt_search.spaces.axes import Choice, Float, Int
from ulpt_search.spaces.records import Result, Trial
from ulpt_search.spaces.space import Space
from ulpt_search.workers.catalogue import axes_of, defaults_of

from .simulated import METHODS, count, space

BOTH: tuple[Direction, Direction] = ("maximize", "minimize")


def domain_of(budget: int, chosen: Space | None = None) -> SearchSpace:
    """The feasible part of the simulated methods."""
    methods = (chosen or space()).methods
    return SearchSpace(require_feasible(assess(methods, budget=budget, count=count), budget=budget), 3)


def under(budget: int) -> Callable[[Proposal], bool]:
    """The predicate that a study gives, without a memory."""
    return lambda proposal: count(proposal.method, proposal.hyperparameters) <= budget


def drawn(domain: SearchSpace, n: int, *, budget: int, seed: int = 0) -> list[Proposal]:
    """Random proposals."""
    chance = random.Random(seed)
    found = [domain.draw(accept=under(budget), chance=chance) for _ in range(n)]
    return [one for one in found if one is not None]


def scored(domain: SearchSpace, n: int, *, budget: int, score: Callable[[Proposal], float]) -> list[Observation]:
    """Random proposals with what came of them."""
    proposals = drawn(domain, n, budget=budget)
    return [Observation(p, (score(p), math.log(count(p.method, p.hyperparameters)))) for p in proposals]


@settings(max_examples=20, deadline=None)
@given(budget=st.integers(400, 200_000), seed=st.integers(0, 1000), known=st.integers(0, 40))
def test_proposals_are_feasible_new_and_reproducible(budget: int, seed: int, known: int) -> None:
    """Whatever the budget, from no records or many, some of them in flight."""
    domain = domain_of(budget)
    observations = scored(domain, known, budget=budget, score=lambda p: 0.5)
    observations += [Observation(p, None) for p in drawn(domain, 5, budget=budget, seed=1)]
    tried = {observation.proposal.identity for observation in observations}

    def accept(proposal: Proposal) -> bool:
        return proposal.identity not in tried and under(budget)(proposal)

    first, again = (propose(domain, observations, directions=BOTH, accept=accept, seed=seed, n=6) for _ in range(2))
    assert first == again
    assert len({proposal.identity for proposal in first}) == len(first) == 6
    assert all(accept(proposal) and domain.contains(proposal) for proposal in first)


def test_proposals_follow_the_records() -> None:
    """Where one method at one learning rate is better, most proposals go there; another seed proposes otherwise."""
    domain = domain_of(10_000)

    def score(proposal: Proposal) -> float:
        good = proposal.method == "lora"
        return (0.8 if good else 0.5) - 0.2 * abs(math.log10(float(proposal.hyperparameters["lr"]) / 1e-3))

    observations = [Observation(p, (score(p),)) for p in drawn(domain, 120, budget=10_000)]
    found = propose(domain, observations, directions=("maximize",), accept=under(10_000), seed=0, n=30)
    uniform = drawn(domain, 300, budget=10_000, seed=5)
    assert sum(p.method == "lora" for p in found) / 30 > 1.5 * sum(p.method == "lora" for p in uniform) / 300

    def miss(proposals: list[Proposal]) -> float:
        rates = [abs(math.log10(float(p.hyperparameters["lr"]) / 1e-3)) for p in proposals if p.method == "lora"]
        return sum(rates) / len(rates)

    assert miss(found) < miss(uniform)
    assert found != propose(domain, observations, directions=("maximize",), accept=under(10_000), seed=1, n=30)


def test_what_is_in_flight_is_kept_away_from() -> None:
    """The constant liar: twenty trials of one method under way make it rarer."""
    domain = domain_of(10_000)
    observations = scored(domain, 60, budget=10_000, score=lambda p: 0.5 + 0.1 * (p.method == "lora"))
    pending = [Observation(p, None) for p in drawn(domain, 200, budget=10_000, seed=3) if p.method == "lora"]
    free, busy = (
        propose(domain, known, directions=BOTH, accept=under(10_000), seed=0, n=24) for known in (observations, [*observations, *pending])
    )
    assert sum(p.method == "lora" for p in busy) < sum(p.method == "lora" for p in free)


def test_a_single_objective() -> None:
    """Score alone."""
    domain = domain_of(10_000)
    observations = [Observation(p, (0.5,)) for p in drawn(domain, 20, budget=10_000)]
    assert len(propose(domain, observations, directions=("maximize",), accept=under(10_000), seed=0, n=3)) == 3


def test_fixed_values_and_one_method_leave_nothing_to_sample_but_the_rest() -> None:
    """Optuna is not asked for what has one value."""
    chosen = replace(space(), methods={"prompt": {"prompt_length": 5, "lr": Float(0.01, 0.1)}})
    domain = replace(domain_of(10_000, chosen), seeds=1)
    observations = [Observation(p, (0.5, 1.0)) for p in drawn(domain, 15, budget=10_000)]
    found = propose(domain, observations, directions=BOTH, accept=under(10_000), seed=0, n=4)
    assert {(p.method, p.hyperparameters["prompt_length"], p.seed) for p in found} == {("prompt", 5, 0)}


def test_records_from_off_the_axes_are_left_out() -> None:
    """A trial of before whose value the axes no longer hold."""
    domain = domain_of(10_000)
    strange = Observation(Proposal("prompt", {"prompt_length": 10**6, "lr": 0.01}, 0), (0.9, 1.0))
    unknown = Observation(Proposal("nobody", {}, 0), (0.9, 1.0))
    assert len(propose(domain, [strange, unknown], directions=BOTH, accept=under(10_000), seed=0, n=2)) == 2


def test_a_tried_out_space_gives_fewer() -> None:
    """And every one of the rest, once."""
    chosen = replace(space(), methods={"prompt": {"prompt_length": Int(1, 4), "lr": Choice((0.1, 0.2))}})
    domain = domain_of(10_000, chosen)
    found = propose(domain, [], directions=BOTH, accept=under(10_000), seed=0, n=50)
    assert len(found) == len({p.identity for p in found}) == 4 * 2 * 3


def test_uniform_draws_stay_under_a_tight_budget() -> None:
    """Where almost everything is too large, draws are pulled towards the smallest configuration, and still differ."""
    domain = domain_of(790, replace(space(), methods={"ulpt": {**METHODS["ulpt"], "scale": True, "shift": True}}))
    found = drawn(domain, 20, budget=790)
    assert all(count(p.method, p.hyperparameters) <= 790 for p in found)
    assert len({p.identity for p in found}) == 20


def test_observations_are_of_one_step_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest step with enough results is modelled; what has none there is told as pending, or not at all."""
    told: list[list[Observation]] = []

    def spy(domain: SearchSpace, observations: list[Observation], **options: object) -> list[Proposal]:
        told.append(observations)
        return drawn(domain, 1, budget=10_000, seed=len(told))

    monkeypatch.setattr("ulpt_search.search.brain.sampler.propose", spy)
    chosen = space(trials=200)
    proposals = Proposals(space=chosen, search_space=domain_of(10_000), budget=10_000, count=count, seed=0, steps=(25, 50))
    trials = [Trial(n, p.method, p.hyperparameters, p.seed, 500) for n, p in enumerate(drawn(domain_of(10_000), 60, budget=10_000))]
    tried: set[tuple[object, ...]] = {Proposal(t.method, t.hyperparameters, t.seed).identity for t in trials}
    for step, reached in ((25, 50), (50, ENOUGH - 1)):
        for trial in trials[:reached]:
            proposals.learn(trial, Result(trial.number, step, "validation", step / 100, 1e-4, 0.5, 1.0, "", 0))
    proposals.upcoming(1, tried=tried, light=0, busy=trials[48:55])
    assert [o.values for o in told[0] if o.values] == [(0.25, math.log(500))] * 50
    assert [o.proposal.seed for o in told[0] if o.values is None] == [trial.seed for trial in trials[50:55]]
    last = trials[ENOUGH - 1]
    proposals.learn(last, Result(last.number, 50, "validation", 0.5, 1e-4, 0.5, 1.0, "", 0))
    proposals.upcoming(2, tried=tried, light=0, busy=[])
    assert [o.values for o in told[1] if o.values] == [(0.5, math.log(500))] * ENOUGH


class Unread(set[tuple[object, ...]]):
    """A set that may be asked for a member, and not gone through."""

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        raise AssertionError("gone through")


def test_a_proposal_does_not_go_through_all_that_was_tried() -> None:
    """What a search of thousands of trials asks of them is counted as they come, each configuration once."""
    judged = {name: replace(one, light=name == "bitfit") for name, one in domain_of(10_000).methods.items()}
    domain, records = SearchSpace(judged, 3), TrialRecords()
    for number, one in enumerate([*(found := drawn(domain, 20, budget=10_000)), *found]):
        records.add_trial(Trial(number, one.method, one.hyperparameters, one.seed, 500))
    light = records.tried_of(domain.light)
    assert light == sum(one.method == "bitfit" for one in found) > 0
    proposals = Proposals(space=space(trials=200), search_space=domain, budget=10_000, count=count, seed=0, steps=(25,))
    more = proposals.upcoming(4, tried=Unread(records.tried), light=len(found) // 4, busy=[])
    assert "bitfit" not in {one.method for one in more}, "a quarter is light already"
    assert "bitfit" in {one.method for one in proposals.upcoming(40, tried=Unread(records.tried), light=0, busy=[])}


def test_what_an_old_trial_does_not_name_is_the_default_it_was_trained_with() -> None:
    """A hyperparameter that a method has got since: the trials of before are known to the sampler, and not tried again."""
    chosen = replace(space(), methods={"lorta": axes_of("lorta")})
    judged = assess(chosen.methods, budget=10_000, count=lambda name, values: 8, catalogue=axes_of, defaults=defaults_of)
    domain = SearchSpace(judged, 3)
    new = domain.draw(accept=lambda one: one.hyperparameters["init"] == "published", chance=random.Random(0))
    assert new is not None
    old = Trial(0, "lorta", {name: value for name, value in new.hyperparameters.items() if name != "init"}, new.seed, 8)
    assert domain.contains(domain.tried(old))
    study = Study(space=chosen, budget=10_000, count=lambda name, values: 8, methods=judged, trials=[old])
    assert study._records.tried == {new.identity}
    assert study.trials[0] == old


def test_defaults_are_named_as_axes_are() -> None:
    for name in ("head", "lora+head", "lora+subzero"):
        assert defaults_of(name).keys() <= axes_of(name).keys()
    assert defaults_of("lora+head")["head.features"] == "difference,product"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"number": 9}, True),
        ({"parameters": 9}, True),
        ({"hyperparameters": {"lr": 0.1, "rank": 2}}, True),
        ({"hyperparameters": {"rank": 3, "lr": 0.1}}, False),
        ({"method": "ia3"}, False),
        ({"seed": 1}, False),
    ],
)
def test_identity_is_what_would_be_trained(change: dict[str, object], same: bool) -> None:
    """Neither a trial's number nor its size, nor the order of its hyperparameters."""
    trial = Trial(1, "lora", {"rank": 2, "lr": 0.1}, 0, 1536)
    other = Trial.from_json({**trial.to_json(), **change})
    assert (Proposal.of(trial).identity == Proposal.of(other).identity) == same
