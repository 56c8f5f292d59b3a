"""How long workers are waited for, and what waits for what."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ulpt_search.dashboards.live import LiveView
from ulpt_search.search.brain.study import Study
from ulpt_search.search.ledger.claims import Lease
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.running.driving import Driver
from ulpt_search.search.running.job_costs import Expected, JobCosts
from ulpt_search.search.running.outbox import Outbox
from ulpt_search.search.running.patience import FIRST, TIMES, UNMEASURED, patience
from ulpt_search.search.running.reference_jobs import LAST, ReferenceJobs
from ulpt_search.search.running.timekeeper import Limit
from ulpt_search.search.tracking.mirror import Mirror
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.references import CEILING

from . import ledgers
from .test_watch import Clock, new_study, watch

JOB = Job(0, (Assignment(Trial(0, "prompt", {}, 0, 384)),), 10_000)


@pytest.mark.parametrize("answered", [False, True])
def test_a_long_job_is_waited_for_also_by_a_command_that_has_seen_none(answered: bool) -> None:
    """Steps of a second each: a study whose jobs take hours can be continued."""
    costs = JobCosts({"validation": 10, "test": 10}, Expected.of(1.0, batch=16))
    assert patience(JOB, costs, answered=answered) > TIMES * 10_000


def test_until_any_job_is_back_there_is_time_to_load() -> None:
    quick = JobCosts({"validation": 10, "test": 10}, Expected.of(1e6, batch=16))
    assert patience(JOB, quick, answered=False) == FIRST
    assert patience(JOB, quick, answered=True) < FIRST
    unknown = JobCosts({"validation": 10, "test": 10})
    assert patience(JOB, unknown, answered=False) == UNMEASURED
    assert patience(Job(-1, (), 0, references=("frozen",)), quick, answered=False) == UNMEASURED


def new_driver(folder: Path, study: Study | None = None, *, clock: Clock | None = None, limit: Limit | None = None) -> Driver:
    """Return the driver of a study that is in a new ledger; without a limit, with full fine-tuning to be done at its end."""
    ledger, study, clock = ledgers.make(Ledger.open(str(folder / "ledger.sqlite")), "x"), study or new_study(), clock or Clock()
    wanted = () if limit else CEILING
    return Driver(
        study=study,
        ledger=ledger,
        lease=Lease("x", "none"),
        watch=watch(study, clock, limit=limit),
        view=LiveView(quiet=True),
        mirror=Mirror(tracking_uri="", artifacts=None, study=ledger.study("x")),
        outbox=Outbox(folder, lambda outcome, attempts: None, patience=1000, say=lambda told: None, clock=clock),
        ceiling=ReferenceJobs((), wanted=wanted, attempts=1, number=LAST),
    )


def test_full_fine_tuning_waits_until_the_search_is_over(tmp_path: Path) -> None:
    """A job is under way and nothing else can be handed out yet: the next rung must not wait behind a day's work."""
    study, jobs = new_study(), list[int]()
    driver = new_driver(tmp_path, study)
    while (job := driver.next_job()) is not None:
        jobs.append(job.number)
        assert len(jobs) < 1000
    assert not study.finished
    assert LAST not in jobs


def test_a_job_that_waited_for_the_ledger_is_launched_where_it_still_fits(tmp_path: Path) -> None:
    assert after_an_outage(tmp_path / "short", seconds=60) is not None
    assert after_an_outage(tmp_path / "long", seconds=625) is None


def after_an_outage(folder: Path, *, seconds: float) -> Job | None:
    """Return what a search of ten minutes begins with when another writer has had its ledger for so long."""
    folder.mkdir()
    clock, study = Clock(), new_study()
    driver = new_driver(folder, study, clock=clock, limit=Limit(600.0))
    with driver._ledger._engine.connect() as own:
        own.exec_driver_sql("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert driver.next_job() is None
        assert driver.waits()
    clock.now += seconds
    job = driver.next_job()
    kept = {trial.number for trial in driver._ledger.trials("x")}
    assert kept == {assignment.trial.number for assignment in job.assignments} if job else driver.finished() and not kept
    return job
