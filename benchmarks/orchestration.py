"""What running a search costs beside the training: the share of the workers' time in which nobody trains.

    python benchmarks/orchestration.py                # jobs of 30 seconds, 3 rounds, about 8 minutes, hardly any CPU
    python benchmarks/orchestration.py --quick        # jobs of one second, well under a minute

The brain, the ledger and Ray Tune are those of a search; only the workers sleep instead of training. Each notes when a job of its
begins and ends, so that a gap, from the end of one job to the begin of the same worker's next, holds everything else: the
outcome's way back, its commit, the proposal of the next job and its way there. The start of Ray and of the workers is told apart.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulpt_search.spaces.identity import Content, FrozenSide, Identity, Numerics, TaskSide
from ulpt_search.spaces.records import Job, Outcome
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training

WORKERS = 2


@dataclass(frozen=True)
class Slept:
    """One job as its worker saw it, seconds since the epoch."""

    worker: int
    begin: float
    end: float


def doze(setup: Setup, job: Job) -> Outcome:
    """Sleep as long as the folder says, and answer as `brain.py` does. Runs in the worker."""
    from brain import answer

    folder, begin = Path(setup.store), time.time()
    time.sleep(float((folder / "seconds").read_text()))
    with (folder / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps([os.getpid(), begin, time.time()]) + "\n")
    outcome: Outcome = answer(job, random.Random(job.number))
    return outcome


def _nothing() -> Identity:
    """The identity of a study that trains nothing."""
    none = Content("none")
    return Identity(FrozenSide(none, none, none), TaskSide(*["none"] * 9), Numerics(*["none"] * 5))


def search(folder: Path, *, seconds: float, jobs: int) -> float:
    """Hand out this many jobs a worker; return the seconds that the cluster took to start."""
    from brain import BUDGET, shape

    from ulpt_search.search.brain.feasibility import assess, require_feasible
    from ulpt_search.search.brain.study import Study
    from ulpt_search.search.ledger.ledger import Ledger
    from ulpt_search.search.running.cluster import Cluster
    from ulpt_search.spaces.axes import Hyperparameters
    from ulpt_search.spaces.schema import load_space
    from ulpt_search.spaces.space_json import space_to_json
    from ulpt_search.workers.catalogue import axes_of, count

    model, space = shape(), load_space("ulpt", catalogue=axes_of)

    def counted(method: str, values: Hyperparameters) -> int:
        return count(method, values, model)

    methods = require_feasible(assess(space.methods, budget=BUDGET, count=counted), budget=BUDGET)
    study = Study(space=space, budget=BUDGET, count=counted, methods=methods, pack=4)
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
    ledger.create("sleep", space=space_to_json(space), budget=BUDGET, seed=0, identity=_nothing())
    (folder / "seconds").write_text(str(seconds))
    left = [jobs * WORKERS]

    def next_job() -> Job | None:
        job = study.next_job() if left[0] else None
        if job is not None:
            left[0] -= 1
            ledger.add_trials("sleep", [assignment.trial for assignment in job.assignments])
        return job

    def record(outcome: Outcome) -> None:
        ledger.record("sleep", outcome)
        study.record(outcome)
        left.append(outcome.job)

    def finished() -> bool:
        return len(left) > jobs * WORKERS

    began = time.perf_counter()
    setup = Setup(ModelSpec(), TaskSpec(), Training(), str(folder))
    with Cluster(
        workers=WORKERS,
        cpus_per_worker=1,
        gpus_per_worker=0,
        address=None,
        storage=folder / "ray",
        setup=setup,
        run_job="orchestration:doze",
    ) as cluster:
        ready = time.perf_counter()
        cluster.run(next_job=next_job, record=record, finished=finished)
    return ready - began


def read(folder: Path) -> list[Slept]:
    """What the workers noted, by begin."""
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return sorted((Slept(*json.loads(line)) for line in lines), key=lambda slept: slept.begin)


def gaps(slept: Sequence[Slept]) -> list[float]:
    """Seconds between one worker's jobs, over all workers."""
    found: list[float] = []
    for worker in {one.worker for one in slept}:
        own = [one for one in slept if one.worker == worker]
        found += [after.begin - before.end for before, after in itertools.pairwise(own)]
    return found


def overhead(slept: Sequence[Slept]) -> float:
    """Share of the workers' time, from each one's first job to its last, in which it did none."""
    idle, busy = sum(gaps(slept)), sum(one.end - one.begin for one in slept)
    return idle / (idle + busy)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": round(statistics.median(values), 4), "low": round(min(values), 4), "high": round(max(values), 4)}


def measure(*, seconds: float, jobs: int, repeats: int) -> dict[str, Any]:
    """Run the searches; return the figures."""
    rounds: list[list[Slept]] = []
    starts: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="o-", dir="/tmp") as folder:  # short: Ray's socket paths must fit in 107 bytes
            starts.append(search(Path(folder), seconds=seconds, jobs=jobs))
            rounds.append(read(Path(folder)))
    waits = [gap for slept in rounds for gap in gaps(slept)]
    return {
        "job_seconds": seconds,
        "jobs": sum(map(len, rounds)),
        "gap_seconds": spread(waits),
        "overhead": spread([overhead(slept) for slept in rounds]),
        "overhead_at_30_seconds": spread([gap / (gap + 30) for gap in waits]),
        "start_seconds": spread(starts),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line")
    parser.add_argument("--quick", action="store_true", help="jobs of one second, once")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a job")
    parser.add_argument("--jobs", type=int, default=5, help="jobs a worker")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    seconds, repeats = (1.0, 1) if asked.quick else (asked.seconds, asked.repeats)
    found = measure(seconds=seconds, jobs=asked.jobs, repeats=repeats)
    print(json.dumps(found) if asked.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
