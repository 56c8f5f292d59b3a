"""How long a job's worker is waited for before it counts as hung: many times what the job should take."""

from ...spaces.records import Job
from ..brain.time_left import Work
from .job_costs import JobCosts
from .reference_jobs import LAST

FIRST = 1800.0
"""Seconds that a worker gets at least until any has answered: nobody knows how long a model takes to load here."""
UNMEASURED = 6 * 3600.0
"""The same where it was not measured how fast this machine trains; references, which may write many answers, always get it."""
CEILING_LIMIT = 24 * 3600.0
"""Full fine-tuning takes as long as it takes; a worker that hangs in it is found the next day."""
SLOW, TIMES = 300.0, 10
"""Always: so many seconds, and so many times as long as the job should take."""


def patience(job: Job, costs: JobCosts, *, answered: bool) -> float:
    """Return the seconds for a job; `answered`: whether any job of this command has come back."""
    if not job.assignments:
        return CEILING_LIMIT if job.number == LAST else UNMEASURED
    start = min(assignment.start for assignment in job.assignments)
    work = Work(len(job.assignments), job.stop - start, job.splits)
    least = 0.0 if answered else FIRST if costs.known else UNMEASURED
    return max(least, SLOW + TIMES * costs.price(work, cold=True).mean)
