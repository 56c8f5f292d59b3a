"""Whose doing a lost worker was, or memory that ran out: the trial's own only where there is a sign of it.

A worker that is killed says nothing of why. That a trial was alone in its job, as it had been lost before, while other jobs came back
in between, is such a sign; a machine that kills workers at random gives it rarely, and one that kills them all never does. So it is with
a trial that finds too little memory: another program may have filled the device, but then other jobs do not come back either.
"""

from dataclasses import replace

from ...spaces.attempts import NO_ROOM
from ...spaces.records import Job, Outcome, Problem


class Blame:
    """Follows the outcomes of one command."""

    def __init__(self) -> None:
        self._answers = 0
        self._losses: dict[int, int] = {}  # trial -> how many jobs had come back when it was lost, or had no room, last

    def judged(self, outcome: Outcome, job: Job | None) -> Outcome:
        """Return the outcome with a problem for each trial of a lost job, and with who was alone; to be asked once of each."""
        self._answers += bool(outcome.results)
        if job is None or not (outcome.lost or outcome.problems):
            return outcome
        alone = len(job.assignments) == 1
        lost = tuple(self._lost(a.trial.number, outcome.lost, alone=alone) for a in job.assignments if outcome.lost)
        return replace(outcome, problems=(*(self._met(problem, alone=alone) for problem in outcome.problems), *lost))

    def _met(self, problem: Problem, *, alone: bool) -> Problem:
        if problem.error.startswith(NO_ROOM):
            return self._lost(problem.trial, problem.error, alone=True)
        return replace(problem, alone=problem.alone or alone)

    def _lost(self, trial: int, error: str, *, alone: bool) -> Problem:
        before, self._losses[trial] = self._losses.get(trial), self._answers
        return Problem(trial, error, alone=alone, own=alone and before is not None and self._answers > before)
