"""One command's share of a study, from the request to the last screen: brain, ledger, cluster, mirror and view, wired together.

The order of things is what makes it safe to stop anywhere: new trials are written down before their job is launched, an
outcome is committed before the brain is told of it, and MLflow follows the ledger from a thread of its own.
"""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...dashboards.live import LiveView
from ...spaces.records import Job, Outcome
from ...spaces.space import Execution, Setup, Space
from ...workers.catalogue import axes_of
from ..brain.feasibility import feasible, require_feasible
from ..brain.study import Study
from ..ledger.ledger import Lease, Ledger, StudyRecord
from ..ledger.reading import History
from ..request import Request
from ..tracking.curve_files import Pages, read_history
from ..tracking.mirror import Mirror
from ..tracking.run_records import Status
from .cluster import Cluster
from .cost_estimate import cost
from .deliverables import deliver
from .inspection import Inspection, inspect_inputs
from .resources import Resources, own_cpus, own_gpus, resources
from .supervisor import Interrupted
from .watch import Watch

if TYPE_CHECKING:
    from ...workers.model.backbone import Backbone
    from ...workers.tasks import Task
    from .speed import Speed

PATIENCE = 30.0
"""Seconds that the mirror gets to catch up after the search."""


class Driver:
    """What Ray Tune's loop calls: every step of a study is written down here before anything else hears of it."""

    def __init__(
        self, *, study: Study, ledger: Ledger, lease: Lease, watch: Watch, view: LiveView, mirror: Mirror, speed: "Speed | None" = None
    ) -> None:
        self._study, self._ledger, self._lease, self._name = study, ledger, lease, watch.name
        self._watch, self._view, self._mirror, self._speed = watch, view, mirror, speed
        self._closed = False

    def next_job(self) -> Job | None:
        """Return the next job with its trials in the ledger; None when there is nothing to hand out right now.

        Raises `Failure` where another driver has taken the study over.
        """
        self._lease.check()
        if not self._closed and self._watch.out_of_time:
            self._closed = True
            self._study.close_search()
        job = self._study.next_job()
        if job is not None:
            self._ledger.add_trials(self._name, [assignment.trial for assignment in job.assignments])
            self._watch.launched(job)
        self._show(news=job is not None)
        return job

    def record(self, outcome: Outcome) -> None:
        """Commit an outcome, then tell everybody."""
        self._ledger.record(self._name, outcome)
        self._study.record(outcome)
        self._watch.returned(outcome)
        if outcome.pack_limit is not None and self._speed is not None:
            self._speed.ran_out(outcome.pack_limit)
        self._mirror.notify()
        self._show(news=True)

    def finished(self) -> bool:
        """Whether the study is over."""
        return self._study.finished

    def _show(self, *, news: bool) -> None:
        if news or self._view.due():
            self._view.update(self._watch.progress())


@dataclass(frozen=True)
class Ended:
    """A run that reached its end, and what it has found."""

    history: History
    best: Path | None
    """Where the best adapter lies, as most programs load it."""
    seconds: float


def drive(request: Request) -> Ended | Interrupted:
    """Run or continue a study; return its end, or what interrupted it.

    Raises `WrongInput` before anything is written, and `Failure` where no trial could be scored.
    """
    began = time.monotonic()
    space = request.space()
    request.name(space)
    request.places.check()
    means = resources(request, cpus=own_cpus(), gpus=own_gpus())
    inspection = inspect_inputs(space, measure=_measuring(request, space, threads=int(means.cpus_per_worker)))
    means = means.packed(request, inspection.speed)
    request.places.prepare()
    ledger = Ledger.open(request.places.ledger_url)
    record = _record(ledger, request, space, inspection)
    with ledger.lease(record.name) as lease:
        try:
            best = _work(request, space, inspection, ledger, lease, record, means)
        except Interrupted as stop:
            _say_how_to_go_on(record, stop)
            return stop
        return Ended(read_history(ledger, record), best, time.monotonic() - began)


def close_behind(request: Request, status: int) -> None:
    """End the MLflow runs of a driver that was killed and could not do so itself."""
    if status == 128 + 9:
        from ..tracking.runs import close_orphans

        close_orphans(request.places.tracking_uri)


def _record(ledger: Ledger, request: Request, space: Space, inspection: Inspection) -> StudyRecord:
    from ...spaces.space_json import space_to_json

    return ledger.create(
        request.name(space),
        space=space_to_json(replace(space, task=replace(space.task, metric=inspection.metric))),  # the curve's axis is named by it
        budget=request.budget,
        seed=request.seed,
        fingerprint=inspection.fingerprint,
        task_digest=inspection.task_digest,
    )


def _work(
    request: Request, space: Space, inspection: Inspection, ledger: Ledger, lease: Lease, record: StudyRecord, means: Resources
) -> Path | None:
    """Search until the study is over, with MLflow following; return the folder of the best adapter as others load it."""
    problems = ledger.problems(record.name)
    study = Study(
        space=space,
        budget=request.budget,
        count=inspection.count,
        trials=ledger.trials(record.name),
        results=ledger.results(record.name),
        problems=problems,
        seed=record.seed,
        pack=means.pack,
    )
    expected = cost(space, inspection.shape).trial_steps
    watch = Watch(
        study, name=record.name, budget=record.budget, space=space, expected_steps=expected, limit=request.limit, problems=problems
    )
    with _mirrored(request, ledger, record) as mirror:
        if not study.finished:
            _say(request, f"{record.name}: {means}; state in {request.places.root}")
            setup = _setup(request, space, inspection)
            with LiveView(quiet=request.quiet) as view, _cluster(request, setup, means) as cluster:
                driver = Driver(study=study, ledger=ledger, lease=lease, watch=watch, view=view, mirror=mirror, speed=inspection.speed)
                cluster.run(next_job=driver.next_job, record=driver.record, finished=driver.finished)
        return deliver(request, read_history(ledger, record))


def _setup(request: Request, space: Space, inspection: Inspection) -> Setup:
    execution = inspection.speed.found.execution if inspection.speed else Execution()
    return Setup(space.model, space.task, space.training, request.places.store, str(request.places.cache), execution)


def _measuring(request: Request, space: Space, *, threads: int) -> "Callable[[Inspection, Backbone, Task], Speed | None]":
    """What finds the fastest way to train here, once some method is known to fit; of another's cluster this machine says nothing."""
    from .speed import SpeedCache, fastest

    memory = SpeedCache(request.places.speeds)

    def measure(inspection: Inspection, backbone: "Backbone", task: "Task") -> "Speed | None":
        _require_a_method(space, inspection, request)
        if request.address is not None:
            return None
        return fastest(backbone, task, space, threads=threads, memory=memory, say=partial(_say, request))

    return measure


def _cluster(request: Request, setup: Setup, means: Resources) -> Cluster:
    return Cluster(
        workers=means.workers,
        cpus_per_worker=means.cpus_per_worker,
        gpus_per_worker=means.gpus_per_worker,
        address=request.address,
        storage=request.places.ray,
        setup=setup,
    )


@contextmanager
def _mirrored(request: Request, ledger: Ledger, record: StudyRecord) -> Iterator[Mirror]:
    """Follow the ledger in MLflow while inside; at the end its runs get the status that the search ended with."""
    home = request.places
    mirror = Mirror(tracking_uri=home.tracking_uri, artifacts=home.artifacts, study=record)
    mirror.start(Pages(ledger, record, folder=home.pages / record.name).snapshot)
    status: Status = "FAILED"
    try:
        yield mirror
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if not mirror.close(status=status, timeout=PATIENCE):
            click.echo(f"MLflow lags behind ({mirror.trouble or 'still writing'}); the next run or `ulpt-search ui` catches up", err=True)


def _require_a_method(space: Space, inspection: Inspection, request: Request) -> None:
    """Say which methods are left out; raise `WrongInput` where none fits."""
    judged = feasible(space.methods, budget=request.budget, count=inspection.count, catalogue=axes_of)
    fitting = require_feasible(judged, budget=request.budget)
    for method in judged.keys() - fitting.keys():
        _say(request, f"{method} is left out: {judged[method].why}")


def _say(request: Request, line: str) -> None:
    if not request.quiet:
        click.echo(line, err=True)


def _say_how_to_go_on(record: StudyRecord, stop: Interrupted) -> None:
    click.echo(f"{record.name}: {stop}. Everything acknowledged is kept; the same command goes on:", err=True)
    click.echo(f"  {shlex.join(['ulpt-search', *sys.argv[1:]])}", err=True)
