"""What fits under a budget: exact against trying everything, and the way out in words."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.search.brain.feasibility import Feasibility, assess, require_feasible
from ulpt_search.spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import axes_of, catalogue, count

from .shapes import shape
from .simulated import METHODS
from .simulated import count as simulated_count

MINILM = replace(shape(width=384, layers=6, heads=12, bias=True), labels=6)
WHOLE = {"layers": "all", "modules": "k,v,down"}


def on_minilm(method: str, values: Hyperparameters) -> int:
    """The real formulas."""
    return count(method, values, MINILM)


def judge(axes: Mapping[str, Axis | Value], budget: int, method: str = "ia3") -> Feasibility:
    """One real method with its own axes, some of them replaced."""
    return assess({method: {**axes_of(method), **axes}}, budget=budget, count=on_minilm, catalogue=axes_of)[method]


def test_all_layers_of_ia3_do_not_fit() -> None:
    """The message names the floor and the nearest way out: of the options that fit, the one that changes least."""
    judged = judge(WHOLE, 10_000)
    assert judged.to_json() == {
        "smallest": 13_824,
        "largest": None,
        "feasible": False,
        "why": "needs at least 13,824; set modules: down or raise --budget to 13824",
    }
    assert judge(WHOLE, 8_000).why == "needs at least 13,824; set layers: last:50% or raise --budget to 13824"
    assert judge({"layers": "all"}, 1_000).why == "needs at least 2,304; set layers: last:1 or raise --budget to 2304"


def test_where_no_single_change_helps_only_the_budget_does() -> None:
    """Below the floor of the method's own axes."""
    assert judge(WHOLE, 2_000).why == "needs at least 13,824; raise --budget to 13824"


def test_options_and_ends_above_the_budget_are_cut_off() -> None:
    """And said so."""
    judged = judge({"modules": "k,v,down"}, 10_000)
    assert judged.axes["layers"] == Choice(("last:50%", "last:1"))
    assert judged.why == "the budget leaves layers last:50% or last:1"
    assert (judged.smallest, judged.largest) == (2_304, 6_912)
    prompt = judge({}, 10_000, "prompt")
    assert prompt.axes["prompt_length"] == Int(1, 26, log=True)
    assert (prompt.smallest, prompt.largest) == (384, 26 * 384)
    assert prompt.axes["lr"] == axes_of("prompt")["lr"]


def test_a_composition_names_its_part() -> None:
    """`bitfit.layers`, as it is written in the file."""
    axes = {**axes_of("prompt+ia3"), **{f"ia3.{name}": value for name, value in WHOLE.items()}}
    judged = assess({"prompt+ia3": axes}, budget=8_000, count=on_minilm, catalogue=axes_of)["prompt+ia3"]
    assert judged.why == "needs at least 14,208; set ia3.layers: last:50% or raise --budget to 14208"


def test_a_configuration_that_fits_no_model() -> None:
    """The count's own words are passed on."""
    judged = judge({"layers": "last:9"}, 10**9)
    assert (judged.smallest, judged.feasible) == (None, False)
    assert judged.why.startswith("no configuration fits this model: layers: 9 asked for, this model has 6")


def test_nothing_feasible_is_wrong_input() -> None:
    """One line with every method's way out."""
    judged = assess({m: axes_of(m) for m in ("prompt", "ia3")}, budget=10, count=on_minilm, catalogue=axes_of)
    with pytest.raises(WrongInput, match=r"budget of 10 .* prompt: needs at least 384; raise --budget to 384; ia3: needs at least 384"):
        require_feasible(judged, budget=10)


def test_only_what_fits_is_required() -> None:
    """The others are left out."""
    judged = assess({"prompt": axes_of("prompt"), "ia3": {**axes_of("ia3"), **WHOLE}}, budget=400, count=on_minilm)
    assert list(require_feasible(judged, budget=400)) == ["prompt"]


@pytest.mark.parametrize("budget", [500, 1_000, 10_000, 100_000])
def test_every_real_method_at_every_budget(budget: int) -> None:
    """The floor counts what it says, and narrowed axes still hold it."""
    for method, judged in assess({m: axes_of(m) for m in catalogue()}, budget=budget, count=on_minilm, catalogue=axes_of).items():
        assert judged.smallest == on_minilm(method, judged.floor)
        assert judged.feasible == (judged.smallest <= budget)
        if judged.feasible:
            assert judged.largest is not None
            assert judged.smallest <= judged.largest <= budget
            assert all(axis.contains(judged.floor[name]) for name, axis in judged.axes.items())


@given(
    st.integers(1, 12), st.integers(0, 12), st.integers(1, 6), st.integers(0, 6), st.sampled_from(["grow", "shrink"]), st.integers(1, 800)
)
def test_narrowing_is_exact(low: int, span: int, other: int, width: int, kind: str, budget: int) -> None:
    """Against trying every configuration: smallest, largest, and for each axis exactly the values that can fit."""
    axes: dict[str, Axis] = {"a": Int(low, low + span), "b": Int(other, other + width), "c": Choice((False, True)), "lr": Float(0.1, 1.0)}

    def formula(method: str, h: Hyperparameters) -> int:
        a, b = int(h["a"]), int(h["b"])
        return (a * b if kind == "grow" else 600 // a + b) + 40 * bool(h["c"])

    every = [
        dict(zip("abc", values, strict=True))
        for values in itertools.product(range(low, low + span + 1), range(other, other + width + 1), (False, True))
    ]
    fitting = [h for h in every if formula("m", h) <= budget]
    judged = assess({"m": axes}, budget=budget, count=formula)["m"]
    assert judged.smallest == min(formula("m", h) for h in every)
    assert judged.feasible == bool(fitting)
    if fitting:
        assert judged.largest == max(formula("m", h) for h in fitting)
        for name in ("a", "b"):
            axis = judged.axes[name]
            assert isinstance(axis, Int)
            values = {int(h[name]) for h in fitting}
            assert (axis.low, axis.high) == (min(values), max(values))
        assert judged.axes["c"] == Choice(tuple(option for option in (False, True) if any(h["c"] == option for h in fitting)))
        assert judged.axes["lr"] == axes["lr"]


def test_a_long_space_is_judged_quickly() -> None:
    """Counts are asked for thousands of times at most, not for every combination."""
    asked = 0

    def counting(method: str, h: Hyperparameters) -> int:
        nonlocal asked
        asked += 1
        return simulated_count(method, h)

    assess(METHODS, budget=10_000, count=counting)
    assert asked < 4_000 * len(METHODS)
