"""How long a run will still take, as a person is shown it: by what jobs cost and by what is still to be done, and without leaps."""

import math

from ...spaces.records import Split
from ...spaces.space import Space
from ..brain.promotion import ratios
from ..brain.study import Study
from ..brain.time_left import Work
from .timekeeper import Timekeeper

DAMPING = 15.0
"""Seconds in which what is shown covers two thirds of the way to a new estimate."""
PRIOR = 8.0
"""Trials' worth of belief that one in eta goes on from a rung, before a search shows how many do."""
BOTH: tuple[Split, ...] = ("validation", "test")


class Countdown:
    """The time left of one command."""

    def __init__(self, study: Study, *, space: Space, pack: int, time: Timekeeper) -> None:
        self._study, self._space, self._time = study, space, time
        self._pack = max(1, min(pack, math.ceil(space.trials / 4)))
        self._final_pack = max(1, pack)
        self._shown: tuple[float, float] | None = None  # seconds left, and when that was said

    def seconds(self) -> float | None:
        """Return the seconds left; None while there is nothing to go by. Each call is taken for a look at the clock."""
        limit, now = self._time.limit, self._time.elapsed
        most = math.inf if limit is None else max(0.0, limit.seconds - now)
        if limit is not None and limit.spend:
            return 0.0 if self._study.finished else most
        if not self._time.costs.known:
            return None if math.isinf(most) else most
        self._shown = (self._damped(self._estimate(), now), now)
        return min(self._shown[0], most)

    def _damped(self, estimate: float, now: float) -> float:
        if self._shown is None or not estimate:
            return estimate
        shown, then = self._shown
        ticked = max(0.0, shown - (now - then))
        return ticked + (estimate - ticked) * (1 - math.exp((then - now) / DAMPING))

    def _estimate(self) -> float:
        """All work that is left, spread over the workers; but no less than the longest job under way."""
        if self._study.finished:
            return 0.0
        free = [one.mean for one in self._time.free()]
        ahead = self._finals_ahead() + (0.0 if self._study.finishing else self._search_ahead())
        return max(*free, (sum(free) + ahead) / len(free))

    def _search_ahead(self) -> float:
        """Work of the trials that have not come to a rung yet and are expected there, of as many as have gone on so far."""
        total, before, expected = 0.0, 0, float(self._space.trials)
        for step, eta in ratios(self._study.rungs).items():
            here = self._study.arrived[step] + self._under_way(step)
            expected = max(here, expected)
            total += (expected - here) * self._each(step - before, self._pack)
            expected *= (self._following(step) + PRIOR / eta) / (self._study.arrived[step] + PRIOR)
            before = step
        return total

    def _following(self, step: int) -> int:
        """Trials that have gone on from a rung."""
        later = [rung for rung in self._study.rungs if rung > step]
        return self._study.arrived[later[0]] + self._under_way(later[0]) if later else 0

    def _finals_ahead(self) -> float:
        if self._study.finishing:
            return self._study.coming * self._each(self._study.rungs[-1], self._final_pack, BOTH)
        last = self._study.arrived[self._study.rungs[-1]]
        expected = max(len(self._study.finalists) if last else 0, round(math.log(max(1, last, self._space.trials // 5)) + 1))
        return expected * self._space.finalists * self._each(self._study.rungs[-1], self._final_pack, BOTH)

    def _each(self, steps: int, pack: int, splits: tuple[Split, ...] = ("validation",)) -> float:
        return self._time.costs.price(Work(pack, steps, splits)).mean / pack

    def _under_way(self, stop: int) -> int:
        jobs = [flight.job for flight, _ in self._time.flights if flight.job.stop == stop]
        return sum(len(job.assignments) for job in jobs if job.assignments[0].trial.purpose == "search")
