"""What can be handed out next: for each kind of work the pack that it would make, read off what a study knows.

`Study` asks for one kind after the other. Nothing here changes anything.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...spaces.records import Split, Trial
from ...spaces.space import Space
from . import finals
from .pack_limits import PackLimits
from .packing import similar
from .promotion import Ladder
from .search_space import Configured, Proposal
from .trial_records import TrialRecords

SCOUTS = 2
"""How many trials go ahead of all others to the last rung where only light ones have been there."""
ALONE = 2
"""Attempts that came to nothing, after which a trial is tried alone."""


@dataclass(frozen=True)
class PlannedJob:
    """Trials to be trained together up to `stop`, the new ones among them already numbered."""

    trials: tuple[Trial, ...]
    stop: int
    splits: tuple[Split, ...] = ("validation",)


@dataclass(frozen=True)
class Situation:
    """What a study knows when it asks what to do next."""

    space: Space
    records: TrialRecords
    ladder: Ladder
    lost: Mapping[int, int]
    """Search trials whose job came to nothing -> the step they were on their way to."""
    running: Collection[int]
    pack: int
    """Largest number of trials in a job."""
    wanted: int
    """Search trials that are to be tried in all: those that the space plans, or more."""
    limits: PackLimits
    """Of what methods fewer than `pack` fit into memory together."""
    light: frozenset[str] = frozenset()
    """Methods whose trials make no passes of the model."""
    rushed: bool = False
    """Whether time is too short for what light trials start from, the frozen model's states of the training rows."""
    short: bool = False
    """Whether time is too short for new trials that make passes of the model."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """The steps at which trials are compared, ascending."""
        return tuple(self.ladder)

    @property
    def share(self) -> int:
        """The size of a pack, but at most a quarter of a short search, which could not learn from itself otherwise."""
        return max(1, min(self.pack, math.ceil(self.space.trials / 4)))

    @property
    def missing(self) -> int:
        """How many new trials the next pack should have, 0 when no more are wanted."""
        return max(0, min(self.share, self.wanted - self.records.search_trials))

    @property
    def planned(self) -> bool:
        """Whether all trials that the space plans were handed out: what follows is beyond the plan."""
        return self.records.search_trials >= self.space.trials

    def heavy(self, trials: Iterable[Configured]) -> int:
        """How many of these make passes of the model, which is what a job costs by."""
        return sum(one.method not in self.light for one in trials)

    def busy(self) -> list[Trial]:
        """Return the search trials that the sampler should keep away from although they have no result to show for it."""
        under_way = [self.records.trials[number] for number in sorted({*self.running, *self.lost})]
        return [*self.records.failures(), *(trial for trial in under_way if trial.purpose == "search")]


def lost_trials(now: Situation, *, often: bool) -> PlannedJob | None:
    """Trials whose job was lost, and were on the same way: those that were lost often, which go alone, or the others."""
    lost = {number: stop for number, stop in now.lost.items() if (now.records.attempts[number] >= ALONE) == often}
    for number, stop in lost.items():
        step = now.records.step(number)
        group = [n for n, s in lost.items() if s == stop and now.records.step(n) == step]
        return PlannedJob(_together([now.records.trials[n] for n in group], now), stop)
    return None


def full_promotion(now: Situation) -> PlannedJob | None:
    """Promotions that fill a pack; in the longer rungs, which fewer trials reach, half of those that will ever come suffice."""
    for start, stop in _promotions(now):
        ready = now.ladder[start].ready()
        coming = max(now.space.trials, now.records.search_trials) * now.rungs[0] // stop
        if len(ready) >= min(now.share, max(1, coming // 2)):
            return _promotion(ready, stop, now)
    return None


def next_proposals(queue: Sequence[Proposal], now: Situation) -> list[Proposal]:
    """Those of a queue that the next job of new trials tries: the first, and of its kind, light or not, those most like it.

    None where there is time for light ones alone and the queue holds none.
    """
    kinds = [[one for one in queue if (one.method in now.light) == light] for light in (True, False)]
    first = kinds[1] if now.rushed or not queue or queue[0].method not in now.light else kinds[0]
    return similar(kinds[0] if now.short else first or kinds[0], size=now.missing)


def new_trials(chosen: Sequence[Trial], now: Situation) -> PlannedJob | None:
    """Trials that nobody has tried: up to the first rung, or where they are light all the way.

    A step of theirs is no step of the others, with which they are compared at the last rung alone.
    """
    if not chosen:
        return None
    stop = now.rungs[0] if now.heavy(chosen) else now.rungs[-1]
    return PlannedJob(now.records.numbered(now.limits.fitting(chosen)), stop)


def scouts(now: Situation) -> PlannedJob | None:
    """The most urgent promotions, so few that they are soon at the next rung."""
    return next((_promotion(ready, stop, now) for start, stop in _promotions(now) if (ready := now.ladder[start].ready()[:SCOUTS])), None)


def promotions(now: Situation) -> Iterator[PlannedJob]:
    """Promotions, however few, from the longest rung down."""
    for start, stop in _promotions(now):
        ready = now.ladder[start].ready()
        if ready:
            yield _promotion(ready, stop, now)


def due_finals(finalists: Sequence[Trial], now: Situation, *, seeds: tuple[int, ...], whole: bool = False) -> list[Trial]:
    """Return the finalists under these seeds, as far as they are neither scored, under way nor failed.

    `whole`: of those alone of whose finals none failed, for the others are not ranked, however many they have.
    """
    failed = {now.records.trials[number].finalist for number in now.records.failed} if whole else ()
    finalists = [one for one in finalists if one.number not in failed]
    wanted = finals.wanted(finalists, known=now.records.trials.values(), seeds=seeds)
    return [trial for trial in wanted if not _is_over(trial, now)]


def final_trials(due: Sequence[Trial], now: Situation) -> PlannedJob | None:
    """Finals from scratch, those most alike together, measured on the test split, too."""
    return _finals(_together(due, now), now) if due else None


def seed_by_seed(due: Sequence[Trial], now: Situation) -> PlannedJob | None:
    """The same in the order of their seeds: when time runs out, no finalist is left without a final while another has two."""
    ordered = sorted(due, key=lambda trial: trial.seed)
    return _finals(_alike(ordered, now)[: _size(ordered[0], now)], now) if due else None


def _finals(trials: Sequence[Trial], now: Situation) -> PlannedJob:
    return PlannedJob(now.records.numbered(now.limits.fitting(trials)), now.rungs[-1], ("validation", "test"))


def _promotions(now: Situation) -> Iterator[tuple[int, int]]:
    """Rung and next rung, from the longest down."""
    return zip(now.rungs[-2::-1], now.rungs[:0:-1], strict=True)


def _promotion(ready: Sequence[int], stop: int, now: Situation) -> PlannedJob:
    together = similar([now.records.trials[n] for n in ready], size=now.share)
    return PlannedJob(tuple(now.limits.fitting(together)), stop)


def _together(trials: Sequence[Trial], now: Situation) -> tuple[Trial, ...]:
    """The first trial and others like it.

    What has come to nothing before goes in smaller packs, at last alone: so one bad trial does not take others with it again and
    again, and what happens to it then is held against nobody else.
    """
    return tuple(now.limits.fitting(similar(_alike(trials, now), size=_size(trials[0], now))))


def first_fitting(jobs: Iterable[PlannedJob | None], fit: Callable[[PlannedJob], PlannedJob | None]) -> PlannedJob | None:
    """The first job, or part of one, that `fit` lets through."""
    return next((fitting for job in jobs if job and (fitting := fit(job))), None)


def _alike(trials: Sequence[Trial], now: Situation) -> list[Trial]:
    """Those that have come to nothing as often as the first."""
    attempts = now.records.attempts
    return [trial for trial in trials if attempts[trial.number] == attempts[trials[0].number]]


def _size(trial: Trial, now: Situation) -> int:
    before = now.records.attempts[trial.number]
    return (now.pack, max(1, now.pack // 4))[before] if before < ALONE else 1


def _is_over(trial: Trial, now: Situation) -> bool:
    """Whether a final trial needs no (further) job."""
    scored = all(now.records.has(trial.number, now.rungs[-1], split) for split in ("validation", "test"))
    return scored or trial.number in now.running or trial.number in now.records.failed
