"""What a search under fire stands on: a database, an MLflow server, perhaps a Ray cluster; how each is killed and begun again."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from ulpt_search.search.home import Home
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.reading import History, read_study
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Result
from ulpt_search.tests import mlflow_server, postgres, tiny

PARTS = {"raylet": "raylet", "gcs": "gcs_server", "worker": "ray::ImplicitFunc"}
"""Victims that are descendants of the command, by how their processes' names begin."""
OWN = ("driver", "supervisor", *PARTS)
NODES = ("driver", "supervisor", "worker", "node")
SERVERS = ("mlflow", "postgresql")
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Site:
    """Servers that all studies of a run share, and the nodes where there are two."""

    database: postgres.Server
    mlflow: mlflow_server.Server
    cluster: Any = None
    second: Any = None

    @property
    def options(self) -> list[str]:
        """What a search is told of it."""
        shared = ["--tracking-uri", self.mlflow.uri, "--ledger", self.database.url]
        return shared if self.cluster is None else [*shared, "--address", self.cluster.address]

    def alive(self, command: "subprocess.Popen[bytes]") -> list[str]:
        """What there is to kill at the moment; servers and nodes are always there."""
        parts = OWN if self.cluster is None else tuple(part for part in NODES if part != "node")
        living = [part for part in parts if _processes(command, part, elsewhere=self.cluster is not None)]
        return [*living, *(() if self.cluster is None else ("node",)), *SERVERS]

    def working(self) -> list[str]:
        """Names of the workers on a joined cluster's nodes; of a cluster that a search started itself, they are of its own session."""
        if self.cluster is None:
            return []
        return [process.name() for process in _named(psutil.Process(), PARTS["worker"])]

    def kill(self, victim: str, command: "subprocess.Popen[bytes]", *, pause: float) -> bool:
        """Kill one; False where there is none of that kind at the moment. Servers and nodes are begun again after `pause` seconds."""
        if victim == "postgresql":
            return self._restart(self._kill_database, self.database.start, pause)
        if victim == "mlflow":
            return self._restart(self.mlflow.kill, partial(self.mlflow.start, seconds=0), pause)  # no search waits for it, either
        if victim == "node":
            return self._restart(self._kill_node, self._add_node, pause)
        return _kill_part(command, victim, elsewhere=self.cluster is not None)

    def _restart(self, kill: Callable[[], None], start: Callable[[], None], pause: float) -> bool:
        kill()
        time.sleep(pause)
        start()
        return True

    def _kill_database(self) -> None:
        family = psutil.Process(self.database.pid).children(recursive=True)
        self.database.end(signal.SIGKILL)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)  # else the next one finds their shared memory in use

    def _kill_node(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)

    def _add_node(self) -> None:
        self.second = self.cluster.add_node(num_cpus=1, object_store_memory=10**8)


def _kill_part(command: "subprocess.Popen[bytes]", victim: str, *, elsewhere: bool) -> bool:
    try:
        _processes(command, victim, elsewhere=elsewhere)[0].kill()
    except (psutil.NoSuchProcess, IndexError):
        return False
    return True


def _processes(command: "subprocess.Popen[bytes]", victim: str, *, elsewhere: bool) -> list[psutil.Process]:
    """Who lives of a kind. Workers on nodes of a cluster are no descendants of the command, but of this process."""
    try:
        supervisor = psutil.Process(command.pid)
        if victim in PARTS:
            return _named(psutil.Process() if elsewhere else supervisor, PARTS[victim])
        return [one for one in ([supervisor] if victim == "supervisor" else supervisor.children()) if _lives(one)]
    except psutil.NoSuchProcess:
        return []


def _named(ancestor: psutil.Process, name: str) -> list[psutil.Process]:
    return [process for process in ancestor.children(recursive=True) if _lives(process) and process.name().startswith(name)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def site(folder: Path, *, nodes: int) -> Iterator[Site]:
    """Yield one whose servers run. With two nodes this process is the parent of a Ray cluster of two CPUs."""
    with ExitStack() as stack:
        database = stack.enter_context(postgres.restartable())
        mlflow = stack.enter_context(mlflow_server.server(folder))
        cluster, second = stack.enter_context(_two_nodes()) if nodes == 2 else (None, None)
        yield Site(database, mlflow, cluster, second)


@contextmanager
def _two_nodes() -> Iterator[tuple[Any, Any]]:
    from ray.cluster_utils import Cluster

    short = tempfile.mkdtemp(prefix="t-", dir="/tmp")
    paths = os.pathsep.join(filter(None, (str(ROOT.parent), os.environ.get("PYTHONPATH"))))
    own = {"RAY_worker_niceness": "0"}  # else 15, at which a busy machine leaves them next to nothing
    os.environ.update(own, RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=short, PYTHONPATH=paths)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8})
    second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    cluster.wait_for_nodes()
    try:
        yield cluster, second
    finally:
        cluster.shutdown()
        shutil.rmtree(short, ignore_errors=True)


class Searched:
    """A study of a folder, and the command that searches it."""

    def __init__(self, folder: Path, site: Site, *, name: str, seed: int, trials: int, workers: int) -> None:
        self.folder, self._name, self.site = folder, name, site
        self.temporary = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
        folder.mkdir()
        tiny.prepare(folder)
        own = ["--study", name, "--seed", str(seed), "--trials", str(trials), "--workers", str(workers)]
        calm = ["--quiet", "--no-references", "--pack", "2", "--set", "model.dtype=float32", "--patience", "3m"]
        self._command = [sys.executable, *tiny.COMMAND, *site.options, *own, *calm]

    @property
    def home(self) -> Home:
        """Where it keeps its state."""
        return Home.at(self.folder / "home", ledger=self.site.database.url, tracking_uri=self.site.mlflow.uri)

    @property
    def log(self) -> Path:
        """What the commands said."""
        return self.folder / "log"

    def note(self, line: str) -> None:
        """Write a line of our own among what the commands say."""
        with self.log.open("a", encoding="utf8") as log:
            log.write(line + "\n")

    def measure_as(self, other: "Searched") -> None:
        """Take over what the other study's home remembers of this machine: nothing is measured twice, or differently."""
        if other.home.cache.is_dir():
            self.home.prepare()
            shutil.copytree(other.home.cache, self.home.cache, dirs_exist_ok=True)

    def start(self) -> "subprocess.Popen[bytes]":
        """Give the command, in a session of its own."""
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        environment.pop("RAY_AUTH_MODE", None) if self.site.cluster is None else None
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True)

    def results(self) -> list[Result]:
        """Return what is acknowledged; nothing while the database is away, or before it knows the study."""
        try:
            ledger = Ledger.open(self.home.ledger_url)
            return ledger.results(self._name)
        except (Failure, WrongInput):
            return []

    def history(self) -> History:
        """Return all that was found."""
        return read_study(self.home, self._name)

    def curve(self) -> list[tuple[object, ...]]:
        """Return the results without what no two runs share: seconds, the files that hold them, and the order of the rows."""
        history = self.history()
        trials = {trial.number: trial for trial in history.trials}
        told = [(trials[one.trial], one) for one in history.results]
        return sorted((t.number, t.method, str(sorted(t.hyperparameters.items())), t.seed, r.step, r.split, r.score) for t, r in told)
