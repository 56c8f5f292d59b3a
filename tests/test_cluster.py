"""The cluster on the real Ray Tune: outcomes once, workers that last, and nothing left behind."""

import gc
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster as RayCluster

from ulpt_search.search.running import tune_jobs
from ulpt_search.search.running.cluster import Cluster
from ulpt_search.search.running.leftovers import clear
from ulpt_search.search.running.supervisor import Interrupted
from ulpt_search.spaces.attempts import SILENT
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Job, Outcome

from . import moto_store
from .cluster_jobs import Brain, setup
from .processes import ROOT, Program

Open = Callable[..., Cluster]
SUPERVISED = """
import sys
from pathlib import Path
from ulpt_search.search.running.supervisor import run_supervised

def main():
    from cluster_jobs import search
    return search(Path(sys.argv[1]), sys.argv[2:])

sys.exit(run_supervised(main, after=lambda status: print("after", status, flush=True)))
"""


@pytest.fixture(scope="module")
def short() -> Iterator[Path]:
    """A temporary folder with a short name, since Ray puts sockets there."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def address(short: Path) -> Iterator[str]:
    """Somebody else's cluster of two CPUs and, so it says, one GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else 15, at which a machine with other tests on it leaves them next to nothing
        patch.setenv("RAY_TMPDIR", str(short))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        node = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False, "object_store_memory": 10**8}
        cluster = RayCluster(initialize_head=True, head_node_args=node)
        yield cluster.address
        cluster.shutdown()
        del cluster
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # Ray's own log files
            gc.collect()


@pytest.fixture
def join(address: str, tmp_path: Path) -> Open:
    """Join that cluster with two workers, or as told."""

    def join(*, workers: int = 2, gpus: float = 0, patience: float = 60) -> Cluster:
        return Cluster(
            workers=workers,
            cpus_per_worker=1,
            gpus_per_worker=gpus,
            address=address,
            storage=tmp_path / "ray",
            setup=setup(tmp_path),
            run_job="cluster_jobs:compute",
            patience=patience,
        )

    return join


def test_outcomes_arrive_once_from_workers_that_remember(join: Open) -> None:
    with join() as cluster:
        brain = Brain(*["work"] * 12, pack=2).run(cluster)
        again = Brain("work").run(cluster)
    assert sorted((result.trial, result.score) for result in brain.results) == [(n, -((n / 2 - 3) ** 2)) for n in range(12)]
    assert sorted(outcome.job for outcome in brain.outcomes) == list(range(6))
    jobs_of = {result.bytes: result.seconds for result in brain.results}
    assert len(jobs_of) <= 2
    assert sum(jobs_of.values()) == 6, "a worker's module-level values live as long as its process"
    assert brain.most_running <= 2, "a job is only asked for when a worker is free to start it"
    assert len(again.results) == 1


def test_jobs_go_to_tune_in_rounds_and_none_is_lost_between_them(join: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each job Tune keeps a record as long as it lives, so it does not live as long as a search."""
    monkeypatch.setattr(tune_jobs, "ROUND", 2)
    with join(workers=1) as cluster:
        brain = Brain("work", "work", "work").run(cluster)
    assert sorted(outcome.job for outcome in brain.outcomes) == [0, 1, 2]
    assert max(result.seconds for result in brain.results) == 2
    assert len({result.bytes for result in brain.results}) == 2, "each round's workers begin anew"


def test_a_killed_worker_and_an_error_become_problems_that_are_tried_again(join: Open, tmp_path: Path) -> None:
    with join() as cluster:
        brain = Brain("die", "raise", "work").run(cluster)
    assert sorted(result.trial for result in brain.results) == [0, 1, 2]
    (raised,) = brain.errors
    assert brain.lost == ["its worker process died: killed, out of memory, or its machine was lost"]
    assert re.fullmatch(r"ValueError: no such thing: 1 \(cluster_jobs.py:\d+\)", raised)
    assert not any(problem.fatal for outcome in brain.outcomes for problem in outcome.problems)
    (folder,) = (tmp_path / "ray").iterdir()
    reports = "".join(path.read_text() for path in folder.iterdir())
    assert folder.name == "errors", "what Tune wrote for itself is gone"
    assert "worker process has died" in reports
    assert 'in _raise\n    raise ValueError(f"no such' in reports


def test_a_worker_that_neither_answers_nor_ends_is_replaced(join: Open, tmp_path: Path) -> None:
    brain = Brain("stop", "work")
    began = time.monotonic()

    def limit(job: Job) -> float:
        return 1.0 if job.number == 0 and (tmp_path / "0").exists() else 100.0

    with join(workers=1) as cluster:
        cluster.run(next_job=brain.next_job, record=brain.record, finished=brain.finished, limit=limit)
    assert sorted(result.trial for result in brain.results) == [0, 1]
    assert brain.lost == [SILENT]
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_worker_whose_store_is_away_is_not_waited_for_beyond_the_time(
    join: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its patience is ten minutes, the search's time is over as soon as it waits."""
    heard = list[tuple[float, str]]()
    with moto_store.bucket(monkeypatch) as bucket:
        names = (*moto_store.PUBLIC, "AWS_ENDPOINT_URL")
        (tmp_path / "environment").write_text(json.dumps({name: os.environ[name] for name in names}))
        bucket.end()
        brain = Brain("keep")
        with join(workers=1) as cluster:
            cluster.run(
                next_job=brain.next_job,
                record=brain.record,
                finished=brain.finished,
                hear=lambda why: heard.append((time.monotonic(), why)),
                late=lambda: bool(heard),
            )
            over = time.monotonic()
        bucket.start()
    (waited,) = heard
    assert over - waited[0] < 120
    assert "the store s3://adapters/mine cannot be" in waited[1]
    assert [outcome.unable for outcome in brain.outcomes] == [f"{waited[1].partition(';')[0]} until the time was over"]


def test_a_place_where_nothing_works_ends_the_run_and_blames_nobody(join: Open) -> None:
    brain = Brain("unable", "unable", "unable")
    told = "^the store cannot be written: read-only; no trial is to blame: put that right and run again$"
    with join(workers=1) as cluster, pytest.raises(Failure, match=told):
        brain.run(cluster)
    assert brain.errors == []


def test_workers_take_their_share_and_leave_others_alone(join: Open, address: str) -> None:
    class Other:
        def answer(self) -> int:
            return 42

    with somebody_else(address):
        other: Any = ray.remote(Other).options(name="other", lifetime="detached", num_cpus=0).remote()
        assert ray.get(other.answer.remote()) == 42
    with join(gpus=0.5) as cluster:
        brain = Brain("look").run(cluster)
    assert [result.adapter for result in brain.results] == ["1 threads, devices '0'"]
    with somebody_else(address):
        other = ray.get_actor("other")
        assert ray.get(other.answer.remote()) == 42, "it lives on"


@contextmanager
def somebody_else(address: str) -> Iterator[None]:
    ray.init(address=address, namespace="others", log_to_driver=False, configure_logging=False)
    try:
        yield
    finally:
        ray.shutdown()


def test_a_cluster_without_room_says_what_it_has(join: Open) -> None:
    with pytest.raises(WrongInput) as caught, join(workers=4, gpus=0.5):
        pass
    assert str(caught.value) == (
        "--workers 4: each takes 1 CPUs and 0.5 GPUs, and the cluster (2 CPUs and 1 GPUs) has room for 2; "
        "take fewer workers or give each less"
    )
    assert not ray.is_initialized()


def test_what_record_raises_ends_the_run_at_once(join: Open) -> None:
    brain = Brain("sleep", "follow")

    def lose(outcome: Outcome) -> None:
        began.append(time.monotonic())
        raise OSError("the ledger's disk is gone")

    began: list[float] = []
    with join() as cluster:
        with pytest.raises(OSError, match="the ledger's disk is gone"):
            cluster.run(next_job=brain.next_job, record=lose, finished=brain.finished)
        with pytest.raises(Failure, match="the cluster is closed"):
            brain.run(cluster)
    assert time.monotonic() - began[0] < 10, "it does not wait for the job that sleeps"


def test_a_signal_ends_the_run_and_is_handled_as_before_afterwards(join: Open, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), dict(os.environ)
    brain = Brain("work", "sleep")
    with join(workers=1) as cluster:
        threading.Thread(target=terminate, args=(tmp_path / "1",)).start()
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            brain.run(cluster)
    assert [result.trial for result in brain.results] == [0], "what was recorded stays"
    assert (signal.getsignal(signal.SIGTERM), dict(os.environ)) == before


def test_nothing_to_do_is_waited_for_quietly_but_not_for_ever(join: Open) -> None:
    empty, late = Brain(), Brain("work")
    asked: list[float] = []

    def later() -> Job | None:
        asked.append(time.monotonic())
        return late.next_job() if len(asked) > 2 else None

    with join(patience=1) as cluster:
        cluster.run(next_job=later, record=late.record, finished=late.finished)
        assert len(late.results) == 1
        assert asked[2] - asked[0] > 0.5, "no busy loop"
        with pytest.raises(Failure, match="no job to run for 1 s although the search is not finished and none is running"):
            cluster.run(next_job=empty.next_job, record=empty.record, finished=lambda: False)


def test_no_cluster_at_that_address(tmp_path: Path) -> None:
    absent = Cluster(workers=1, cpus_per_worker=1, gpus_per_worker=0, address="not an address", storage=tmp_path, setup=setup(tmp_path))
    with pytest.raises(WrongInput, match="--address not an address: no Ray cluster there"), absent:
        pass


@pytest.mark.slow
def test_a_machine_whose_node_is_gone_is_told_to_begin_it_again(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster answers, as it does after a cut, and this machine is none of its nodes. Ray itself looks for a minute."""
    for name, value in {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(short)}.items():
        monkeypatch.setenv(name, value)
    other = RayCluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8})
    head: Any = other.head_node
    own = {"workers": 1, "cpus_per_worker": 1, "gpus_per_worker": 0}
    try:
        head.kill_raylet()
        gone = Cluster(**own, address=other.address, storage=tmp_path, setup=setup(tmp_path))  # type: ignore[arg-type]
        with pytest.raises(WrongInput, match=r"is this machine one of its nodes, and still counted\? `ray start --address=\S+`"), gone:
            pass
    finally:
        other.shutdown()


def test_a_cluster_of_our_own_without_a_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    own = Cluster(workers=1, cpus_per_worker=1, gpus_per_worker=0, address=None, storage=tmp_path, setup=setup(tmp_path))
    with pytest.raises(WrongInput, match="RAY_AUTH_MODE: without Ray's token, anybody on the network could run code here"), own:
        pass


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Run a search on a cluster of its own, under the supervisor."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as temporary:
        # -P, as the installed command has it: its own path does not begin with the current folder
        yield lambda *what: Program(["-P", "-c", SUPERVISED, str(tmp_path), *what], folder=tmp_path, temporary=Path(temporary))


def test_workers_import_nothing_of_this_folder_and_are_as_urgent_as_who_started_them(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    for name in ("statistics", "attrs", "tokenizers"):  # what lies beside the data is not what a worker imports
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    status, _, _ = program("nice").end(seconds=90)
    (line,) = (tmp_path / "outcomes").read_text().splitlines()
    (result,) = Outcome.from_json(json.loads(line)).results
    assert (status, result.adapter) == (0, f"nice {os.nice(0)}")


def test_ctrl_c_in_the_middle(program: Callable[..., Program], tmp_path: Path) -> None:
    search = program("die", "work", "sleep")
    search.until((tmp_path / "2").exists)
    began = time.monotonic()
    os.killpg(search.process.pid, signal.SIGINT)
    status, out, err = search.end()
    assert (status, out, err) == (130, "after 130\n", ""), "and Ray has said nothing meanwhile"
    assert time.monotonic() - began < 10
    assert_nothing_left(search)
    assert recorded(tmp_path) == [[], [1]]


@pytest.mark.parametrize("victim", ["driver", "supervisor"])
def test_kill_9(program: Callable[..., Program], tmp_path: Path, victim: str) -> None:
    search = program("work", "sleep")
    search.until((tmp_path / "1").exists)
    (search.child() if victim == "driver" else search.process).kill()
    status, out, _ = search.end()
    assert (status, out) == ((137, "after 137\n") if victim == "driver" else (-9, ""))
    assert_nothing_left(search)
    assert recorded(tmp_path) == [[0]]


@pytest.mark.slow
def test_what_nobody_was_left_to_clear_away_the_next_command_does(program: Callable[..., Program], tmp_path: Path) -> None:
    first = program("work", "sleep")
    first.until((tmp_path / "1").exists)
    first.process.send_signal(signal.SIGSTOP)
    for process in (first.child(), first.process):  # the first to die has nobody awake who would sweep
        process.kill()
    first.end()
    (folder,) = first.temporary.iterdir()
    clear(str(first.temporary))
    assert first.left(within=10) == []
    assert not folder.exists()


@pytest.mark.parametrize("victim", ["raylet", pytest.param("gcs_server", marks=pytest.mark.slow)])
def test_a_cluster_that_ends_is_begun_again(program: Callable[..., Program], tmp_path: Path, victim: str) -> None:
    search = program("work", "sleep", "work")
    search.until((tmp_path / "1").exists)
    killed = next(process for process in search.child().children(recursive=True) if process.name() == victim)
    began = time.monotonic()
    killed.kill()
    (tmp_path / "1").unlink()
    search.until((tmp_path / "1").exists, seconds=60)
    assert time.monotonic() - began < 60
    os.killpg(search.process.pid, signal.SIGTERM)
    status, out, err = search.end()
    assert (status, out) == (143, "after 143\n")
    assert f"Ray's {victim} has ended; beginning again where it was" in err
    assert_nothing_left(search)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_a_cluster_that_ends_as_it_begins_is_begun_again(program: Callable[..., Program], tmp_path: Path, victim: str) -> None:
    search = program("work", "sleep")
    search.until(lambda: killed_at_once(search, victim))
    search.until((tmp_path / "1").exists, seconds=90)
    os.killpg(search.process.pid, signal.SIGTERM)
    status, out, err = search.end()
    assert (status, out) == (143, "after 143\n")
    assert "beginning again where it was" in err
    assert "Traceback" not in err
    assert_nothing_left(search)


def killed_at_once(search: Program, victim: str) -> bool:
    """Kill one as soon as it is there; says whether it was."""
    found = [process for process in psutil.Process(search.process.pid).children(recursive=True) if process.name() == victim]
    for process in found:
        process.kill()
    return bool(found)


def assert_nothing_left(search: Program) -> None:
    assert any("raylet" in name for name in search.family)
    assert any("gcs_server" in name for name in search.family)
    assert any("ray::" in name for name in search.family)
    assert search.left(within=10) == []
    assert list(search.home.iterdir()) == [], "Ray writes to nobody's home"
    assert list(search.temporary.iterdir()) == [], "sockets and logs are gone"


def recorded(home: Path) -> list[list[int]]:
    """The trials with results, outcome by outcome."""
    lines = (home / "outcomes").read_text().splitlines()
    return sorted([result.trial for result in Outcome.from_json(json.loads(line)).results] for line in lines)


def terminate(once: Path) -> None:
    """Send this process SIGTERM as soon as there is such a file, or after a minute."""
    deadline = time.monotonic() + 60
    while not once.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)
