"""What a search tries before anything at random: every entry of its space as it stands, those first that cost least.

A method's defaults are what its authors, or measurements here, found to work; so each entry is judged at its best-known values before the
sampler is told anything. Of a choice that the space makes, its first option that fits stands for the default, of a range the value that
is nearest to it. Of methods whose trials are light every option of every choice and a few other rates are tried as well, one changed at a
time.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import zip_longest

from ...spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ...spaces.errors import WrongInput
from .feasibility import Count, Feasibility
from .packing import depth, prompt_length
from .search_space import Proposal, SearchSpace

RATES = (0.1, 1 / 3, 3.0)
"""Of light methods, times the default: with few rows a tenth is right for a head, with many three times as much."""


def opening(search_space: SearchSpace, *, count: Count, budget: int, light: int) -> list[Proposal]:
    """Return the configurations that a search begins with, all under the budget: light methods first, then by depth and prompt length.

    Of light ones beside others no more than `light`, the first: every entry as it stands, then variants of each in turn.
    """
    found: dict[tuple[object, ...], Proposal] = {}
    entries = [
        [Proposal(one.method, values, seed=0) for values in _of(one, count=count, budget=budget)] for one in search_space.methods.values()
    ]
    for row in zip_longest(*entries):  # every entry as it stands, then one variant of each after the other
        for one in filter(None, row):
            found.setdefault(one.identity, one)
    quick = [one for one in found.values() if one.method in search_space.light]
    others = [one for one in found.values() if one.method not in search_space.light]
    others.sort(key=lambda one: (depth(one), prompt_length(one)))
    return [*(quick[:light] if others else quick), *others]


def _of(judged: Feasibility, *, count: Count, budget: int) -> Iterator[Hyperparameters]:
    size = _Sizes(judged, count)
    first = _under(budget, _nearest(judged, size), judged, size)
    yield first
    if judged.light:
        changed = ({**first, name: other} for name, axis in judged.axes.items() for other in _others(axis, first[name]))
        yield from (values for values in changed if size.of(values) <= budget)


def _others(axis: Axis, here: Value) -> tuple[Value, ...]:
    """Every option of a choice; of a rate that goes by factors `RATES` times as much."""
    if isinstance(axis, Choice):
        return axis.options
    factors = RATES if isinstance(axis, Float) and axis.log else ()
    return tuple(other for factor in factors if axis.contains(other := float(here) * factor))


class _Sizes:
    """A method's counts, infinite where a configuration does not fit the model."""

    def __init__(self, judged: Feasibility, count: Count) -> None:
        self._method, self._count = judged.method, count

    def of(self, values: Mapping[str, Value]) -> float:
        try:
            return self._count(self._method, values)
        except WrongInput:
            return math.inf


def _nearest(judged: Feasibility, size: _Sizes) -> dict[str, Value]:
    """The defaults, each as near as its axis comes to it: of the method's own options the one whose count is nearest."""
    known = {name: value for name, value in judged.defaults.items() if not _chosen(judged, name)}
    values = {name: _on(axis, known.get(name), judged.floor[name]) for name, axis in judged.axes.items()}
    for name, axis in judged.axes.items():
        wanted = known.get(name)
        if isinstance(axis, Choice) and wanted is not None and not axis.contains(wanted):
            values[name] = _like(size.of({**values, name: wanted}), name, axis, values, size)
    return values


def _chosen(judged: Feasibility, name: str) -> bool:
    return name in judged.named and isinstance(judged.axes.get(name), Choice)


def _on(axis: Axis, wanted: Value | None, floor: Value) -> Value:
    if wanted is None:
        return _middle(axis)
    if isinstance(axis, Choice):
        return wanted if axis.contains(wanted) else floor
    return min(max(axis.low, float(wanted)), axis.high) if isinstance(axis, Float) else min(max(axis.low, int(wanted)), axis.high)


def _middle(axis: Axis) -> Value:
    """What stands for an axis that has no default."""
    if isinstance(axis, Choice):
        return axis.options[0]
    middle = math.sqrt(axis.low * axis.high) if axis.log else (axis.low + axis.high) / 2
    return round(middle) if isinstance(axis, Int) else middle


def _like(wanted: float, name: str, axis: Choice, values: Mapping[str, Value], size: _Sizes) -> Value:
    """The option whose count is nearest to what is wanted; of equals the first."""

    def off(option: Value) -> float:
        found = size.of({**values, name: option})
        return math.inf if math.isinf(found) else abs(found - min(wanted, 1e300))

    return min(axis.options, key=off)


def _under(budget: int, values: dict[str, Value], judged: Feasibility, size: _Sizes) -> dict[str, Value]:
    """The same, made smaller value by value until it fits: of a choice by the largest option that does, else by the smallest."""
    for name, axis in judged.axes.items():
        now = size.of(values)
        if now <= budget:
            break
        options = axis.options if isinstance(axis, Choice) else (judged.floor[name],)
        tried = sorted((({**values, name: option}) for option in options), key=size.of, reverse=True)
        smaller = [one for one in tried if size.of(one) < now]
        values = next((one for one in smaller if size.of(one) <= budget), smaller[-1] if smaller else values)
    return values
