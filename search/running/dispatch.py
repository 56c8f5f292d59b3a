"""One run of jobs as whoever executes them sees it: what to do next, what came of it, and why to leave early. Knows no Ray."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ...spaces.errors import Failure, one_line
from ...spaces.records import Job, Outcome, Problem


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
    jobs: dict[str, Job] = field(default_factory=dict)
    reason: BaseException | None = None
    """Why the run ends early; whoever sets it is heard at the next `check`."""
    idle_since: float | None = None

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
            self.jobs[name] = job
        return job

    def settle(self, name: str, outcome: Outcome) -> None:
        """Record what came of a job; what is said later about the same job is ignored.

        A worker that may not work on this study ends the run with a `Failure`: the next one would take its jobs, too.
        """
        if self.jobs.pop(name, None) is not None:
            with self._guard():
                if outcome.refused is not None:
                    raise Failure(outcome.refused)
                self.record(outcome)

    def lose(self, name: str, why: str) -> None:
        """Record that a job's worker is gone, unless its outcome came first."""
        if name in self.jobs:
            self.settle(name, failed(self.jobs[name], why))

    def check(self) -> None:
        """Halt when there is a reason to."""
        if self.reason is not None:
            raise Halt

    def _be_patient(self, job: Job | None) -> None:
        if job is not None or self.jobs:
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
    return Outcome(job.number, problems=tuple(Problem(assignment.trial.number, error) for assignment in job.assignments))


def traced(error: BaseException) -> str:
    """Return, in one line, an error's type, its message (at most 300 characters) and the innermost line of code."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {one_line(str(error))[:300]}{place}"
