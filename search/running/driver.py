"""One command's share of a study, from the request to the last screen: brain, ledger, cluster, mirror and view, wired together.

The order of things is what makes it safe to stop anywhere: new trials are written down before their job is launched, an
outcome is committed before the brain is told of it, and MLflow follows the ledger from a thread of its own.
"""

import gc
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from ...dashboards.live import LiveView
from ...dashboards.words import duration
from ...spaces import plugins
from ...spaces.errors import innermost, reason
from ...spaces.outages import Listener, heard_by, insist
from ...spaces.records import Outcome, Problem
from ...spaces.references import CEILING
from ...spaces.secrecy import masked
from ...spaces.space import Execution, Setup, Space
from ...workers.training.heap import release
from ...workers.training.store import AdapterStore
from ..brain.study import Study
from ..ledger.ledger import Lease, Ledger, StudyRecord
from ..ledger.reading import History
from ..ledger.store_users import note_user
from ..request import Request
from ..tracking.curve_files import read_history
from .cluster import Cluster
from .deliverables import deliver
from .driving import Driver
from .former_studies import adopt, begun_with, require_same_counts
from .inspection import Inspection, inspect_inputs
from .job_costs import Expected, JobCosts
from .mirroring import mirrored
from .outbox import Outbox, hand_in, outbox_of
from .reference_jobs import ATTEMPTS, LAST, ReferenceJobs, worthwhile
from .resources import Resources, own_cpus, own_gpus, resources
from .supervisor import AGAIN, Interrupted, is_begun_again
from .timekeeper import Limit, Timekeeper
from .watch import Watch
from .watchdog import require_reach

ENDING = 12.0
"""Seconds of a time limit that are kept for after the last job: the workers' end, the pages, the best adapter's export and its proof."""

T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """A run that reached its end, and what it has found."""

    history: History
    best: Path | None
    """Where the best adapter lies, as most programs load it."""
    seconds: float


@dataclass(frozen=True)
class Search:
    """One command's share of a study: all that is known when it starts, and how its parts are put together."""

    request: Request
    space: Space
    inspection: Inspection
    means: Resources
    ledger: Ledger
    record: StudyRecord

    def run(self, lease: Lease) -> tuple[History, Path | None]:
        """Search until the study is over, with MLflow following; return what was found and where the best adapter lies."""
        request = self.request
        with _told(self.record):
            left = outbox_of(request.places, self.record)
            if handed := hand_in(left, partial(_commit, self.ledger, self.record.name), say=partial(click.echo, err=True)):
                request.say(f"{self.record.name}: {handed} outcomes that had waited for the ledger are acknowledged")
            problems = self.ledger.problems(self.record.name)
            study = self._study(problems)
            watch = self._watch(study, problems)
        with mirrored(request, self.ledger, self.record) as mirror, _told(self.record):
            study.tell_time(watch.time.time_left())
            references, ceiling = self._references(), self._ceiling()
            if not study.finished or not references.over or not ceiling.over:
                request.say(f"{self.record.name}: {self.means}; state in {request.places.root}")
                if study.trials and references.missing:
                    named = ", ".join(references.missing)
                    request.say(f"{self.record.name}: has no {named} reference yet, which is measured now; --no-references goes without")
                if watch.time.limit is not None and not study.finished:
                    request.say(watch.time.limit.said(trials=self.space.trials))
                with LiveView(quiet=request.quiet) as view, self._cluster() as cluster:
                    driver = Driver(
                        study=study,
                        ledger=self.ledger,
                        lease=lease,
                        watch=watch,
                        view=view,
                        mirror=mirror,
                        outbox=self._outbox(),
                        references=references,
                        ceiling=ceiling,
                    )
                    cluster.run(
                        next_job=driver.next_job,
                        record=driver.record,
                        finished=driver.finished,
                        limit=driver.limit,
                        waits=driver.waits,
                        hear=driver.hear,
                        late=driver.late,
                    )
            limited = watch.time.time_left()
            return end(request, self.ledger, self.record, seconds=None if limited is None else limited.seconds + ENDING)

    def _outbox(self) -> Outbox:
        return Outbox(
            outbox_of(self.request.places, self.record),
            partial(_commit, self.ledger, self.record.name),
            attempts=self.ledger.attempts(self.record.name),
            patience=self.request.patience,
            say=partial(click.echo, err=True),
        )

    def _references(self) -> ReferenceJobs:
        """None where they are not wanted, or a short time is better spent on the search."""
        request = self.request
        possible = self.inspection.references if request.references else ()
        wanted = worthwhile(possible, limit=request.limit, writes=self.inspection.writes.final > 0)
        attempts = ATTEMPTS if request.limit is None else 1  # what failed once has cost enough of a limit
        return ReferenceJobs(self.ledger.references(self.record.name), wanted=wanted, attempts=attempts)

    def _ceiling(self) -> ReferenceJobs:
        """Full fine-tuning, where it is asked for and the task can be read; one attempt, which costs enough."""
        wanted = tuple(kind for kind in self.inspection.references if self.request.ceiling and kind in CEILING)
        return ReferenceJobs(self.ledger.references(self.record.name), wanted=wanted, attempts=1, number=LAST)

    def _study(self, problems: Sequence[Problem]) -> Study:
        return Study(
            space=self.space,
            budget=self.request.budget,
            count=self.inspection.count,
            methods=self.inspection.methods,
            trials=self.ledger.trials(self.record.name),
            results=self.ledger.brief_results(self.record.name),
            problems=problems,
            seed=self.record.seed,
            pack=self.means.pack,
        )

    def _watch(self, study: Study, problems: Sequence[Problem]) -> Watch:
        return Watch(
            study,
            name=self.record.name,
            budget=self.record.budget,
            space=self.space,
            pack=self.means.pack,
            time=self._timekeeper(),
            problems=problems,
        )

    def _timekeeper(self) -> Timekeeper:
        request, speed, rows = self.request, self.inspection.speed, self.inspection.rows
        expected = Expected.of(speed.rate, batch=self.space.training.batch) if speed and speed.rate else Expected()
        limit = None if request.limit is None else Limit(request.limit, ending=ENDING, spend=request.open_ended)
        return Timekeeper(
            costs=JobCosts(rows, expected, self.inspection.writes, self.inspection.looked),
            workers=self.means.workers,
            limit=limit,
            clock=time.monotonic,
            began=request.began,
            light=[name for name, judged in self.inspection.methods.items() if judged.light],
        )

    def _cluster(self) -> Cluster:
        space, places, speed = self.space, self.request.places, self.inspection.speed
        execution = speed.execution if speed else Execution()
        store = AdapterStore(places.store)
        note_user(store, places.ledger_url)
        return Cluster(
            workers=self.means.workers,
            cpus_per_worker=self.means.cpus_per_worker,
            gpus_per_worker=self.means.gpus_per_worker,
            address=self.request.address,
            storage=places.ray,
            setup=Setup(
                space.model,
                space.task,
                space.training,
                places.store,
                str(places.cache),
                execution,
                self.record.known,
                store.mark(),
                self.request.patience,
            ),
        )


def end(request: Request, ledger: Ledger, record: StudyRecord, *, seconds: float | None = None) -> tuple[History, Path | None]:
    """Return what a study has found and where its best adapter lies, which is written now, as `deliver` does.

    Ledger and store may be away for as long as the request says, and no longer than `seconds`, where there is such a limit.
    """
    patience = request.patience if seconds is None else min(request.patience, max(0.0, seconds))
    with heard_by(_once(patience)):
        history = insist(lambda: read_history(ledger, record, store=request.places.store), seconds=patience)
        return history, deliver(request, history, patience=patience)


def _waited_for(act: Callable[[], T], patience: float) -> T:
    """What `act` returns, once what it asks is no longer away."""
    with heard_by(_once(patience)):
        return insist(act, seconds=patience)


def _once(patience: float) -> Listener:
    """Say what is waited for, but no more than the first time."""
    said = list[str]()

    def hear(why: str) -> None:
        if why and not said:
            said.append(why)
            click.echo(masked(f"{why.partition(';')[0]}; waiting for it, {duration(patience)} at most"), err=True)

    return hear


def drive(request: Request) -> Ended | Interrupted:
    """Run or continue a study; return its end, or what interrupted it. One that is begun again after a fault waits for ledger and cluster.

    Raises `WrongInput` before anything is written, and `Failure` where no trial could be scored.
    """
    began = time.monotonic()
    space = request.space()
    request.name(space)
    request.places.check()
    means = resources(request, cpus=own_cpus(), gpus=own_gpus(), split=space.model.device == "split")
    patience = request.patience if is_begun_again() else 0.0
    begun = _waited_for(lambda: begun_with(request.places, request.name(space)), patience)
    inspection = inspect_inputs(request, space, threads=int(means.cpus_per_worker), begun=begun)
    gc.collect()  # a model's modules know each other, so it stays in memory until it is looked for
    release()
    request.places.prepare()
    ledger = _waited_for(lambda: Ledger.open(request.places.ledger_url), patience)
    record = _record(ledger, request, space, inspection)
    search = Search(request, space, inspection, means.packed(request, inspection.speed), ledger, record)
    if patience and request.address:
        _waited_for(partial(require_reach, request.address), patience)
    with ledger.lease(record.name) as lease:
        try:
            history, best = search.run(lease)
        except Interrupted as stop:
            return stop
        return Ended(history, best, time.monotonic() - began)


def _commit(ledger: Ledger, name: str, outcome: Outcome, attempts: Mapping[int, int]) -> None:
    ledger.record(name, outcome, attempts=attempts)


def close_behind(request: Request, status: int) -> None:
    """End the MLflow runs of a driver that was killed, or ended itself at once, and could not do so; says where MLflow is away, too."""
    if status not in (128 + 9, AGAIN):
        return
    from ..tracking.runs import close_orphans

    try:
        close_orphans(request.places.tracking_uri)
    except Exception as error:  # mlflow's, its database's or the network's: the next run or `ui` ends them as well
        told = masked(f"MLflow at {request.places.tracking_uri}: {reason(innermost(error))}")
        click.echo(f"{told}; the runs of the driver that ended still say RUNNING, until the next run or `ulpt-search ui`", err=True)


def _record(ledger: Ledger, request: Request, space: Space, inspection: Inspection) -> StudyRecord:
    record = ledger.create(
        request.name(space),
        space=_written(space, inspection),
        budget=request.budget,
        seed=request.seed,
        identity=inspection.identity,
        recognise=lambda record: adopt(record, space, inspection),
    )
    require_same_counts(record.name, ledger.trials(record.name), inspection.count)
    if record.has_former_rates:
        request.say(f"{record.name}: begun when learning rates had another unit; a new --study compares like with like")
    told = record.other_numerics(inspection.identity) if request.address is None else ""
    if told:
        request.say(f"{record.name}: goes on with {told}; each result says what computed it")
    return record


def _written(space: Space, inspection: Inspection) -> dict[str, Any]:
    """The space as the ledger keeps it, with what only the loaded task could say: its metric and what was done to its data."""
    from ...spaces.space_json import space_to_json

    named = replace(space, task=replace(space.task, metric=inspection.metric))
    task = "" if space.task.path or space.task.hub else space.task.name
    brought = plugins.used(methods=_parts(space), scorers=(inspection.metric, *space.task.metrics), task=task)
    return {**space_to_json(named), "task_notes": list(inspection.notes), **({"plugins": brought} if brought else {})}


def _parts(space: Space) -> set[str]:
    return {part for method in space.methods for part in method.split("+")}


@contextmanager
def _told(record: StudyRecord) -> Iterator[None]:
    """Whoever interrupts what is inside is told at once how to go on, before anything is waited for."""
    try:
        yield
    except Interrupted as stop:
        click.echo(f"{record.name}: {stop}. Everything acknowledged is kept; the same command goes on:", err=True)
        click.echo(f"  {masked(shlex.join(['ulpt-search', *sys.argv[1:]]))}", err=True)
        raise
