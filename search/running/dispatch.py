"""One run of jobs as whoever executes them sees it: what to do next, what came of it, and why to leave early. Knows no Ray."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ...spaces.attempts import SILENT
from ...spaces.errors import Failure, one_line
from ...spaces.records import Job, Outcome, Problem

UNABLE = 2
"""Workers in a row that can do nothing, after which a run ends. One alone may have had a bad moment, and is replaced."""
LOSSES = 10
"""Workers that are lost before any job came back, after which a run ends."""


class Halt(BaseException):
    """Leaves the executor's loop at once. Not an `Exception`: Tune logs those and goes on, or waits for the jobs that run."""


@dataclass
class Dispatch:
    """The callables of one `Cluster.run`, and the jobs in flight by the executor's own name for each.

    What a callable raises becomes `reason` and leaves as `Halt`.
    """

    next_job: Callable[[], Job | None]
    record: Callable[[Outcome], None]
    finished: Callable[[], bool]
    patience: float
    """Seconds without a job to give or one running before `suggest` halts with a `Failure`."""
    limit: Callable[[Job], float] = lambda job: math.inf
    """Seconds that a job's worker may take to answer."""
    clock: Callable[[], float] = time.monotonic
    """What these are counted by."""
    waits: Callable[[], bool] = lambda: False
    """Whether `next_job` has nothing since something outside is away, which it waits for by a limit of its own."""
    hear: Callable[[str], None] = lambda why: None
    """Called with what a worker waits for."""
    beat: Callable[[], None] = lambda: None
    """Called as long as the executor goes on."""
    late: Callable[[], bool] = lambda: False
    """Whether the time is over: what waits for something outside then is not waited for."""
    jobs: dict[str, Job] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    """What a job's worker waits for."""
    reason: BaseException | None = None
    """Why the run ends early; whoever sets it is heard at the next `check`."""
    idle_since: float | None = None
    answered: bool = False
    """Whether any job came back with something."""
    unable: int = 0
    losses: int = 0
    given: int = 0
    """Jobs so far."""

    def over(self) -> bool:
        """Whether nothing more will be given."""
        with self._guard():
            return self.finished()

    def suggest(self, name: str) -> Job | None:
        """Return a job, in flight as `name` from now on, or None when there is nothing to do right now."""
        self.check()
        with self._guard():
            job = self.next_job()
            self._be_patient(job)
        if job is not None:
            self.jobs[name], self.since[name] = job, self.clock()
            self.given += 1
        return job

    def overdue(self) -> list[str]:
        """Return the jobs whose workers should have answered by now, or wait for something outside although the time is over."""
        now, over = self.clock(), bool(self.waiting) and self.late()
        return [name for name, job in self.jobs.items() if (over and name in self.waiting) or now - self.since[name] > self.limit(job)]

    def wait(self, name: str, why: str) -> None:
        """Take note that a job's worker waits for something outside, or, where `why` is empty, no longer does.

        It is alive, and its time begins anew.
        """
        if name not in self.jobs:
            return
        self.since[name] = self.clock()
        self.waiting.pop(name, None)
        if why:
            self.waiting[name] = why
            self.hear(why)

    def give_up(self, name: str) -> None:
        """Record that the worker of a job that is overdue was ended; one that waited has said why, and no trial is to blame."""
        if name in self.waiting:
            self.settle(name, Outcome(self.jobs[name].number, unable=f"{self.waiting[name].partition(';')[0]} until the time was over"))
        else:
            self.lose(name, SILENT)

    def settle(self, name: str, outcome: Outcome) -> None:
        """Record what came of a job; what is said later about the same job is ignored.

        Ends the run with a `Failure` where no worker can do anything: it may not work on this study, its model, task, store or
        device cannot be used (said twice with no result in between), or workers die one after the other before any has answered.
        """
        if self.jobs.pop(name, None) is None:
            return
        self.waiting.pop(name, None)
        with self._guard():
            if outcome.refused is not None:
                raise Failure(outcome.refused)
            self.record(outcome)
            self._look_round(outcome)

    def lose(self, name: str, why: str) -> None:
        """Record that a job's worker is gone, unless its outcome came first."""
        if name in self.jobs:
            self.settle(name, Outcome(self.jobs[name].number, lost=why))

    def _look_round(self, outcome: Outcome) -> None:
        """Raise `Failure` where it is not the trials that fail but the place."""
        if outcome.results or outcome.references:
            self.answered, self.unable = True, 0
            return
        self.unable += outcome.unable is not None
        self.losses += outcome.lost is not None
        if self.unable >= UNABLE:
            raise Failure(f"{outcome.unable}; no trial is to blame: put that right and run again")
        if self.losses >= LOSSES and not self.answered:
            raise Failure(f"{self.losses} jobs lost their workers and none has answered: {outcome.lost}; no trial is to blame: run again")

    def check(self) -> None:
        """Halt when there is a reason to."""
        self.beat()
        if self.reason is not None:
            raise Halt

    def _be_patient(self, job: Job | None) -> None:
        if job is not None or self.jobs or self.waits():
            self.idle_since = None
            return
        now = time.monotonic()
        self.idle_since = self.idle_since or now
        if now - self.idle_since > self.patience:
            raise Failure(
                f"no job to run for {self.patience:g} s although the search is not finished and none is running; "
                "run the same study again to continue it"
            )

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.reason = error
            raise Halt from error


def failed(job: Job, error: str) -> Outcome:
    """Return the outcome of a job that none of its trials survived; each may be tried again."""
    problems = tuple(Problem(assignment.trial.number, error) for assignment in job.assignments)
    return Outcome(job.number, problems=problems, failed=None if problems else error)


def traced(error: BaseException) -> str:
    """Return, in one line, an error's type, its message (at most 300 characters) and the innermost line of code."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {one_line(str(error))[:300]}{place}"
