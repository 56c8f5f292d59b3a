"""What a running search looks like from outside: what is known of it, what it does, and how long it will take."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...dashboards.points import Plan, points
from ...dashboards.progress import Progress, RunningJob, describe
from ...spaces.records import Job, Outcome, Point, Problem, Result, Trial
from ...spaces.space import Space
from ..brain.study import Study
from .countdown import Countdown
from .timekeeper import Timekeeper


class CurveResults:
    """What a curve is drawn from: the results of search trials at the highest step, and of the finals.

    Each result of a study is looked at once, in its columns, and made only where the curve shows it: a look costs no more the more
    trials were stopped before.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._read = 0
        self._rungs: Counter[int] = Counter()
        self._highest = 0
        self._searched: list[Result] = []
        """Scores of search trials at the highest step."""
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
        return [*self._searched, *self._finals] if self._searched else []

    @property
    def trials(self) -> dict[int, Trial]:
        """The trials of these results, and those whose configurations the finals repeat."""
        own = {result.trial: self._study.trials[result.trial] for result in self.results}
        return own | {trial.finalist: self._study.trials[trial.finalist] for trial in own.values() if trial.finalist is not None}

    def _catch_up(self) -> None:
        table, start = self._study.results, self._read
        if start == len(table):
            return
        self._read = len(table)
        trials, steps, tests, scores = (table.column(name)[start:] for name in ("trial", "step", "test", "score"))
        repeated = [trial for trial in np.unique(trials).tolist() if self._study.trials[trial].purpose == "final"]
        finals = np.isin(trials, repeated)
        found, counts = np.unique(steps[~tests], return_counts=True)
        self._rungs.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        self._finals += table.at(start + np.flatnonzero(finals))
        searched = ~finals & ~tests & np.isfinite(scores)
        highest = int(steps[searched].max(initial=self._highest))
        if highest > self._highest:
            self._highest, self._searched = highest, []
        self._searched += table.at(start + np.flatnonzero(searched & (steps == highest)))


class Watch:
    """Follows one command's share of a study; results of earlier commands count for the curve, not for the pace."""

    def __init__(
        self, study: Study, *, name: str, budget: int, space: Space, pack: int, time: Timekeeper, problems: Sequence[Problem] = ()
    ) -> None:
        self._study, self.name, self._budget, self._space = study, name, budget, space
        self.time, self._countdown = time, Countdown(study, space=space, pack=pack, time=time)
        self._failures = list(problems)
        self._curve = CurveResults(study)
        self._before = study.progress.done
        self._finals = False

    def launched(self, job: Job) -> None:
        """Note that a job was handed out."""
        self.time.launched(job)
        if job.assignments:
            self._finals = job.assignments[0].trial.purpose == "final"

    def returned(self, outcome: Outcome) -> None:
        """Note that a job is over."""
        self.time.returned(outcome)
        self._failures += outcome.problems

    def _points(self) -> tuple[Point, ...]:
        failed = {number: self._study.trials[number] for number in self._study.failed if self._study.trials[number].purpose == "final"}
        plan = Plan(self._space.finalists, failed)
        return tuple(points({**self._curve.trials, **failed}.values(), self._curve.results, plan=plan))

    def progress(self) -> Progress:
        """Return how things stand, for a view."""
        count, limit = self._study.progress, self.time.limit
        return Progress(
            study=self.name,
            budget=self._budget,
            planned=count.planned,
            done=count.done,
            running=count.running,
            failed=count.failed,
            done_before=self._before,
            rungs=self._curve.rungs,
            jobs=tuple(RunningJob(flight.job.number, describe(flight.job), age) for flight, age in self.time.flights),
            points=self._points(),
            failures=tuple(self._failures),
            elapsed=self.time.elapsed,
            remaining=self._countdown.seconds(),
            limit=limit.seconds if limit and limit.spend else None,
            phase="finals" if self._finals else "search",
            methods=tuple(self._space.methods),
        )
