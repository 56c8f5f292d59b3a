"""The steps of a search as Ray Tune's loop takes them: every one is written down before anything else hears of it.

New trials are in the ledger before their job is launched, an outcome is committed before the brain is told of it. While the ledger's
database is away, nothing is begun and nothing that comes back is lost.
"""

import math

import click

from ...dashboards.live import LiveView
from ...spaces.errors import Away
from ...spaces.records import Job, Outcome
from ...spaces.secrecy import masked
from ..brain.study import Study
from ..ledger.ledger import Lease, Ledger
from ..tracking.mirror import Mirror
from .outbox import Outbox
from .patience import patience
from .reference_jobs import ReferenceJobs
from .supervisor import got_on
from .watch import Watch


class Driver:
    """What Ray Tune's loop calls: every step of a study is written down here before anything else hears of it."""

    def __init__(
        self,
        *,
        study: Study,
        ledger: Ledger,
        lease: Lease,
        watch: Watch,
        view: LiveView,
        mirror: Mirror,
        outbox: Outbox,
        references: ReferenceJobs | None = None,
        ceiling: ReferenceJobs | None = None,
    ) -> None:
        self._study, self._ledger, self._lease, self._name = study, ledger, lease, watch.name
        self._watch, self._view, self._mirror, self._outbox = watch, view, mirror, outbox
        self._references, self._ceiling = (each or ReferenceJobs((), wanted=()) for each in (references, ceiling))
        self._unwritten: Job | None = None  # decided on while the ledger was away
        self._heard = -math.inf
        self._answered = False  # whether any job has come back: until then nobody knows how long a model takes to load

    def next_job(self) -> Job | None:
        """Return the next job with its trials in the ledger; None when there is nothing to hand out right now.

        Raises `Failure` where another driver has taken the study over, or the ledger's database was away for too long.
        """
        self._lease.check()
        self._acknowledge()
        job = self._written_down() if self._outbox.due() else None
        if job is not None:
            self._watch.launched(job)
        self._show(news=job is not None)
        return job

    def record(self, outcome: Outcome) -> None:
        """Commit an outcome, then tell everybody; while the ledger's database is away the outcome waits on disk."""
        outcome = self._study.judged(outcome)
        self._answered = self._answered or bool(outcome.results)
        self._watch.returned(outcome)
        self._outbox.add(outcome)
        self._acknowledge()

    def hear(self, why: str) -> None:
        """Say what a worker waits for, once a minute."""
        if self._watch.time.elapsed - self._heard > 60:
            self._heard = self._watch.time.elapsed
            click.echo(masked(f"{why.partition(';')[0]}; what was computed is kept, and its worker waits"), err=True)

    def waits(self) -> bool:
        """Whether there is nothing to hand out since the ledger's database is away."""
        return self._outbox.away

    def late(self) -> bool:
        """Whether the time is over, so that nothing is waited for any longer."""
        left = self._watch.time.time_left()
        return left is not None and left.seconds < 0

    def _acknowledge(self) -> None:
        for outcome in self._outbox.acknowledged(hurry=self.late()):
            self._committed(outcome)

    def _committed(self, outcome: Outcome) -> None:
        if outcome.results or outcome.references:
            got_on()
        beside = {each.number: each for each in (self._references, self._ceiling)}
        if outcome.job in beside:
            if told := beside[outcome.job].record(outcome):
                click.echo(told, err=True)
            self._mirror.notify()
            return
        self._study.record(outcome)
        self._mirror.notify()
        self._show(news=True)

    def _written_down(self) -> Job | None:
        """The next job once its trials are in the ledger; where that is away, it is kept until it answers."""
        job = self._decided_anew(self._unwritten) if self._unwritten else self._decided()
        self._unwritten = None
        if job is None:
            return None
        try:
            self._ledger.add_trials(self._name, [assignment.trial for assignment in job.assignments])
        except Away as error:
            self._unwritten = job
            self._outbox.wait(error, hurry=self.late())
            return None
        self._outbox.resume()
        return job

    def _decided_anew(self, job: Job) -> Job | None:
        """What takes the place of a job that waited for the ledger: itself, unless it was to fit into a time that is shorter now."""
        if self._watch.time.limit is None or not job.assignments:
            return job
        self._study.give_back(job)
        return self._decided()

    def _decided(self) -> Job | None:
        job = self._references.next_job()
        if job is None:
            self._study.tell_time(self._watch.time.time_left())
            job = self._study.next_job()
        if job is None and self._study.finished:  # not while more may come of jobs under way: it would wait behind a day's work
            job = self._ceiling.next_job()
        return job

    def finished(self) -> bool:
        """Whether the study is over, or its time."""
        self._study.tell_time(self._watch.time.time_left())
        return self._study.finished and self._references.over and self._ceiling.over

    def limit(self, job: Job) -> float:
        """Return the seconds after which a job's worker is not waited for any longer: many times what the job should take."""
        return patience(job, self._watch.time.costs, answered=self._answered)

    def _show(self, *, news: bool) -> None:
        if news or self._view.due():
            self._view.update(self._watch.progress())
