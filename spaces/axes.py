"""Axes of a search space: frozen values that say what a hyperparameter may be, and nothing about samplers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = int | float | str | bool
Hyperparameters = Mapping[str, Value]


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included; uniform in the logarithm when `log`."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def contains(self, value: Value) -> bool:
        """Whether `value` is a whole number inside the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def corners(self) -> tuple[Value, ...]:
        """The ends of the axis."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Float:
    """Real numbers from `low` to `high`; uniform in the logarithm when `log`."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def contains(self, value: Value) -> bool:
        """Whether `value` is a number inside the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def corners(self) -> tuple[Value, ...]:
        """The ends of the axis."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of `options`, in no order."""

    options: tuple[Value, ...]
    also: tuple[Value, ...] | None = field(default=(), compare=False)
    """What a space may give beside them, though it is not tried unless a space does; None: any value of their kind."""
    quiet: bool = field(default=False, compare=False)
    """Left out of a space that does not give it: one of the many settings of another library, at that library's default."""

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError(f"a choice needs at least one option, got {self.options!r}")

    def contains(self, value: Value) -> bool:
        """Whether `value` is one of the options (`True` is not `1`)."""
        return any(value == option and isinstance(value, bool) == isinstance(option, bool) for option in self.options)

    def corners(self) -> tuple[Value, ...]:
        """Every option, since a choice has no order."""
        return self.options


Axis = Int | Float | Choice


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not low <= high:
        raise ValueError(f"the range [{low}, {high}] is empty: write the smaller number first")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must start above 0, got [{low}, {high}]")
