"""What a study is told of time, since it has no clock of its own: how long is left, when workers are free, and what a job costs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ...spaces.records import Split

IDLE = 0.05
"""Share of a limit that may stay unused where no job fits into it."""
HIGH = 2.0
"""Standard deviations between what is expected and what is hardly ever passed."""


@dataclass(frozen=True)
class Work:
    """What a job's cost depends on, as far as a study knows it."""

    trials: int
    """Those that make passes of the model; without any, a job costs what the last such jobs did."""
    steps: int
    """Of each trial."""
    splits: tuple[Split, ...] = ("validation",)


@dataclass(frozen=True)
class Estimate:
    """Seconds that something takes: what is expected, and two standard deviations.

    What jobs have in common, how well their costs are known, is off for all of them alike and adds up; what is a job's own evens out.
    """

    mean: float
    common: float = 0.0
    own: float = 0.0

    @property
    def high(self) -> float:
        """What is hardly ever passed."""
        return self.mean + HIGH * math.hypot(self.common, self.own)

    def __add__(self, other: "Estimate") -> "Estimate":
        """One after the other."""
        return Estimate(self.mean + other.mean, self.common + other.common, math.hypot(self.own, other.own))

    def times(self, n: int) -> "Estimate":
        """The same `n` times in a row."""
        return Estimate(self.mean * n, self.common * n, self.own * math.sqrt(n))

    def and_at_least(self, other: "Estimate") -> "Estimate":
        """Both side by side, each as uncertain as the more uncertain one."""
        return Estimate(max(self.mean, other.mean), max(self.common, other.common), max(self.own, other.own))


NOTHING = Estimate(0.0)


@dataclass(frozen=True)
class TimeLeft:
    """The time that a study has from now on."""

    seconds: float
    """Until the last job should be back; negative when that has passed."""
    total: float
    """The whole limit."""
    late: float
    """How much later the last job may be expected where much would stay unused otherwise."""
    latest: float
    """How much later it may be when all goes badly."""
    free: tuple[Estimate, ...]
    """For every worker, when it will be free; at least one worker."""
    price: Callable[[Work], Estimate]
    """What a job takes on a worker that is ready."""
    spend: bool = True
    """Whether time left over by the space's own plan is spent: on more trials than it asks for, and on more seeds."""

    @property
    def idle(self) -> float:
        """So much may stay unused."""
        return IDLE * self.total

    def rushed(self, steps: int) -> bool:
        """Whether a trial of so many steps, or a job of light ones, takes more than half of what is left."""
        return max(self.price(Work(trials, steps)).mean for trials in (0, 1)) > self.seconds / 2

    def fits(self, end: Estimate, *, after: float = 0.0) -> bool:
        """Whether what ends then is in time, or is expected so much after it."""
        return end.mean <= self.seconds + after and end.high <= self.seconds + self.latest

    @property
    def next_free(self) -> Estimate:
        """When the first worker is free."""
        return min(self.free, key=lambda one: one.mean)

    @property
    def all_free(self) -> Estimate:
        """When every worker is free."""
        end = NOTHING
        for one in self.free:
            end = end.and_at_least(one)
        return end
