"""What a running search looks like from outside: its clock, its pace, and when the search must make way for the finals."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from ...dashboards.frontier import points
from ...dashboards.progress import Progress, RunningJob, describe, estimate_remaining
from ...spaces.records import Job, Outcome, Problem, Result
from ...spaces.space import Space
from ..brain.finals import finalists
from ..brain.study import Study

LATEST = 4
"""Jobs that the pace of the finals is judged by."""


class Watch:
    """Follows one command's share of a study; results of earlier commands count for the curve, not for the pace."""

    def __init__(
        self,
        study: Study,
        *,
        name: str,
        budget: int,
        space: Space,
        expected_steps: int,
        limit: float | None,
        problems: Sequence[Problem] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self.name, self._budget, self._space = study, name, budget, space
        self._expected, self._limit, self._clock = expected_steps, limit, clock
        self._began = clock()
        self._jobs: dict[int, tuple[Job, float]] = {}
        self._longest = 0.0
        self._steps = 0
        self._widest = 1
        self._latest: deque[tuple[int, float]] = deque(maxlen=LATEST)
        """Trial-steps and seconds of the jobs that came back last; the first ones also load the model and say little of the pace."""
        self._failures = list(problems)
        self._before = study.progress.done
        self._steps_before = _trial_steps(study.results)
        self._finals = False

    @property
    def elapsed(self) -> float:
        """Seconds since the command started."""
        return self._clock() - self._began

    def launched(self, job: Job) -> None:
        """Note that a job was handed out."""
        self._jobs[job.number] = (job, self._clock())
        self._widest = max(self._widest, len(self._jobs))
        self._finals = self._finals or job.assignments[0].trial.purpose == "final"

    def returned(self, outcome: Outcome) -> None:
        """Note that a job is over."""
        job, since = self._jobs.pop(outcome.job)
        took = self._clock() - since
        self._longest = max(self._longest, took)
        self._failures += outcome.problems
        came = {result.trial for result in outcome.results}
        steps = sum(job.stop - part.start for part in job.assignments if part.trial.number in came)
        self._steps += steps
        self._latest.append((steps, took))

    @property
    def out_of_time(self) -> bool:
        """Whether the search has to end now for the finals to be over within the limit."""
        if self._limit is None or self._finals:
            return False
        done, busy = (sum(values) for values in zip((0, 0.0), *self._latest, strict=True))
        finals = time_for_finals(steps=self._final_steps(), done=int(done), elapsed=busy / self._widest, longest=self._longest)
        return self.elapsed + finals >= self._limit

    def progress(self) -> Progress:
        """Return how things stand, for a view."""
        now, study = self._clock(), self._study
        count = study.progress
        jobs = tuple(RunningJob(job.number, describe(job), now - since) for job, since in self._jobs.values())
        left = estimate_remaining(work_done=self._steps, work_total=self._work(), elapsed=self.elapsed, limit=self._limit)
        return Progress(
            study=self.name,
            budget=self._budget,
            planned=count.planned,
            done=count.done,
            running=count.running,
            failed=count.failed,
            done_before=self._before,
            rungs=self._rungs(),
            jobs=jobs,
            points=tuple(points(study.trials.values(), study.results)),
            failures=tuple(self._failures),
            elapsed=self.elapsed,
            remaining=left,
            phase="finals" if self._finals else "search",
            methods=tuple(self._space.methods),
        )

    def _rungs(self) -> dict[int, int]:
        steps = [result.step for result in self._study.results if result.split == "validation"]
        return {step: steps.count(step) for step in sorted(set(steps))}

    def _work(self) -> int:
        """Trial-steps of this command: what was expected of the whole study, less what was there before."""
        if self._finals:
            waiting = [trial for trial in self._study.trials.values() if trial.purpose == "final"]
            due = sum(self._study.state(trial.number) in ("running", "waiting") for trial in waiting)
            return self._steps + due * self._space.training.steps
        return max(self._steps, self._expected - self._steps_before)

    def _final_steps(self) -> int:
        chosen = finalists(self._study.trials, self._study.results)
        return max(1, len(chosen)) * self._space.finalists * self._space.training.steps


def time_for_finals(*, steps: int, done: int, elapsed: float, longest: float) -> float:
    """Return the seconds that the finals will take: the jobs under way, then `steps` trial-steps at the pace of `done` in `elapsed`.

    0 while there is no pace to go by.
    """
    return longest + steps * elapsed / done if done > 0 else 0.0


def _trial_steps(results: Sequence[Result]) -> int:
    reached: dict[int, int] = {}
    for result in results:
        reached[result.trial] = max(result.step, reached.get(result.trial, 0))
    return sum(reached.values())
