"""What may be proposed: feasible methods with narrowed axes, and uniform draws from them that never leave the budget."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ...spaces.records import Trial
from .feasibility import Feasibility

TRIES = 100  # rejections before a draw is pulled towards the method's smallest configuration
ENUMERABLE = 20_000  # a finite space up to this size is searched for what has not been tried yet


class Configured(Protocol):
    """Anything with hyperparameters: a trial or a proposal."""

    @property
    def method(self) -> str:
        """Name of the method, or of a composition."""

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Its values."""


def configuration(one: Configured) -> tuple[object, ...]:
    """Equal for trials that differ in nothing but their seed."""
    return (one.method, tuple(sorted(one.hyperparameters.items())))


@dataclass(frozen=True)
class Proposal:
    """A configuration that somebody suggests to try."""

    method: str
    hyperparameters: Hyperparameters
    seed: int

    @classmethod
    def of(cls, trial: Trial) -> "Proposal":
        """Return what a trial tries."""
        return cls(trial.method, trial.hyperparameters, trial.seed)

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two proposals that would train the same thing."""
        return (*configuration(self), self.seed)


Accept = Callable[[Proposal], bool]
"""Whether a proposal is under the budget and new."""


@dataclass(frozen=True)
class SearchSpace:
    """Feasibility methods and the seeds `0 .. seeds-1`."""

    methods: Mapping[str, Feasibility]
    seeds: int

    @property
    def light(self) -> frozenset[str]:
        """The methods whose trials make no passes of the model."""
        return frozenset(name for name, judged in self.methods.items() if judged.light)

    @property
    def heavy(self) -> "SearchSpace":
        """The same without these."""
        return SearchSpace({name: judged for name, judged in self.methods.items() if not judged.light}, self.seeds)

    def axes(self, method: str) -> Mapping[str, Axis]:
        """Hyperparameter -> its axis, narrowed to the budget."""
        return self.methods[method].axes

    def tried(self, trial: Trial) -> Proposal:
        """Return what a trial tries, in today's hyperparameters: those that it was begun before have the default it was trained with."""
        judged = self.methods.get(trial.method)
        if judged is None or judged.axes.keys() <= trial.hyperparameters.keys():
            return Proposal.of(trial)
        missing = {name: judged.defaults[name] for name in judged.axes if name in judged.defaults}
        return Proposal(trial.method, {**missing, **trial.hyperparameters}, trial.seed)

    def contains(self, proposal: Proposal) -> bool:
        """Whether every value lies on its (narrowed) axis; False for a method that is not here."""
        judged = self.methods.get(proposal.method)
        return (
            judged is not None
            and judged.axes.keys() == proposal.hyperparameters.keys()
            and 0 <= proposal.seed < self.seeds
            and all(axis.contains(proposal.hyperparameters[name]) for name, axis in judged.axes.items())
        )

    def draw(self, *, accept: Accept, chance: random.Random, first: str | None = None) -> Proposal | None:
        """Return a random acceptable proposal, of the method `first` where it still has one; None when all has been tried."""
        others = [method for method in self.methods if method != first]
        chance.shuffle(others)
        for method in [first, *others] if first else others:
            found = self._draw(method, accept=accept, chance=chance)
            if found:
                return found
        return None

    def _draw(self, method: str, *, accept: Accept, chance: random.Random) -> Proposal | None:
        attempts = itertools.chain(self._uniform(method, chance), self._pulled(method, chance), self._all(method, chance))
        return next((proposal for proposal in attempts if accept(proposal)), None)

    def _uniform(self, method: str, chance: random.Random) -> Iterator[Proposal]:
        for _ in range(TRIES):
            values = {name: _pick(axis, chance) for name, axis in self.axes(method).items()}
            yield Proposal(method, values, chance.randrange(self.seeds))

    def _pulled(self, method: str, chance: random.Random) -> Iterator[Proposal]:
        """Draws whose values are exchanged for those of the smallest configuration one by one, until they fit."""
        floor = self.methods[method].floor
        for start in self._uniform(method, chance):
            values = dict(start.hyperparameters)
            for name in chance.sample(list(values), len(values)):
                values[name] = floor[name]
                yield Proposal(method, dict(values), start.seed)

    def _all(self, method: str, chance: random.Random) -> Iterator[Proposal]:
        """Every configuration of a small finite space, in random order."""
        axes = self.axes(method)
        if math.prod(_size(axis) for axis in axes.values()) * self.seeds > ENUMERABLE:
            return iter(())
        everything = list(itertools.product(range(self.seeds), *(_members(axis) for axis in axes.values())))
        chance.shuffle(everything)
        return (Proposal(method, dict(zip(axes, values, strict=True)), int(seed)) for seed, *values in everything)


def _pick(axis: Axis, chance: random.Random) -> Value:
    match axis:
        case Choice(options=options):
            return chance.choice(options)
        case Int(low=low, high=high, log=True):
            drawn = math.exp(chance.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(max(round(drawn), low), high)
        case Int(low=low, high=high):
            return chance.randint(low, high)
        case Float(low=low, high=high, log=True):
            return min(max(math.exp(chance.uniform(math.log(low), math.log(high))), low), high)
        case Float(low=low, high=high):
            return chance.uniform(low, high)


def _size(axis: Axis) -> float:
    match axis:
        case Choice(options=options):
            return len(options)
        case Int(low=low, high=high):
            return high - low + 1
        case Float(low=low, high=high):
            return 1 if low == high else math.inf


def _members(axis: Axis) -> Sequence[Value]:
    return range(axis.low, axis.high + 1) if isinstance(axis, Int) else axis.corners()[:1] if isinstance(axis, Float) else axis.options
