"""A search whose jobs take invented times: workers that start cold, differ and vary, and a clock that only the jobs move."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ulpt_search.search.brain.study import Study
from ulpt_search.search.running.job_costs import Expected, JobCosts
from ulpt_search.search.running.timekeeper import Limit, Timekeeper
from ulpt_search.spaces.records import Job, Split
from ulpt_search.spaces.space import Space

from .simulated import Curves, Executor, count, methods_that_fit

ROWS: dict[Split, int] = {"validation": 400, "test": 800}


@dataclass(frozen=True)
class Costs:
    """Seconds: of a job, of a step whatever the pack, of a trial's step, of a row scored, of a worker's start; and how much jobs vary."""

    fixed: float = 0.3
    step: float = 0.0
    trial_step: float = 0.02
    row: float = 0.0002
    cold: float = 5.0
    noise: float = 0.0
    slowest: float = 1.0
    """How many times as long the last worker takes as the first."""

    def of(self, job: Job, *, heavy: int, looked: int, worker: int, workers: int, cold: bool, chance: random.Random) -> float:
        """What a job takes on a worker: for every trial that is not light, and for `looked` training rows that light ones read first."""
        steps, rows = job.stop - job.assignments[0].start, sum(ROWS[split] for split in job.splits)
        work = self.fixed + steps * self.step * bool(heavy) + heavy * (steps * self.trial_step + rows * self.row) + looked * self.row
        slow = math.pow(self.slowest, worker / max(1, workers - 1))
        return (work * slow + self.cold * cold) * chance.lognormvariate(0, self.noise)


@dataclass
class Timed:
    """One run of a study under a limit in seconds. `known`: the speed that was measured before it, as a multiple of the true one.

    Trials of `light` methods make no passes but one, a worker's first job of them over `looked` training rows.
    """

    space: Space
    costs: Costs
    limit: Limit | None
    workers: int = 2
    pack: int = 8
    known: float | None = None
    seed: int = 0
    light: frozenset[str] = frozenset()
    looked: int = 0
    now: float = 0.0
    study: Study = field(init=False)
    time: Timekeeper = field(init=False)
    executor: Executor = field(init=False)

    def __post_init__(self) -> None:
        methods = methods_that_fit(self.space, 10_000)
        methods = {name: replace(judged, light=name in self.light) for name, judged in methods.items()}
        self.study = Study(space=self.space, budget=10_000, count=count, methods=methods, seed=self.seed, pack=self.pack)
        self.executor = Executor(Curves(self.seed))
        rate = self.known / (self.costs.trial_step + self.costs.step / self.pack + 1e-9) if self.known else 0.0
        expected = Expected.of(rate, batch=self.space.training.batch) if rate else Expected()
        costs = JobCosts(ROWS, expected, looked=self.looked)
        self.time = Timekeeper(costs=costs, workers=self.workers, limit=self.limit, clock=lambda: self.now, light=self.light)

    def run(self) -> "Timed":
        """Run it to its end."""
        for _ in self.steps():
            pass
        return self

    def steps(self) -> Iterator[Job]:
        """Run it to its end, job by job as they come back."""
        chance, warm, looked = random.Random(self.seed), set[int](), set[int]()
        flying: dict[int, tuple[float, Job]] = {}
        while not self._finished():
            for worker in sorted(set(range(self.workers)) - flying.keys()):
                self.study.tell_time(self.time.time_left())
                job = self.study.next_job()
                if job is None:
                    break
                self.time.launched(job)
                heavy = sum(assignment.trial.method not in self.light for assignment in job.assignments)
                read = self.looked if heavy < len(job.assignments) and worker not in looked else 0
                looked |= {worker} if read else set()
                cold, workers = worker not in warm, self.workers
                took = self.costs.of(job, heavy=heavy, looked=read, worker=worker, workers=workers, cold=cold, chance=chance)
                flying[worker] = (self.now + took, job)
                warm.add(worker)
            assert flying, "a study that is not finished hands out a job when nothing is under way"
            worker = min(flying, key=lambda each: flying[each][0])
            self.now, job = flying.pop(worker)
            outcome = self.executor.run(job)
            self.study.record(outcome)
            self.time.returned(outcome)
            yield job

    def _finished(self) -> bool:
        self.study.tell_time(self.time.time_left())
        return self.study.finished

    @property
    def searched(self) -> int:
        """Search trials."""
        return sum(trial.purpose == "search" for trial in self.study.trials.values())

    @property
    def shown(self) -> tuple[int, int]:
        """Finalists, and how many of them have a final."""
        tested = {self.study.trials[result.trial].finalist for result in self.study.results if result.split == "test"}
        return len(self.study.finalists), sum(trial.number in tested for trial in self.study.finalists)
