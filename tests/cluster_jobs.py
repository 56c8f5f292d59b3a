"""Jobs without a model: real, small computations whose results tell which process did them, and a brain that repeats what failed.

A trial's hyperparameter `does` says what its worker meets: `work`, `raise` and `die` (once; the next attempt works), `sleep`,
`stop` (once: its process neither answers nor ends), `follow` (once the trial before it sleeps), `look`, `nice`, `unable`
(always), `keep` (something in the bucket whose server's address lies beside the mark).
"""

import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ulpt_search.search.running.cluster import Cluster
from ulpt_search.spaces.records import Assignment, Job, Outcome, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training

DONE: list[int] = []
"""Numbers of the jobs that this process has done: it grows as long as the worker lives."""


def setup(folder: Path) -> Setup:
    return Setup(ModelSpec(), TaskSpec(), Training(), store=str(folder))


def compute(given: Setup, job: Job) -> Outcome:
    """Score each trial as `-(x - 3)²`; `seconds` counts the jobs of this process, `bytes` is its id."""
    DONE.append(job.number)
    if any(assignment.trial.hyperparameters["does"] == "unable" for assignment in job.assignments):
        return Outcome(job.number, unable="the store cannot be written: read-only")
    return Outcome(job.number, tuple(_result(given, job, assignment.trial) for assignment in job.assignments))


HUNGER = 64 * 2**20
"""Bytes that a trial of `hungry` needs."""


def hungry(given: Setup, job: Job) -> Outcome:
    """Go into the control group that `setup`'s folder names, need `HUNGER` for each trial of the pack, and score them as simulated."""
    from ulpt_search.tests.simulated import Curves, Executor

    Path((Path(given.store) / "group").read_text()).write_text(str(os.getpid()))
    with (Path(given.store) / "packs").open("a") as file:
        file.write(f"{len(job.assignments)}\n")
    needed = [bytearray(os.urandom(4096)) * (HUNGER // 4096) for _ in job.assignments]
    outcome = Executor(Curves()).run(job)
    needed.clear()
    return outcome


def _result(given: Setup, job: Job, trial: Trial) -> Result:
    does = str(trial.hyperparameters["does"])
    told = MEETS[does](Path(given.store, str(trial.number)))
    score = -((float(trial.hyperparameters["x"]) - 3) ** 2)
    return Result(trial.number, job.stop, "validation", score, 0.0, 0.0, float(len(DONE)), told, os.getpid())


def _work(_mark: Path) -> str:
    return "worked"


def _raise(mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        raise ValueError(f"no such\n thing: {mark.name}")
    return "fine"


def _die(mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def _stop(mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


def _sleep(mark: Path) -> str:
    mark.touch()
    time.sleep(600)
    return "awake"


def _follow(mark: Path) -> str:
    while not mark.with_name(str(int(mark.name) - 1)).exists():
        time.sleep(0.02)
    return "followed"


def _look(mark: Path) -> str:
    import torch

    return f"{torch.get_num_threads()} threads, devices {os.environ.get('CUDA_VISIBLE_DEVICES')!r}"


def _nice(mark: Path) -> str:
    return f"nice {os.nice(0)}"


def _keep(mark: Path) -> str:
    from ulpt_search.workers.training.store import AdapterStore

    os.environ |= json.loads(mark.with_name("environment").read_text())
    mark.touch()
    AdapterStore("s3://adapters/mine", patience=600).keep(b"what was computed")
    return "kept"


MEETS: Mapping[str, Callable[[Path], str]] = {
    "work": _work,
    "raise": _raise,
    "die": _die,
    "stop": _stop,
    "sleep": _sleep,
    "follow": _follow,
    "look": _look,
    "nice": _nice,
    "keep": _keep,
}


class Brain:
    """Gives out one job per trial, and each trial with a problem again, up to three times."""

    def __init__(self, *what: str, pack: int = 1) -> None:
        trials = [Trial(number, "none", {"does": does, "x": number / 2}, 0, 1) for number, does in enumerate(what)]
        self.waiting = deque(tuple(trials[i : i + pack]) for i in range(0, len(trials), pack))
        self.running: dict[int, Job] = {}
        self.outcomes: list[Outcome] = []
        self.lost: list[str] = []
        self.most_running = 0
        self.asked = 0

    def next_job(self) -> Job | None:
        self.asked += 1
        if not self.waiting:
            return None
        job = Job(len(self.running) + len(self.outcomes), tuple(Assignment(trial) for trial in self.waiting.popleft()), stop=10)
        self.running[job.number] = job
        self.most_running = max(self.most_running, len(self.running))
        return job

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        trials = {assignment.trial.number: assignment.trial for assignment in self.running.pop(outcome.job).assignments}
        if outcome.lost:
            self.lost.append(outcome.lost)
            self.waiting.extend((trial,) for trial in trials.values() if len(self.lost) < 5)
        failures = [problem.trial for each in self.outcomes for problem in each.problems]
        self.waiting.extend((trials[problem.trial],) for problem in outcome.problems if failures.count(problem.trial) < 3)

    def finished(self) -> bool:
        return not self.waiting and not self.running

    @property
    def results(self) -> list[Result]:
        return [result for outcome in self.outcomes for result in outcome.results]

    @property
    def errors(self) -> list[str]:
        return [problem.error for outcome in self.outcomes for problem in outcome.problems]

    def run(self, cluster: Cluster) -> "Brain":
        cluster.run(next_job=self.next_job, record=self.record, finished=self.finished)
        return self


def search(home: Path, what: Sequence[str]) -> int:
    """Drive a local cluster of one worker and write each outcome down."""
    brain = Brain(*what)

    def record(outcome: Outcome) -> None:
        brain.record(outcome)
        with (home / "outcomes").open("a") as file:
            file.write(json.dumps(outcome.to_json()) + "\n")

    with Cluster(
        workers=1,
        cpus_per_worker=1,
        gpus_per_worker=0,
        address=None,
        storage=home / "ray",
        setup=setup(home),
        run_job="cluster_jobs:compute",
    ) as cluster:
        cluster.run(next_job=brain.next_job, record=record, finished=brain.finished)
    return 0
