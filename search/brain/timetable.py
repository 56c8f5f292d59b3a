"""Which of the things that could be done next still leave time for what must follow.

A search job is worth its time when at least one of its trials can climb to the step that finalists are chosen at, and the finals of
the curve that it may lead to end in time. Nothing is ever closed: the question is asked anew for every job, so a search that made way
for its finals goes on when these are quicker than thought.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ...spaces.records import Split, Trial
from . import finals
from .schedule import PlannedJob, Situation
from .time_left import NOTHING, Estimate, TimeLeft, Work

BOTH: tuple[Split, ...] = ("validation", "test")
FINALS = 0.4
"""Share of a limit that search leaves to the finals where one seed takes no more: beyond it, more trials are worth more than more seeds."""
DOUBT = 2.0
"""What search has to leave over once finals have begun, in multiples of the time that may stay unused..."""
NEW_DOUBT = 5.0
"""...and where it is for new trials: less than that is better spent on those that there are."""


@dataclass(frozen=True)
class Timetable:
    """A study's situation against the time it has left."""

    now: Situation
    time: TimeLeft
    finalists: Sequence[Trial]
    """Of the results so far."""
    due: Sequence[Trial]
    """Finals of these that are neither over nor under way."""
    top: int
    """The highest step that a search trial has reached or is on its way to; 0 before the first job."""
    arrived: int
    """Search trials with a result at the highest step that has any; light ones, whose finals cost nothing, left out."""
    climbing: int = 0
    """Search trials on their way to the top, likewise."""
    launched: int = 0
    """Jobs handed out since the study was built."""
    finishing: bool = False
    """Whether finals have begun: it takes more than a doubt to turn back to the search, and more yet to new trials."""

    @property
    def open(self) -> bool:
        """Whether a single search trial is tried although it is not thought to leave time for what follows.

        That is so before the first job, and while no worker had a second one: the first, full of loading, make what follows look dearer
        than it is, and only another job can tell.
        """
        cold = self.launched <= len(self.time.free) and not self.now.running and self.time.seconds > 10 * self.time.idle
        return cold or (self.top == 0 and self.time.seconds > 0)

    @property
    def scouting(self) -> bool:
        """Whether light trials have set the top and no other is there or on its way.

        Then promotions come before new trials: what never reaches the top is not on the curve, whatever it scored below.
        """
        return bool(self.now.light) and self.top > 0 and not self.arrived and not self.climbing

    def search(self, plan: PlannedJob) -> PlannedJob | None:
        """Return as much of a search job as leaves time for what follows.

        One that goes beyond every step so far is done as a whole or not: its trials alone would be the curve.
        """
        sizes = [len(plan.trials)] if plan.stop > self.top > 0 else _halves(len(plan.trials))
        for size in sizes:
            if self.leaves_time(self.now.heavy(plan.trials[:size]), start=self._start(plan), stop=plan.stop, new=self._is_new(plan)):
                return replace(plan, trials=plan.trials[:size])
        return replace(plan, trials=plan.trials[:1]) if self.open else None

    def worth_starting(self) -> bool:
        """Whether there is time for a new trial at all, be it a light one."""
        light = bool(self.now.light) and not self.now.rushed
        return not self.short or (light and self.leaves_time(0, start=0, stop=self.now.rungs[-1], new=True))

    @property
    def short(self) -> bool:
        """Whether there is no time for a new trial that makes passes of the model."""
        return not (self.open or self.leaves_time(1, start=0, stop=self.now.rungs[0], new=True))

    def worth_filling(self) -> bool:
        """Whether a new trial is wanted merely because time is left."""
        return self.now.rungs[0] < self.top and self._much()

    def leaves_time(self, trials: int, *, start: int, stop: int, new: bool = False) -> bool:
        """Whether so many search trials can be trained from `start` to `stop`, and one of them on to the top, before the finals.

        Light ones, which are not counted, take what the last such jobs did.
        """
        end = self.time.next_free + self._price(trials, stop - start) + self._climb(stop)
        measuring = self._finals_after(self._newcomers(trials, stop), anew=stop > self.top)
        doubt = self.time.idle * (NEW_DOUBT if new else DOUBT) * self.finishing
        return self.time.fits(end.and_at_least(self.time.all_free) + measuring + Estimate(doubt))

    def fill(self, plan: PlannedJob) -> PlannedJob | None:
        """Return as much of a search job as fits when nothing follows it: one that stays below the top changes no curve.

        Of new trials one at a time, and only where much time would stay unused.
        """
        if plan.stop >= self.top or (self._is_new(plan) and not self._much()):
            return None
        return self._cut(replace(plan, trials=plan.trials[:1]) if self._is_new(plan) else plan)

    def final(self, plan: PlannedJob) -> PlannedJob | None:
        """Return as much of a job of finals as fits, shared out among the workers: all that are due, or else one seed of each at a time."""
        together = self.due if self._whole() else [trial for trial in self.due if trial.seed == plan.trials[0].seed]
        share = max(1, math.ceil((len(together) + self._finals_running()) / len(self.time.free)))
        cut = replace(plan, trials=plan.trials[:share])
        return self._cut(cut, late=self.time.late if self._bare(cut) else None)

    def further(self, plan: PlannedJob) -> PlannedJob | None:
        """The same of seeds beyond the planned ones, which count where everyone has them: a round is begun where there is time for all."""
        finals = (trial for trial in self.now.records.trials.values() if trial.purpose == "final")
        begun = any(trial.seed == plan.trials[0].seed for trial in finals)
        return self.final(plan) if begun or self._whole() else None

    def _whole(self) -> bool:
        return self.time.fits(self.time.all_free + self._finals(self.now.heavy(self.due)))

    def _bare(self, plan: PlannedJob) -> bool:
        """Whether a finalist among these has no final yet: without one it is not on the curve."""
        trials = self.now.records.trials
        begun = {trial.finalist for trial in trials.values() if trial.purpose == "final"}
        return any(trial.finalist not in begun for trial in plan.trials)

    def _is_new(self, plan: PlannedJob) -> bool:
        return plan.trials[0].number not in self.now.records.trials

    def _much(self) -> bool:
        return self.time.seconds - self.time.next_free.mean > self.time.idle

    def _cut(self, plan: PlannedJob, *, late: float | None = None) -> PlannedJob | None:
        """As much of a job as is back in time, or where that is nothing, not much later."""
        allowed = late if late is not None else self.time.late if self._much() else 0.0
        for after in (0.0, allowed) if allowed else (0.0,):
            for size in range(len(plan.trials), 0, -1):
                work = Work(self.now.heavy(plan.trials[:size]), plan.stop - self._start(plan), plan.splits)
                if self.time.fits(self.time.next_free + self.time.price(work), after=after):
                    return replace(plan, trials=plan.trials[:size])
        return None

    def _climb(self, stop: int) -> Estimate:
        """A single trial from a step up to the top."""
        total = NOTHING
        for low, high in pairwise(self.now.rungs):
            if stop <= low and high <= self.top:
                total += self._price(1, high - low)
        return total

    def _newcomers(self, trials: int, stop: int) -> int:
        """How many of these the curve may gain.

        None of light ones, whose finals cost nothing. Below the top, one of them that gets there. At it, as many as so far of those that
        arrived. In both cases one more, for luck. Beyond it, where the curve begins anew, those that are finalists now, or as many
        records as numbers in random order set.
        """
        if not trials:
            return 0
        finalists = self.now.heavy(self.finalists)
        if stop > self.top:
            return min(trials, max(finalists, math.ceil(sum(1 / n for n in range(1, trials + 1)))))
        rate = finalists / self.arrived if self.arrived else 1.0
        return math.ceil(rate * ((trials if stop == self.top else 1) + self.climbing)) + 1

    def _finals_after(self, newcomers: int, *, anew: bool) -> Estimate:
        """The finals of the curve with so many newcomers, under as many seeds as take no more than `FINALS` of the limit, at least one.

        A curve that begins anew has no others.
        """
        seeds = finals.fresh_seeds(self.now.space)
        for n in range(len(seeds), 0, -1):
            due = 0 if anew else self.now.heavy(trial for trial in self.due if trial.seed in seeds[:n])
            time = self._finals(due + n * newcomers)
            if n == 1 or time.mean <= FINALS * self.time.total:
                return time
        return NOTHING

    def _finals(self, trials: int) -> Estimate:
        if not trials:
            return NOTHING
        workers = len(self.time.free)
        size = min(self.now.pack, math.ceil(trials / workers))
        return self._price(size, self.now.rungs[-1], BOTH).times(math.ceil(trials / (size * workers)))

    def _price(self, trials: int, steps: int, splits: tuple[Split, ...] = ("validation",)) -> Estimate:
        return self.time.price(Work(trials, steps, splits))

    def _start(self, plan: PlannedJob) -> int:
        trial = plan.trials[0]
        return self.now.records.step(trial.number)

    def _finals_running(self) -> int:
        return sum(self.now.records.trials[number].purpose == "final" for number in self.now.running)


def _halves(size: int) -> list[int]:
    """8, 4, 2, 1."""
    sizes = []
    while size:
        sizes.append(size)
        size //= 2
    return sizes
