"""What a search tries first: every entry as it stands, heads alone before all others."""

import math
from dataclasses import replace

import pytest

from ulpt_search.search.brain.feasibility import Feasibility, assess, require_feasible
from ulpt_search.search.brain.opening import opening
from ulpt_search.search.brain.proposals import STARTUP, STARTUP_LIMIT, Proposals
from ulpt_search.search.brain.search_space import Proposal, SearchSpace
from ulpt_search.search.brain.study import Study
from ulpt_search.spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.shape import Answers, Shape
from ulpt_search.workers.catalogue import axes_of, count_to_begin, defaults_of, is_head, load_space

from .simulated import count as simulated
from .simulated import methods_that_fit, space
from .test_schema import MINILM

NUMBERS = replace(MINILM, labels=1, answers=Answers(kind="regression", apart=True))


def judged(methods: dict[str, dict[str, Axis | Value]], shape: Shape, budget: int) -> dict[str, Feasibility]:
    """What fits a model of this shape."""
    whole = {name: {**axes_of(name), **axes} for name, axes in methods.items()}
    found = assess(
        whole, budget=budget, count=lambda m, v: count_to_begin(m, v, shape), catalogue=axes_of, defaults=defaults_of, light=is_head
    )
    return require_feasible(found, budget=budget)


def begun(methods: dict[str, dict[str, Axis | Value]], shape: Shape = MINILM, *, budget: int = 10_000) -> list[Proposal]:
    """The opening of a space of these methods."""
    space = SearchSpace(judged(methods, shape, budget), seeds=3)
    found = opening(space, count=lambda m, v: count_to_begin(m, v, shape), budget=budget, light=10)
    assert all(space.contains(one) and count_to_begin(one.method, one.hyperparameters, shape) <= budget for one in found)
    assert len({one.identity for one in found}) == len(found)
    return found


def only(methods: dict[str, dict[str, Axis | Value]], shape: Shape = MINILM, *, budget: int = 10_000) -> Hyperparameters:
    """The one configuration of an opening."""
    (one,) = begun(methods, shape, budget=budget)
    return one.hyperparameters


def test_defaults_stand_where_the_space_says_nothing() -> None:
    """And where nothing is over the budget."""
    assert only({"lora": {}}, budget=1_000_000) == defaults_of("lora")
    assert only({"prompt": {}}) == defaults_of("prompt")


def test_of_a_choice_the_first_option_that_fits_and_of_a_range_the_nearest_value() -> None:
    axes: dict[str, Axis | Value] = {"layers": Choice(("last:1", "all")), "modules": Choice(("v", "q,v")), "rank": Int(2, 3)}
    found = only({"lora": {**axes, "lr": Float(0.1, 0.3)}})
    assert (found["layers"], found["modules"], found["rank"], found["lr"]) == ("last:1", "v", 2, 0.1)
    composed: dict[str, dict[str, Axis | Value]] = {"ia3+head": {"head.rank": Choice((5, 1, 0)), "ia3.layers": "last:1"}}
    assert [only(composed, replace(MINILM, labels=labels))["head.rank"] for labels in (2, 6)] == [1, 5]


def test_what_is_over_the_budget_is_made_smaller_and_its_rate_is_left() -> None:
    found = only({"ia3": {}}, budget=7_000)
    assert (found["layers"], found["lr"]) == ("last:50%", defaults_of("ia3")["lr"])


@pytest.mark.parametrize(("shape", "heads", "adapter"), [(MINILM, 7, 580), (replace(MINILM, labels=6), 10, 2148), (NUMBERS, 6, 194)])
def test_the_shipped_space_begins_with_every_head_and_then_with_each_entry(shape: Shape, heads: int, adapter: int) -> None:
    """And what stands under a head is no larger than the probe of such a task, which has a weight for every label and number of a state."""
    found = begun({name: dict(axes) for name, axes in load_space("ulpt").methods.items()}, shape)
    assert [one.method for one in found[:heads]] == ["head"] * heads
    others = [one.method for one in found[heads:]]
    assert sorted(others) == sorted(load_space("ulpt").methods.keys() - {"head"})
    composed = next(one for one in found if one.method == "lora_xs+head")
    size = count_to_begin(composed.method, composed.hyperparameters, shape)
    assert size == adapter <= shape.labels * MINILM.width * (2 if shape.answers.apart else 1) + shape.labels


METHODS = ("prompt", "bitfit", "ulpt", "lora")


@pytest.mark.parametrize("pack", [3, 8])
def test_nothing_else_is_tried_before_all_of_it_however_often_a_search_is_killed(pack: int) -> None:
    """Packs are made of what is alike, and of entries alone while these fill them; a search that began without them goes on as it did."""
    chosen = space(trials=120, methods=METHODS)
    methods = methods_that_fit(chosen, 10_000)
    trials: list[Trial] = []

    def study() -> Study:
        return Study(space=chosen, budget=10_000, count=simulated, methods=methods, trials=trials, pack=pack)

    def begin() -> list[Proposal]:
        killed = study()
        while all(trial.number < len(trials) for trial in killed.trials.values()):
            assert killed.next_job() is not None
        new = [trial for number, trial in sorted(killed.trials.items()) if number >= len(trials)]
        trials.extend(new)
        return [Proposal.of(trial) for trial in new]

    entries = {one.identity for one in opening(SearchSpace(methods, chosen.seeds), count=simulated, budget=10_000, light=30)}
    tried: set[tuple[object, ...]] = set()
    while entries - tried:
        tried |= (more := {one.identity for one in begin()})
        assert more <= entries or entries <= tried, "others come behind the last of them alone"
        assert len(more) == pack
    assert not entries & {one.identity for one in begin()}
    trials[:] = [replace(trials[-1], number=0)]
    assert not entries & {one.identity for one in begin()}


def test_every_light_entry_is_tried_as_it_stands_before_any_is_changed() -> None:
    found = begun({"head": {}, "head+subzero": {}})
    assert [one.method for one in found[:4]] == ["head", "head+subzero"] * 2
    assert found[0].hyperparameters == defaults_of("head")


def test_a_short_plan_has_room_for_others_than_heads() -> None:
    """A quarter of it at most is light, the entry as it stands first."""
    methods = {name: dict(axes) for name, axes in load_space("ulpt").methods.items()}
    space = SearchSpace(judged(methods, MINILM, 10_000), seeds=3)
    found = opening(space, count=lambda m, v: count_to_begin(m, v, MINILM), budget=10_000, light=2)
    assert [one.method for one in found[:3]].count("head") == 2
    assert found[0].hyperparameters["batch"] == defaults_of("head")["batch"]
    alone = SearchSpace({"head": space.methods["head"]}, seeds=3)
    assert len(opening(alone, count=lambda m, v: count_to_begin(m, v, MINILM), budget=10_000, light=2)) == 7


@pytest.mark.parametrize("trials", [32, 120, 3])
def test_random_draws_fill_the_pack_behind_a_single_entry_and_are_no_more_than_before(trials: int) -> None:
    """They are those that would have come a job later: of the sampler's startup, which is as long as ever."""
    chosen = space(trials=trials, methods=("lora",))
    methods = methods_that_fit(chosen, 10_000)

    def begun() -> list[Trial]:
        study = Study(space=chosen, budget=10_000, count=simulated, methods=methods, pack=8)
        first = study.next_job()
        assert first is not None
        return [assignment.trial for assignment in first.assignments]

    (entry,) = opening(SearchSpace(methods, chosen.seeds), count=simulated, budget=10_000, light=30)
    first = begun()
    startup = min(math.ceil(trials / STARTUP), STARTUP_LIMIT)
    assert Proposal.of(first[0]) == entry
    assert len(first) == max(1, min(8, startup))
    made = Proposals(space=chosen, search_space=SearchSpace(methods, chosen.seeds), budget=10_000, count=simulated, seed=0, steps=(25,))
    later = made.upcoming(startup, tried={entry.identity}, light=0, busy=())
    assert {Proposal.of(trial).identity for trial in first[1:]} <= {one.identity for one in later[: startup - 1]}
    assert begun() == first
