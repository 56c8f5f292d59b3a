"""Whose doing a lost worker was: the trial's own only where there is a sign of it.

A worker that is killed says nothing of why. That a trial was alone in its job, as it had been lost before, while other jobs came back
in between, is such a sign; a machine that kills workers at random gives it rarely, and one that kills them all never does.
"""

from dataclasses import replace

from ...spaces.records import Job, Outcome, Problem


class Blame:
    """Follows the outcomes of one command."""

    def __init__(self) -> None:
        self._answers = 0
        self._losses: dict[int, int] = {}  # trial -> how many jobs had come back when it was lost last

    def judged(self, outcome: Outcome, job: Job | None) -> Outcome:
        """Return the outcome with a problem for each trial of a lost job, and with who was alone; to be asked once of each."""
        self._answers += bool(outcome.results)
        if job is None or not (outcome.lost or outcome.problems):
            return outcome
        alone = len(job.assignments) == 1
        lost = tuple(self._lost(a.trial.number, outcome.lost, alone=alone) for a in job.assignments if outcome.lost)
        return replace(outcome, problems=(*(replace(problem, alone=problem.alone or alone) for problem in outcome.problems), *lost))

    def _lost(self, trial: int, error: str, *, alone: bool) -> Problem:
        before, self._losses[trial] = self._losses.get(trial), self._answers
        return Problem(trial, error, alone=alone, own=alone and before is not None and self._answers > before)
