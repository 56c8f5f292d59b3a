"""Memory that runs out on the host: the kernel ends workers, and the search goes on in packs that fit."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ulpt_search.search.brain.study import Study
from ulpt_search.search.running.cluster import Cluster
from ulpt_search.spaces.attempts import LOST
from ulpt_search.spaces.records import Job, Outcome

from .cluster_jobs import HUNGER, setup
from .processes import ROOT
from .simulated import count, methods_that_fit, space

GROUPS = Path("/sys/fs/cgroup")
ROOM = 2.5
"""Trials that the group has memory for."""


def _group() -> Path:
    """A new control group that cannot have more than `ROOM` trials' memory; of version 1 or 2 of the kernel's interface."""
    first = (GROUPS / "memory").is_dir()
    group = (GROUPS / "memory" if first else GROUPS) / f"ulpt-tests-{os.getpid()}"
    limits = {"memory.limit_in_bytes": ROOM} if first else {"memory.max": ROOM, "memory.swap.max": 0}
    group.mkdir()
    try:
        for name, trials in limits.items():
            if first or (group / name).exists() or name == "memory.max":
                (group / name).write_text(str(int(trials * HUNGER)))
    except OSError:
        group.rmdir()
        raise
    return group


@pytest.fixture
def group() -> Iterator[Path]:
    try:
        made = _group()
    except OSError as error:
        pytest.skip(f"no control group with a limit of memory can be made here: {error}")
    yield made
    deadline = time.monotonic() + 10
    while (made / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    made.rmdir()


def killed(group: Path) -> int:
    """How many processes of the group the kernel has ended for want of memory."""
    events = [group / name for name in ("memory.oom_control", "memory.events") if (group / name).exists()]
    (line,) = [line for line in events[0].read_text().splitlines() if line.startswith("oom_kill ")]
    return int(line.split()[1])


@pytest.mark.slow
def test_workers_that_the_kernel_ends_for_want_of_memory_shrink_packs_and_fail_nobody(
    group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    (tmp_path / "group").write_text(str(group / "cgroup.procs"))
    chosen = space(trials=12, rungs=(25,), methods=["prompt"])
    study = Study(space=chosen, budget=10_000, count=count, methods=methods_that_fit(chosen, 10_000), seed=0, pack=4)
    jobs, lost = list[Job](), Counter[str]()

    def next_job() -> Job | None:
        job = study.next_job()
        jobs.extend([job] if job else [])
        return job

    def record(outcome: Outcome) -> None:
        lost.update([outcome.lost] if outcome.lost else [])
        study.record(study.judged(outcome))

    with TemporaryDirectory(prefix="t-", dir="/tmp") as short:  # Ray's socket paths must be short
        monkeypatch.setenv("RAY_TMPDIR", short)
        own = Cluster(
            workers=1,
            cpus_per_worker=1,
            gpus_per_worker=0,
            address=None,
            storage=tmp_path / "ray",
            setup=setup(tmp_path),
            run_job="cluster_jobs:hungry",
        )
        with own as cluster:
            cluster.run(next_job=next_job, record=record, finished=lambda: study.finished)
        assert killed(group) == lost[LOST] == lost.total() >= 2
    sizes = [len(job.assignments) for job in jobs]
    assert sizes[0] > 2
    assert lost.total() <= 4, "no endless shrinking, and no endless dying"
    assert sum(size > 2 for size in sizes) == lost.total()
    assert 2 in sizes[-6:] or 1 in sizes[-6:]
    assert study.failed == {}
    assert len({trial.number for trial in study.trials.values() if trial.purpose == "search"}) == 12
