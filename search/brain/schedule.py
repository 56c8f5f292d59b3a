"""What to hand out next: the order of a study's work, read off what it knows."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...spaces.records import Split, Trial
from ...spaces.space import Space
from . import finals
from .feasibility import Count
from .packing import similar
from .promotion import Ladder
from .proposals import Proposals
from .search_space import Proposal
from .trial_records import TrialRecords


@dataclass(frozen=True)
class PlannedJob:
    """Trials to be trained together up to `stop`, the new ones among them already numbered."""

    trials: tuple[Trial, ...]
    stop: int
    splits: tuple[Split, ...] = ("validation",)


@dataclass(frozen=True)
class Situation:
    """What the planner cannot read off the records."""

    lost: Mapping[int, int]
    """Search trials whose job came to nothing -> the step they were on their way to."""
    running: Collection[int]
    pack: int
    """Largest number of trials in a job."""
    closed: bool
    """Whether the search is over and only the finals remain."""


class Schedule:
    """Chooses the next pack. It changes nothing but the queue of proposals, which it refills."""

    def __init__(self, *, space: Space, memory: TrialRecords, ladder: Ladder, proposals: Proposals, count: Count) -> None:
        self._space, self._memory, self._ladder, self._proposals, self._count = space, memory, ladder, proposals, count
        self._rungs = tuple(sorted(ladder))
        self._finalists: tuple[int, list[Trial]] = (-1, [])

    def next(self, now: Situation) -> PlannedJob | None:
        """Return what to do next; None when there is nothing to do before something comes back."""
        for option in (self._lost, self._full, self._new, self._partial):
            plan = None if now.closed else option(now)
            if plan:
                return plan
        return self._finals(now)

    def _lost(self, now: Situation) -> PlannedJob | None:
        for number, stop in now.lost.items():
            step = self._memory.step(number)
            group = [n for n, s in now.lost.items() if s == stop and self._memory.step(n) == step]
            return PlannedJob(self._gather([self._memory.trials[n] for n in group], now.pack), stop)
        return None

    def _full(self, now: Situation) -> PlannedJob | None:
        """Promotions that fill a pack; in the longer rungs, which fewer trials reach, half of those that will ever come suffice."""
        for start, stop in self._climbs():
            ready = self._ladder[start].ready()
            coming = self._space.trials * self._rungs[0] // stop
            if len(ready) >= min(self._share(now), max(1, coming // 2)):
                return self._promotion(ready, stop, now)
        return None

    def _new(self, now: Situation) -> PlannedJob | None:
        n = min(self._share(now), self._space.trials - self._memory.searched)
        if n <= 0:
            return None
        queue = self._proposals.upcoming(n, tried=self._memory.identities, busy=lambda: self._busy(now))
        trials = self._numbered([self._trial(proposal) for proposal in similar(queue, size=n)])
        return PlannedJob(trials, self._rungs[0]) if trials else None

    def _partial(self, now: Situation) -> PlannedJob | None:
        for start, stop in self._climbs():
            self._ladder[start].review()
            ready = self._ladder[start].ready()
            if ready:
                return self._promotion(ready, stop, now)
        return None

    def _finals(self, now: Situation) -> PlannedJob | None:
        trials = self._memory.trials
        if any(trials[number].purpose == "search" for number in now.running):
            return None
        seeds = finals.fresh_seeds(self._space)
        known = trials.values()
        due = [trial for trial in finals.wanted(self._chosen(), known=known, seeds=seeds) if not self._over(trial, now)]
        if not due:
            return None
        return PlannedJob(self._numbered(self._gather(due, now.pack)), self._rungs[-1], ("validation", "test"))

    def _climbs(self) -> Iterator[tuple[int, int]]:
        """Rung and next rung, from the longest down."""
        return zip(self._rungs[-2::-1], self._rungs[:0:-1], strict=True)

    def _promotion(self, ready: Sequence[int], stop: int, now: Situation) -> PlannedJob:
        return PlannedJob(tuple(similar([self._memory.trials[n] for n in ready], size=self._share(now))), stop)

    def _share(self, now: Situation) -> int:
        """The size of a pack, but at most a quarter of a short search, which could not learn from itself otherwise."""
        return max(1, min(now.pack, math.ceil(self._space.trials / 4)))

    def _gather(self, trials: Sequence[Trial], pack: int) -> tuple[Trial, ...]:
        """The first trial and others like it.

        What has come to nothing before goes in smaller packs, at last alone, so that one bad trial does not take others
        with it three times.
        """
        strikes = self._memory.strikes[trials[0].number]
        alike = [trial for trial in trials if self._memory.strikes[trial.number] == strikes]
        return tuple(similar(alike, size=(pack, max(1, pack // 4))[strikes] if strikes < 2 else 1))

    def _busy(self, now: Situation) -> list[Trial]:
        """Search trials that the sampler should keep away from although they have no result to show for it."""
        under_way = [self._memory.trials[number] for number in sorted({*now.running, *now.lost})]
        return [*self._memory.failures(), *(trial for trial in under_way if trial.purpose == "search")]

    def _chosen(self) -> list[Trial]:
        results = self._memory.searched_results
        if self._finalists[0] != len(results):
            self._finalists = (len(results), finals.finalists(self._memory.trials, results))
        return self._finalists[1]

    def _over(self, trial: Trial, now: Situation) -> bool:
        """Whether a final trial needs no (further) job."""
        scored = all(self._memory.has(trial.number, self._rungs[-1], split) for split in ("validation", "test"))
        return scored or trial.number in now.running or trial.number in self._memory.failed

    def _trial(self, proposal: Proposal) -> Trial:
        parameters = self._count(proposal.method, proposal.hyperparameters)
        return Trial(finals.UNNUMBERED, proposal.method, proposal.hyperparameters, proposal.seed, parameters)

    def _numbered(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        numbers = iter(range(self._memory.next_number, self._memory.next_number + len(trials)))
        return tuple(replace(t, number=next(numbers)) if t.number == finals.UNNUMBERED else t for t in trials)
