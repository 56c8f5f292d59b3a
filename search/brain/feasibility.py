"""What fits under the budget, on paper: the range of every method's count, its axes narrowed to it, and the nearest way out.

Counts come from a function and are taken to grow or to shrink steadily along each integer axis, as every formula of the
catalogue does. Where one does not, narrowing may leave out a few points that would fit; none that does not fit gets through,
since every proposal is counted again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ...spaces.errors import WrongInput
from .counts import ParameterCounts

Count = Callable[[str, Hyperparameters], int]
Axes = Mapping[str, Axis | Value]


@dataclass(frozen=True)
class Feasibility:
    """What is known of one method before anything is trained."""

    method: str
    smallest: int | None
    """Smallest count over the method's axes, whatever the budget; None where no configuration fits the model."""
    largest: int | None
    """Largest count found under the budget; None where nothing fits under it."""
    feasible: bool
    why: str
    """Where infeasible: the floor and the nearest way out. Elsewhere: what of the axes was cut off."""
    axes: Mapping[str, Axis] = field(default_factory=dict)
    """The axes narrowed to the budget; a fixed value is a choice of one."""
    floor: Hyperparameters = field(default_factory=dict)
    """The configuration behind `smallest`."""
    defaults: Hyperparameters = field(default_factory=dict)
    """What a hyperparameter is where nothing is said; so were trials trained that were begun before there was one."""
    named: frozenset[str] = frozenset()
    """Hyperparameters whose axes are the space's, not the method's own: of their choices the first option is tried first."""
    light: bool = False
    """Whether its trials train on kept states of the frozen model and make no passes of it: next to nothing beside others."""

    def to_json(self) -> dict[str, Any]:
        """Return the four values that `plan --json` promises."""
        return {"smallest": self.smallest, "largest": self.largest, "feasible": self.feasible, "why": self.why}


def assess(
    methods: Mapping[str, Axes],
    *,
    budget: int,
    count: Count,
    catalogue: Callable[[str], Mapping[str, Axis]] | None = None,
    defaults: Callable[[str], Hyperparameters] | None = None,
    light: Callable[[str], bool] = lambda method: False,
) -> dict[str, Feasibility]:
    """Return, per method of a space, what fits under `budget` trainable elements.

    `catalogue` gives a method's own axes; with it, the way out of an infeasible method can name a hyperparameter to change. `defaults`
    gives what its hyperparameters are where nothing is said, `light` whether its trials make no passes of the model.
    """
    own = catalogue or (lambda method: {})
    known = defaults or (lambda method: {})
    judged = {method: _judge(method, axes, budget=budget, count=count, own=own) for method, axes in methods.items()}
    named = {method: frozenset(_named(axes, own(method))) for method, axes in methods.items()}
    return {m: replace(one, defaults=known(m), named=named[m], light=light(m)) for m, one in judged.items()}


def require_feasible(judged: Mapping[str, Feasibility], *, budget: int) -> dict[str, Feasibility]:
    """Return the methods that fit; `WrongInput` with every method's way out where none does."""
    fitting = {method: one for method, one in judged.items() if one.feasible}
    if fitting:
        return fitting
    reasons = "; ".join(f"{method}: {one.why}" for method, one in judged.items()) or "the space has no methods"
    raise WrongInput(f"no method fits under a budget of {budget} trainable parameters. {reasons}")


def _judge(method: str, axes: Axes, *, budget: int, count: Count, own: Callable[[str], Mapping[str, Axis]]) -> Feasibility:
    counts = ParameterCounts({name: as_axis(axis) for name, axis in axes.items()}, count=lambda h: count(method, h))
    floor, smallest = counts.smallest()
    if smallest is None:
        return Feasibility(method, None, None, feasible=False, why=f"no configuration fits this model: {counts.misfit}")
    if smallest > budget:
        why = _way_out(counts, smallest=smallest, budget=budget, own=own(method))
        return Feasibility(method, smallest, None, feasible=False, why=why, floor=floor)
    narrow = narrowed(counts, floor=floor, budget=budget)
    largest = ParameterCounts(narrow, count=lambda h: count(method, h)).largest(budget, floor=floor)
    cut = [f"{name} {_say(axis)}" for name, axis in narrow.items() if axis != counts.axes[name]]
    return Feasibility(method, smallest, largest, feasible=True, why=_cut_off(cut), axes=narrow, floor=floor)


def _named(axes: Axes, own: Mapping[str, Axis]) -> Iterator[str]:
    return (name for name, axis in axes.items() if as_axis(axis) != own.get(name))


def as_axis(axis: Axis | Value) -> Axis:
    """Return a fixed value as a choice of one, an axis as it is."""
    return axis if isinstance(axis, Int | Float | Choice) else Choice((axis,))


def narrowed(counts: ParameterCounts, *, floor: Hyperparameters, budget: int) -> dict[str, Axis]:
    """Return the axes without those ends and options that stay above `budget` however small the rest is chosen."""
    return {name: _narrow(counts, name, floor=floor, budget=budget) for name in counts.axes}


def _narrow(counts: ParameterCounts, name: str, *, floor: Hyperparameters, budget: int) -> Axis:
    axis = counts.axes[name]
    if name not in counts.relevant or isinstance(axis, Float):
        return axis

    def fits(value: Value) -> bool:
        _, least = counts.smallest_with(name, value, start=floor)
        return least is not None and least <= budget

    if isinstance(axis, Choice):
        return Choice(tuple(option for option in axis.options if fits(option)))
    low, high = fits(axis.low), fits(axis.high)
    if low == high:  # both ends fit; or neither does, and what fits in between is unknown
        return axis
    edge = _edge(int(floor[name]), axis.high if low else axis.low, fits)
    return replace(axis, high=edge) if low else replace(axis, low=edge)


def _edge(inside: int, outside: int, fits: Callable[[Value], bool]) -> int:
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if fits(middle) else (inside, middle)
    return inside


def _way_out(counts: ParameterCounts, *, smallest: int, budget: int, own: Mapping[str, Axis]) -> str:
    raising = f"raise --budget to {smallest}"
    changes = [change for name, axis in own.items() if (change := _change(counts, name, axis, budget=budget))]
    nearest = max(changes, key=lambda change: change[1], default=None)
    ways = f"set {nearest[0]} or {raising}" if nearest else raising
    return f"needs at least {smallest:,}; {ways}"


def _change(counts: ParameterCounts, name: str, axis: Axis, *, budget: int) -> tuple[str, int] | None:
    """One hyperparameter set to a value of the method's own axis under which the floor fits, with that floor."""
    if counts.axes.get(name) == axis or isinstance(axis, Float):
        return None
    wider = ParameterCounts({**counts.axes, name: axis}, count=counts.count)
    floor, smallest = wider.smallest()
    if smallest is None or smallest > budget:
        return None
    fitting = _narrow(wider, name, floor=floor, budget=budget).corners()
    options = [(value, wider.smallest_with(name, value, start=floor)[1] or 0) for value in fitting]
    value, least = max((option for option in options if option[1] <= budget), key=lambda option: option[1])
    return f"{name}: {str(value).lower() if isinstance(value, bool) else value}", least


def _cut_off(cut: list[str]) -> str:
    return f"the budget leaves {', '.join(cut)}" if cut else ""


def _say(axis: Axis) -> str:
    if isinstance(axis, Choice):
        return " or ".join(str(option) for option in axis.options)
    return f"{axis.low} to {axis.high}"
