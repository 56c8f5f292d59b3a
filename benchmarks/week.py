"""What a driver's memory does as outcomes come in: the brain, its ledger and its clock, with jobs that take no time.

    python benchmarks/week.py [--outcomes 4000] [--every 1000] [--jobs 0]

Runs the driver's own loop on a study of invented scores in an SQLite file: every trial written down, every outcome committed, every
screen made. Prints JSON: after each so many outcomes, the trials so far and what Python holds, in MB and in bytes a trial; then what
grew most in the second half, by the file that asked for it. Ray, MLflow and the workers are not part of it.

`--jobs N` asks Ray Tune instead: so many jobs that do nothing, by the cluster that a search runs on. Prints JSON: after each so many
jobs, seconds and the driver's resident memory in MB.
"""

import argparse
import json
import random
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from ulpt_search.benchmarks.load import IDENTITY, NAME
from ulpt_search.benchmarks.load import _count as count
from ulpt_search.benchmarks.load import space as space_of
from ulpt_search.dashboards.live import LiveView
from ulpt_search.search.brain.feasibility import assess
from ulpt_search.search.brain.study import Study
from ulpt_search.search.ledger.claims import Lease
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.running.cluster import Cluster
from ulpt_search.search.running.driving import Driver
from ulpt_search.search.running.job_costs import JobCosts
from ulpt_search.search.running.outbox import Outbox
from ulpt_search.search.running.timekeeper import Timekeeper
from ulpt_search.search.running.watch import Watch
from ulpt_search.search.tracking.mirror import Mirror
from ulpt_search.spaces.records import Job, Outcome, Problem, Result
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

BUDGET = 100_000


def main() -> None:
    """Drive as long as asked, and look at memory in between."""
    parser = argparse.ArgumentParser()
    for name, default in (("outcomes", 4000), ("every", 1000), ("jobs", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.jobs:
            print(json.dumps(_through_tune(Path(folder), options.jobs, options.every), indent=1))
            return
        study, driver = _driver(Path(folder), options.outcomes)
        print(json.dumps(_driven(study, driver, options.outcomes, options.every), indent=1))


def _driver(folder: Path, trials: int) -> tuple[Study, Driver]:
    ledger, space = Ledger.open(str(folder / "ledger.sqlite")), space_of(3, trials)
    record = ledger.create(NAME, space=space_to_json(space), budget=BUDGET, seed=0, identity=IDENTITY)
    study = Study(space=space, budget=BUDGET, count=count, methods=assess(space.methods, budget=BUDGET, count=count), pack=1)
    costs = Timekeeper(costs=JobCosts({"validation": 10, "test": 10}), workers=1, limit=None, clock=time.monotonic)
    driver = Driver(
        study=study,
        ledger=ledger,
        lease=Lease(NAME, "none"),
        watch=Watch(study, name=NAME, budget=BUDGET, space=space, pack=1, time=costs),
        view=LiveView(quiet=True),
        mirror=Mirror(tracking_uri="", artifacts=None, study=record),
        outbox=Outbox(
            folder / "waiting", lambda outcome, attempts: ledger.record(NAME, outcome, attempts=attempts), patience=60, say=print
        ),
    )
    return study, driver


def _driven(study: Study, driver: Driver, outcomes: int, every: int) -> dict[str, Any]:
    chance, told, middle = random.Random(0), list[dict[str, float]](), None
    tracemalloc.start()
    for number in range(1, outcomes + 1):
        job = driver.next_job()
        assert job is not None, "the space plans more trials than outcomes are asked for"
        driver.record(_outcome(job, chance))
        if number % every == 0:
            held = tracemalloc.get_traced_memory()[0]
            told.append(
                {"outcomes": number, "trials": len(study.trials), "mb": round(held / 2**20, 1), "a_trial": round(held / len(study.trials))}
            )
        if number == outcomes // 2:
            middle = tracemalloc.take_snapshot()
    return {"looks": told, "grew_kb": _grown(tracemalloc.take_snapshot(), middle)}


def nothing(setup: Setup, job: Job) -> Outcome:
    """A job in a worker, without a model."""
    return Outcome(job.number)


def _through_tune(folder: Path, jobs: int, every: int) -> list[dict[str, float]]:
    told, done, began, process = list[dict[str, float]](), 0, time.monotonic(), psutil.Process()
    numbers = iter(range(jobs))

    def record(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if done % every == 0:
            told.append({"jobs": done, "seconds": round(time.monotonic() - began), "mb": round(process.memory_info().rss / 2**20, 1)})

    def next_job() -> Job | None:
        number = next(numbers, None)
        return None if number is None else Job(number, (), 1, ())

    setup = Setup(ModelSpec(), TaskSpec(), Training(), store=str(folder))
    with Cluster(
        workers=2,
        cpus_per_worker=1,
        gpus_per_worker=0,
        address=None,
        storage=folder,
        setup=setup,
        run_job="ulpt_search.benchmarks.week:nothing",
    ) as cluster:
        cluster.run(next_job=next_job, record=record, finished=lambda: done == jobs)
    return told


def _outcome(job: Job, chance: random.Random) -> Outcome:
    """One trial in twenty meets a problem."""
    numbers = [assignment.trial.number for assignment in job.assignments]
    if chance.random() < 0.05:
        return Outcome(job.number, problems=tuple(Problem(number, "no such thing") for number in numbers))
    results = ((number, split, chance.random()) for number in numbers for split in job.splits)
    return Outcome(job.number, tuple(Result(n, job.stop, split, x, 1e-4, 1 - x, 0.1, f"{n:064x}", 3152) for n, split, x in results))


def _grown(now: tracemalloc.Snapshot, before: tracemalloc.Snapshot | None) -> dict[str, int]:
    """KB more than before, of the ten that grew most."""
    sizes = Counter[str]()
    for change in now.compare_to(before, "filename") if before else []:
        sizes["/".join(Path(change.traceback[0].filename).parts[-3:])] += change.size_diff
    return {name: round(size / 1024) for name, size in sizes.most_common(10)}


if __name__ == "__main__":
    main()
