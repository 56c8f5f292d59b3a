"""A run's clock: what is under way since when, what jobs cost, and how much time is left.

`--time` is a promise in both directions: at least nine tenths of it are used, and at most `GRACE` seconds more. A job cannot be cut
short, so both are kept by what is handed out.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...dashboards.words import duration
from ...spaces.records import Job, Outcome
from ..brain.time_left import NOTHING, Estimate, TimeLeft, Work
from .job_costs import JobCosts

GRACE = 30.0
"""Seconds that a run may go on after its time."""
LATE = 10.0
"""Seconds after its time up to which a job may be planned that makes use of a remainder too short for any other."""
FITTING = Estimate(6.0, own=3.0)
"""What references take beyond scoring: the states of the training rows, and a probe's fits."""


@dataclass(frozen=True)
class Limit:
    """A command's time limit."""

    seconds: float
    """Since the command began."""
    ending: float = 0.0
    """Of these, what is kept for after the last job: the export, the pages, MLflow's last runs."""
    spend: bool = True
    """Whether what is left when the space's plan is done is spent on more; False: the time is an upper bound only."""

    def said(self, *, trials: int) -> str:
        """Return what is promised, for a space that plans so many trials."""
        latest = duration(self.seconds + GRACE)
        if not self.spend:
            return f"over by {latest} at the latest, sooner when its {trials} trials and their finals are done"
        return (
            f"over between {duration(0.9 * self.seconds)} and {latest}: the {trials} trials of the space are a plan, and what fits is tried"
        )


@dataclass(frozen=True)
class Flight:
    """A job under way."""

    job: Job
    since: float
    cold: bool
    """Whether its worker had to start first."""
    light: Collection[str] = ()
    """Methods whose trials make no passes of the model."""

    @property
    def work(self) -> Work:
        """What it costs by; references cost the scoring of both splits, each."""
        if self.job.references:
            return Work(len(self.job.references), 0, ("validation", "test"))
        start = self.job.assignments[0].start
        heavy = sum(assignment.trial.method not in self.light for assignment in self.job.assignments)
        return Work(heavy, self.job.stop - start, self.job.splits)


class Timekeeper:
    """Follows the jobs of one command. `began` is the clock's time at which it started, `light` the methods that make no passes."""

    def __init__(
        self,
        *,
        costs: JobCosts,
        workers: int,
        limit: Limit | None,
        clock: Callable[[], float],
        began: float | None = None,
        light: Collection[str] = (),
    ) -> None:
        self.costs, self._workers, self.limit, self._clock = costs, max(1, workers), limit, clock
        self._began, self._light = clock() if began is None else began, light
        self._flights: dict[int, Flight] = {}
        self._warm = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._began

    @property
    def flights(self) -> list[tuple[Flight, float]]:
        """The jobs under way, and for how many seconds."""
        now = self._clock()
        return [(flight, now - flight.since) for flight in self._flights.values()]

    def launched(self, job: Job) -> None:
        """Note that a job was handed out."""
        busy = sum(not flight.cold for flight in self._flights.values())
        self._flights[job.number] = Flight(job, self._clock(), cold=busy >= self._warm, light=self._light)

    def returned(self, outcome: Outcome) -> None:
        """Note that a job is over. One without any result lost its worker, and says nothing of what jobs cost.

        Nor do references, which are no trial's: but their worker is warm.
        """
        flight = self._flights.pop(outcome.job)
        if outcome.results or outcome.references:
            if outcome.results:
                self.costs.add(flight.work, self._clock() - flight.since, cold=flight.cold)
            self._warm += flight.cold
        elif not flight.cold:
            self._warm -= 1

    def time_left(self) -> TimeLeft | None:
        """Return what a study is to be told; None without a limit."""
        if self.limit is None:
            return None
        seconds = self.limit.seconds - self.limit.ending - self.elapsed
        return TimeLeft(seconds, self.limit.seconds, LATE, GRACE - 2, self.free(), self.costs.price, spend=self.limit.spend)

    def free(self) -> tuple[Estimate, ...]:
        """Return when each worker will be free."""
        busy = [self._until_back(flight, age) for flight, age in self.flights]
        idle = max(0, self._workers - len(busy))
        ready = min(idle, max(0, self._warm - sum(not flight.cold for flight, _ in self.flights)))
        return (*busy, *[NOTHING] * ready, *[self.costs.loading] * (idle - ready))

    def _until_back(self, flight: Flight, age: float) -> Estimate:
        """What is left of a job. One that takes longer than was thought goes on for a tenth of its age."""
        whole = self.costs.price(flight.work, cold=flight.cold) + (FITTING if flight.job.references else NOTHING)
        return Estimate(max(whole.mean - age, age / 10), whole.common, max(whole.own, age / 20))
