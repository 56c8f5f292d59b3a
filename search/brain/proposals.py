"""New configurations for a study, in batches: the opening, a first share at random over every method, then what the sampler suggests."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence

from ...spaces.errors import WrongInput
from ...spaces.records import Result, Trial
from ...spaces.space import Objective, Space
from . import sampler
from .feasibility import Count
from .finals import UNNUMBERED
from .opening import opening
from .packing import similar
from .sampler import Direction, Observation
from .sampler_history import SamplerHistory
from .search_space import Accept, Proposal, SearchSpace

STARTUP = 4  # one trial in so many is drawn at random, before the sampler has anything to learn from
STARTUP_LIMIT = 32  # but never more than this, however long the search
ENOUGH = 12  # results at a step before it is the one that is modelled
BATCH = 64  # the largest batch; a batch is at most an eighth of the trials so far, so that it is not stale
LIGHT = 4  # one trial in so many may be a light one: they are so quick, and soon so good, that a sampler would propose little else
PENDING = 64  # trials without a result, the latest ones, that the sampler is told to keep away from


class Proposals:
    """A queue of configurations to try, refilled from what is known whenever it runs short."""

    def __init__(self, *, space: Space, search_space: SearchSpace, budget: int, count: Count, seed: int, steps: Iterable[int]) -> None:
        self._space, self._search_space, self._budget, self._count, self._seed = space, search_space, budget, count, seed
        self._history = {step: SamplerHistory() for step in steps}
        self._known: Counter[int] = Counter()
        self._heavy, self._light = search_space.heavy, search_space.light
        begin = opening(search_space, count=count, budget=budget, light=max(1, space.trials // LIGHT))
        self._opening = {one.identity: one for one in begin if self._fits(one)}
        self._queue: list[Proposal] = []
        self.exhausted = False
        """Whether everything in the space has been tried."""

    def opening_left(self, tried: set[tuple[object, ...]], *, heavy: bool = False) -> list[Proposal]:
        """What of the opening was not tried; nothing for a study that began without it, which has tried others and none of these.

        With `heavy`, light ones are left out.
        """
        left = [one for identity, one in self._opening.items() if identity not in tried]
        return [] if tried and len(left) == len(self._opening) else self._wanted(left, heavy=heavy)

    def learn(self, trial: Trial, result: Result) -> None:
        """Take note of a search trial's validation result."""
        if self.learns(result.step):
            self._history[result.step].add(trial, result)
            self._known[result.step] += not self._heavy.methods or trial.method in self._heavy.methods

    def learns(self, step: int) -> bool:
        """Whether anything may still follow from results at this step: it is the one that is modelled, or a higher one."""
        modelled = self._modelled()
        return modelled is None or step >= modelled

    def upcoming(self, n: int, *, tried: set[tuple[object, ...]], light: int, busy: Sequence[Trial], heavy: bool = False) -> list[Proposal]:
        """Return what is left of the opening, or then the queue, with at least `n` configurations unless the space is exhausted.

        Where less than `n` is left of the opening, draws of the first random share fill the pack behind it.

        `tried` holds the identities of all trials, `light` of them of light ones; `busy` the trials that are under way, or came to nothing.
        With `heavy`, light ones are left out where there are others.
        """
        heavy = heavy and bool(self._heavy.methods)
        if left := self.opening_left(tried, heavy=heavy):
            return self._wanted([*left, *self._behind(left, n - len(left), tried=tried, light=light, busy=busy)], heavy=heavy)
        while (missing := n - len(self._wanted(self._queue, heavy=heavy))) > 0 and not self.exhausted:
            more = self._refill(missing, tried=tried, light=light, busy=busy, heavy=heavy)
            self._queue += more
            self.exhausted = not (more or heavy)
            if not more:
                break
        return self._wanted(self._queue, heavy=heavy)

    def _wanted(self, proposals: Iterable[Proposal], *, heavy: bool) -> list[Proposal]:
        """All, or those that make passes of the model."""
        return [one for one in proposals if not (heavy and one.method in self._light)]

    def _behind(
        self, left: Sequence[Proposal], n: int, *, tried: set[tuple[object, ...]], light: int, busy: Sequence[Trial]
    ) -> list[Proposal]:
        """Up to `n` of the draws that come once the opening is over, those most like the last of what is `left` of it."""
        known = tried | {one.identity for one in left}
        if n > 0 and self._startup() > len(known) + len(self._queue):
            light += sum(one.method in self._light for one in left)
            self._queue += self._refill(n, tried=known, light=light, busy=busy)
        return similar([left[-1], *self._queue], size=max(0, n) + 1)[1:]

    def remove(self, taken: Iterable[Trial]) -> None:
        """Take proposals that became trials off the queue."""
        gone = {Proposal.of(trial).identity for trial in taken}
        self._queue = [proposal for proposal in self._queue if proposal.identity not in gone]

    def trial(self, proposal: Proposal) -> Trial:
        """Return the trial, not yet numbered, that tries a proposal."""
        parameters = self._count(proposal.method, proposal.hyperparameters)
        return Trial(UNNUMBERED, proposal.method, proposal.hyperparameters, proposal.seed, parameters)

    def _refill(self, n: int, *, tried: set[tuple[object, ...]], light: int, busy: Sequence[Trial], heavy: bool = False) -> list[Proposal]:
        queued = {proposal.identity for proposal in self._queue}
        position = len(tried) + len(queued)
        seed = random.Random(f"{self._seed}/{position}").getrandbits(63)

        def fresh(proposal: Proposal) -> bool:
            return proposal.identity not in queued and proposal.identity not in tried and self._fits(proposal)

        light += sum(proposal.method in self._light for proposal in self._queue)
        enough = bool(self._heavy.methods) and LIGHT * light >= position
        spaces = (self._heavy,) if heavy else (self._heavy, self._search_space) if enough else (self._search_space,)
        found = (self._more(n, space, accept=fresh, position=position, seed=seed, tried=len(tried), busy=busy) for space in spaces)
        return next((more for more in found if more), [])

    def _more(
        self, n: int, space: SearchSpace, *, accept: Accept, position: int, seed: int, tried: int, busy: Sequence[Trial]
    ) -> list[Proposal]:
        step, missing = self._modelled(), self._startup() - position
        if missing > 0 or step is None:
            return _random(space, missing if missing > 0 else n, position=position, accept=accept, seed=seed)
        size = max(n, min(BATCH, tried // 8))
        observations = self._observations(step, busy)
        return sampler.propose(space, observations, directions=self._directions(), accept=accept, seed=seed, n=size)

    def _startup(self) -> int:
        share = min(math.ceil(self._space.trials / STARTUP), STARTUP_LIMIT)
        return min(max(share, len(self._search_space.methods)), self._space.trials)

    def _modelled(self) -> int | None:
        """The highest step with enough results, light ones among others not counted; fidelities are never mixed."""
        return max((step for step, known in self._known.items() if known >= ENOUGH), default=None)

    def _observations(self, step: int, busy: Iterable[Trial]) -> list[Observation]:
        history = self._history[step]
        known = [Observation(self._search_space.tried(trial), self._values(trial, result)) for trial, result in history.chosen()]
        pending = [*(self._search_space.tried(trial) for trial in busy if trial.number not in history), *self._queue]
        return [*known, *(Observation(proposal, None) for proposal in pending[-PENDING:])]

    def _values(self, trial: Trial, result: Result) -> tuple[float, ...]:
        return tuple(_value(objective, trial, result) for objective in self._space.objectives)

    def _directions(self) -> list[Direction]:
        return ["maximize" if objective == "score" else "minimize" for objective in self._space.objectives]

    def _fits(self, proposal: Proposal) -> bool:
        try:
            return self._count(proposal.method, proposal.hyperparameters) <= self._budget
        except WrongInput:
            return False


def _value(objective: Objective, trial: Trial, result: Result) -> float:
    if objective == "score":
        return result.score
    return math.log(max(1, trial.parameters if objective == "parameters" else result.bytes))


def _random(space: SearchSpace, n: int, *, position: int, accept: Accept, seed: int) -> list[Proposal]:
    """Random draws that take the methods in turn."""
    chance, methods = random.Random(seed), list(space.methods)
    found: dict[tuple[object, ...], Proposal] = {}
    for i in range(position, position + n):
        first = methods[i % len(methods)]
        one = space.draw(accept=lambda p: p.identity not in found and accept(p), chance=chance, first=first)
        if one is None:
            break
        found[one.identity] = one
    return list(found.values())
