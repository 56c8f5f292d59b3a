"""Trainable counts over a method's axes: where they are smallest, and where they are largest under a budget."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from ...spaces.axes import Axis, Hyperparameters, Int, Value
from ...spaces.errors import WrongInput

LIMIT = 1024  # configurations looked at one by one; a count costs some 30 µs
GRID = 32  # values of a long integer axis that stand for all of it


class ParameterCounts:
    """The count of one method as a function of its axes, remembered where it was asked for."""

    def __init__(self, axes: Mapping[str, Axis], *, count: Callable[[Hyperparameters], int]) -> None:
        self.axes = dict(axes)
        self.count = count
        self.misfit = ""
        """What `count` last said where a configuration does not fit the model."""
        self._known: dict[tuple[Value, ...], int | None] = {}
        self._base = {name: axis.corners()[0] for name, axis in self.axes.items()}
        self.relevant = tuple(self.axes)
        self.relevant = tuple(name for name in self.axes if self._matters(name))
        """Hyperparameters that change the count (learning rates do not)."""
        self._known.clear()

    def at(self, values: Hyperparameters) -> int | None:
        """Return the count of a configuration, None where it does not fit the model."""
        key = tuple(values[name] for name in self.relevant)
        if key not in self._known:
            self._known[key] = self._ask(values)
        return self._known[key]

    def smallest(self) -> tuple[dict[str, Value], int | None]:
        """Return a configuration with the smallest count over the ends of all axes, and that count."""
        corners = {name: self.axes[name].corners() for name in self.relevant}
        best = min(_combinations(corners), key=self._size, default={})
        start = {**self._base, **best}
        return self._descend(start, self.relevant) if self.at(start) is not None else (start, None)

    def smallest_with(self, name: str, value: Value, *, start: Hyperparameters) -> tuple[dict[str, Value], int | None]:
        """Return the smallest configuration near `start` in which one hyperparameter is `value`, and its count."""
        return self._descend({**start, name: value}, tuple(other for other in self.relevant if other != name))

    def largest(self, budget: int, *, floor: Hyperparameters) -> int:
        """Return the largest count found that is at most `budget`, which `floor` meets."""
        longest = max((n for n in self.relevant if isinstance(self.axes[n], Int)), key=self._length, default=None)
        grid = {name: _values(self.axes[name]) for name in self.relevant if name != longest}
        counts = [self.at(floor), *(self._largest_along({**self._base, **rest}, longest, budget) for rest in _combinations(grid))]
        return max(count for count in counts if count is not None and count <= budget)

    def _ask(self, values: Hyperparameters) -> int | None:
        try:
            return self.count(values)
        except WrongInput as error:
            self.misfit = str(error)
            return None

    def _size(self, values: Hyperparameters) -> float:
        count = self.at({**self._base, **values})
        return math.inf if count is None else count

    def _matters(self, name: str) -> bool:
        """Whether changing one axis alone changes the count somewhere among a few places."""
        last = {other: axis.corners()[-1] for other, axis in self.axes.items()}
        places = [self._base, last, *itertools.islice(_shuffled({n: a.corners() for n, a in self.axes.items()}), 4)]
        return any(len({self._size({**place, name: value}) for value in self.axes[name].corners()}) > 1 for place in places)

    def _descend(self, start: Hyperparameters, names: Sequence[str]) -> tuple[dict[str, Value], int | None]:
        """Change one hyperparameter at a time to the end of its axis with the smallest count, as long as that helps."""
        here, size = dict(start), self._size(start)
        while True:
            steps = ({**here, name: value} for name in names for value in self.axes[name].corners())
            best = min(steps, key=self._size, default=here)
            if self._size(best) >= size:
                return here, None if math.isinf(size) else int(size)
            here, size = best, self._size(best)

    def _length(self, name: str) -> int:
        axis = self.axes[name]
        return axis.high - axis.low if isinstance(axis, Int) else 0

    def _largest_along(self, values: Hyperparameters, name: str | None, budget: int) -> int | None:
        """The largest count under the budget along one integer axis, by bisection from whichever end fits."""
        axis = self.axes[name] if name else None
        if name is None or not isinstance(axis, Int):
            return self.at(values)
        inside, outside = sorted((axis.low, axis.high), key=lambda value: self._size({**values, name: value}))
        if self._size({**values, name: outside}) <= budget:
            return self.at({**values, name: outside})
        while abs(outside - inside) > 1:
            middle = (inside + outside) // 2
            fits = self._size({**values, name: middle}) <= budget
            inside, outside = (middle, outside) if fits else (inside, middle)
        return self.at({**values, name: inside})


def _values(axis: Axis) -> tuple[Value, ...]:
    """Values that stand for an axis: all of a short one, a grid of a long one, the ends of a real one."""
    if not isinstance(axis, Int):
        return axis.corners()
    if axis.high - axis.low < GRID:
        return tuple(range(axis.low, axis.high + 1))
    return tuple(sorted({round(axis.low + (axis.high - axis.low) * (i / (GRID - 1)) ** 2) for i in range(GRID)}))


def _combinations(options: Mapping[str, Sequence[Value]]) -> Iterator[dict[str, Value]]:
    """Every combination of the options, or `LIMIT` random ones where there are more."""
    if math.prod(len(values) for values in options.values()) <= LIMIT:
        return (dict(zip(options, values, strict=True)) for values in itertools.product(*options.values()))
    return itertools.islice(_shuffled(options), LIMIT)


def _shuffled(options: Mapping[str, Sequence[Value]]) -> Iterator[dict[str, Value]]:
    chance = random.Random(0)
    while True:
        yield {name: chance.choice(values) for name, values in options.items()}
