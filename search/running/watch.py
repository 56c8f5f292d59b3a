"""What a running search looks like from outside: its clock, its pace, and when the search must make way for the finals."""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

from ...dashboards.points import points
from ...dashboards.progress import Progress, RunningJob, describe, estimate_remaining
from ...spaces.records import Job, Outcome, Problem, Result, Trial
from ...spaces.space import Space
from ..brain.finals import finalists
from ..brain.study import Study

LATEST = 4
"""Jobs that the pace of the finals is judged by."""


class CurveResults:
    """What a curve is drawn from: the results of search trials at the highest step, and of the finals.

    Each result of a study is looked at once, so that a look at the curve costs no more the more trials were stopped before.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._read = 0
        self._rungs: Counter[int] = Counter()
        self._searched: dict[int, list[Result]] = defaultdict(list)  # step -> scores of search trials
        self._finals: list[Result] = []

    @property
    def rungs(self) -> dict[int, int]:
        """Step -> validation results at it, finals included, ascending."""
        self._catch_up()
        return dict(sorted(self._rungs.items()))

    @property
    def results(self) -> list[Result]:
        """The results that the curve is drawn from."""
        self._catch_up()
        return [*self._searched[max(self._searched)], *self._finals] if self._searched else []

    @property
    def trials(self) -> dict[int, Trial]:
        """The trials of these results, and those whose configurations the finals repeat."""
        own = {result.trial: self._study.trials[result.trial] for result in self.results}
        return own | {trial.finalist: self._study.trials[trial.finalist] for trial in own.values() if trial.finalist is not None}

    def _catch_up(self) -> None:
        for result in self._study.results[self._read :]:
            self._enter(result)
        self._read = len(self._study.results)

    def _enter(self, result: Result) -> None:
        if result.split == "validation":
            self._rungs[result.step] += 1
        if self._study.trials[result.trial].purpose == "final":
            self._finals.append(result)
        elif result.split == "validation" and math.isfinite(result.score):
            self._searched[result.step].append(result)


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
        self._curve = CurveResults(study)
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
            rungs=self._curve.rungs,
            jobs=jobs,
            points=tuple(points(self._curve.trials.values(), self._curve.results)),
            failures=tuple(self._failures),
            elapsed=self.elapsed,
            remaining=left,
            phase="finals" if self._finals else "search",
            methods=tuple(self._space.methods),
        )

    def _work(self) -> int:
        """Trial-steps of this command: what was expected of the whole study, less what was there before."""
        if self._finals:
            waiting = [trial for trial in self._study.trials.values() if trial.purpose == "final"]
            due = sum(self._study.state(trial.number) in ("running", "waiting") for trial in waiting)
            return self._steps + due * self._space.training.steps
        return max(self._steps, self._expected - self._steps_before)

    def _final_steps(self) -> int:
        chosen = finalists(self._curve.trials, self._curve.results, size=self._space.size)
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
