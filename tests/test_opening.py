"""What a search tries first: every entry as it stands, heads alone before all others."""

from dataclasses import replace

import pytest

from ulpt_search.search.brain.feasibility import Feasibility, assess, require_feasible
from ulpt_search.search.brain.opening import opening
from ulpt_search.search.brain.search_space import Proposal, SearchSpace
from ulpt_search.spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ulpt_search.spaces.shape import Answers, Shape
from ulpt_search.workers.catalogue import axes_of, count, defaults_of, is_head, load_space

from .test_schema import MINILM

NUMBERS = replace(MINILM, labels=1, answers=Answers(kind="regression", apart=True))


def judged(methods: dict[str, dict[str, Axis | Value]], shape: Shape, budget: int) -> dict[str, Feasibility]:
    """What fits a model of this shape."""
    whole = {name: {**axes_of(name), **axes} for name, axes in methods.items()}
    found = assess(
        whole, budget=budget, count=lambda m, v: count(m, v, shape), catalogue=axes_of, defaults=defaults_of, light=is_head
    )
    return require_feasible(found, budget=budget)


def begun(methods: dict[str, dict[str, Axis | Value]], shape: Shape = MINILM, *, budget: int = 10_000) -> list[Proposal]:
    """The opening of a space of these methods."""
    space = SearchSpace(judged(methods, shape, budget), seeds=3)
    found = opening(space, count=lambda m, v: count(m, v, shape), budget=budget)
    assert all(space.contains(one) and count(one.method, one.hyperparameters, shape) <= budget for one in found)
    assert len({one.identity for one in found}) == len(found)
    return found


def only(methods: dict[str, dict[str, Axis | Value]], shape: Shape = MINILM, *, budget: int = 10_000) -> Hyperparameters:
    """The one configuration of an opening."""
    (one,) = begun(methods, shape, budget=budget)
    return one.hyperparameters


def test_defaults_stand_where_the_space_says_nothing() -> None:
    assert only({"lora": {}}) == defaults_of("lora") | {"rank": 1} | {"modules": only({"lora": {}})["modules"]}
    assert only({"prompt": {}}) == defaults_of("prompt")


def test_of_a_choice_the_first_option_that_fits_and_of_a_range_the_nearest_value() -> None:
    found = only({"lora": {"modules": Choice(("v", "q,v")), "layers": Choice(("last:1", "all")), "rank": Int(2, 3), "lr": Float(0.1, 0.3)}})
    assert (found["modules"], found["layers"], found["rank"], found["lr"]) == ("v", "last:1", min(3, max(2, int(defaults_of("lora")["rank"]))), 0.1)
    ranks = Choice((5, 1, 0))
    wanted = {2: 1, 6: 5}
    assert {n: only({"ia3+head": {"head.rank": ranks, "ia3.layers": "last:1"}}, replace(MINILM, labels=n))["head.rank"] for n in wanted} == wanted


def test_what_is_over_the_budget_is_made_smaller_and_its_rate_is_left() -> None:
    found = only({"ia3": {}}, budget=7_000)
    assert (found["layers"], found["lr"]) == ("last:50%", defaults_of("ia3")["lr"])


@pytest.mark.parametrize(("shape", "heads", "adapter"), [(MINILM, 3, 580), (replace(MINILM, labels=6), 6, 2148), (NUMBERS, 3, 194)])
def test_the_shipped_space_begins_with_every_head_and_then_with_each_entry(shape: Shape, heads: int, adapter: int) -> None:
    """And what stands under a head is no larger than the probe of such a task, which has a weight for every label and number of a state."""
    found = begun({name: dict(axes) for name, axes in load_space("ulpt").methods.items()}, shape)
    assert [one.method for one in found[:heads]] == ["head"] * heads
    others = [one.method for one in found[heads:]]
    assert sorted(others) == sorted(load_space("ulpt").methods.keys() - {"head"})
    composed = next(one for one in found if one.method == "lora_xs+head")
    size = count(composed.method, composed.hyperparameters, shape)
    assert size == adapter <= shape.labels * MINILM.width * (2 if shape.answers.apart else 1) + shape.labels
