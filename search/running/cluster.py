"""Jobs to outcomes on Ray Tune: each job is one Tune trial, and worker processes outlive their jobs.

Tune (`tune_jobs.py`) asks our `Searcher` for the next job and hands back what the worker reported; it decides nothing and holds nothing
worth keeping. Its loop runs in the calling thread, so `next_job` and `record` are never called at the same time.
"""

import contextlib
import math
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # Ray tells stdout about killed workers; it reads these when imported
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # under `uv run` it would send the current folder to the workers

import ray
from ray import tune
from ray.job_config import JobConfig

from ...spaces.attempts import LOST
from ...spaces.errors import Away, Failure, WrongInput
from ...spaces.records import Job, Outcome
from ...spaces.silence import silence
from ...spaces.space import Setup
from .dispatch import Dispatch, Halt, traced
from .process_state import environment, signal_handlers
from .room import check_room
from .supervisor import Interrupted, begin_again, stop_signals
from .tune_jobs import fit, trainable
from .watchdog import Watchdog, is_host_and_port, require_reach

_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker without a share of a GPU sees none
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kill raises inside Tune and ends the run; a worker that the kernel ends is replaced
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # 15 by default, at which any other busy program leaves a search next to nothing
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the ledger is the record
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_LOGGERS = ("ray", "ray.tune", "ray.air", "ray.train", "ray.data")
_TOKEN = secrets.token_hex(32)
"""Who may talk to a cluster we start. One per process, since Ray caches it."""
_LONGEST_FOLDER = 43
"""Characters: Ray's socket paths below it must fit in 107 bytes."""
_PROCESSES = ("raylet", "gcs_server")
"""What a cluster stands on."""
_OBJECT_STORE = 100 * 2**20
"""Bytes. Only Tune's own messages go through it."""


class Cluster:
    """Workers on a Ray cluster of our own, or on the one at `address`; use it as a context manager.

    Args:
        workers: Jobs that run at the same time, each in a process of its own.
        cpus_per_worker: CPUs of each; its torch gets as many threads (at least one).
        gpus_per_worker: GPUs of each; 0.5 lets two share one, 0 hides them.
        address: A running Ray cluster, in the forms of `ray.init`; None starts one on this machine, closed to others by a token.
        storage: Folder for what Ray Tune writes while it runs; `errors/` in it keeps the full report of each lost worker. Sockets
            and logs live in a temporary folder that goes with the cluster.
        setup: What every job of the study shares.
        run_job: `module:function` that does a job in the worker: `(setup, job) -> outcome`. Module-level caches live as long as
            the worker. An exception makes every trial of the job a problem, and the next job gets a fresh process.
        patience: Seconds that `next_job` may have nothing although nothing runs, before `run` gives up.
        lost: Called from another thread, with what is missing, when the cluster has ended under us: Ray then waits for it, or ends this
            process, when it likes. By default this process ends, and its supervisor begins again.
    """

    def __init__(
        self,
        *,
        workers: int,
        cpus_per_worker: float,
        gpus_per_worker: float,
        address: str | None,
        storage: Path,
        setup: Setup,
        run_job: str = "ulpt_search.workers.training.worker:run_job",
        patience: float = 60.0,
        lost: Callable[[str], object] = begin_again,
    ) -> None:
        self._workers = workers
        self._cpus = cpus_per_worker
        self._gpus = gpus_per_worker
        self._address = address
        self._storage = storage.resolve()
        self._setup = setup
        self._run_job = run_job
        self._patience = patience
        self._lost = lost
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        """Start or join the cluster. Raises `WrongInput` when it is not there or too small, `Failure` when Ray does not start."""
        with ExitStack() as undo:
            undo.enter_context(environment(_QUIET))
            undo.enter_context(silence(*_LOGGERS))
            undo.callback(ray.shutdown)
            self._watchdog = self._start(undo) if self._address is None else self._join()
            undo.callback(self._watchdog.close)
            check_room(ray.nodes(), self._workers, cpus=self._cpus, gpus=self._gpus)
            self._undo = undo.pop_all()
        return self

    def _watch_address(self) -> Watchdog:
        host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
        return Watchdog(lost=self._lost, address=(host.strip("[]"), int(port)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the cluster we started, or our own part in another's."""
        self._undo.close()

    def run(
        self,
        *,
        next_job: Callable[[], Job | None],
        record: Callable[[Outcome], None],
        finished: Callable[[], bool],
        limit: Callable[[Job], float] = lambda job: math.inf,
        waits: Callable[[], bool] = lambda: False,
        hear: Callable[[str], None] = lambda why: None,
        late: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run jobs until `finished`; `record` gets each job's outcome once, before a worker's next job is asked for.

        `next_job` may return None: it is asked again, ten times a second while jobs run, else once a second. What any of the
        three raises ends the run with it. SIGINT and SIGTERM raise `Interrupted` within a second, a second one at once. In
        these cases running jobs are abandoned and the cluster is left. A worker that has not answered within `limit(job)` seconds, in
        which this process was running, is ended and replaced; one that waits for something outside, which `hear` is told of, is not late
        until `late` says that the time is over.
        """
        if not ray.is_initialized():
            raise Failure("the cluster is closed: use it inside `with`, and start another one after a run that did not finish")
        watchdog = self._watchdog
        run = Dispatch(next_job, record, finished, self._patience, limit, watchdog.clock, waits, hear, watchdog.beat, late)
        try:
            with signal_handlers(), _stopping(run):
                before = -1
                while not run.over() and run.given > before:  # a round that gave nothing and ends all the same is no reason for another
                    before = run.given
                    self._fit(run)
                    for name in list(run.jobs):  # Tune has left early, as it does on SIGUSR1
                        run.lose(name, LOST)
            run.check()
        except Halt:
            raise run.reason or Failure("the run ended early for no reason") from None
        finally:
            watchdog.rest()
            if run.reason is not None:
                self._undo.close()

    def _fit(self, run: Dispatch) -> None:
        train = trainable(self._setup, run_job=self._run_job, threads=max(1, int(self._cpus)))
        fit(run, tune.with_resources(train, {"cpu": self._cpus, "gpu": self._gpus}), workers=self._workers, storage=self._storage)

    def _join(self) -> Watchdog:
        try:
            with _connecting():
                ray.init(address=self._address, log_to_driver=False, configure_logging=False, job_config=_own_code_alone())
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise WrongInput(_not_joined(str(self._address), error)) from error
        return self._watch_address()

    def _start(self, undo: ExitStack) -> Watchdog:
        """Start a cluster under the eyes of a watchdog: Ray itself waits half a minute for a raylet that died while it began."""
        if os.environ.get("RAY_AUTH_MODE", "token") != "token":  # Ray listens on all interfaces
            raise WrongInput("RAY_AUTH_MODE: without Ray's token, anybody on the network could run code here; unset it, or give --address")
        folder = _socket_folder()
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        undo.enter_context(environment({"RAY_AUTH_TOKEN": _TOKEN}))
        undo.callback(ray.shutdown)
        watchdog = Watchdog(lost=self._lost, children=_PROCESSES)
        undo.callback(watchdog.close)  # before Ray ends them itself
        try:
            with _connecting():
                ray.init(
                    address="local",
                    num_cpus=math.ceil(self._workers * self._cpus),
                    num_gpus=None if self._gpus else 0,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    object_store_memory=_OBJECT_STORE,
                    job_config=_own_code_alone(),
                    _temp_dir=folder,
                )
        except Exception as error:  # a bare one where the raylet does not answer; waiting for the gcs, Ray lets no thread of ours look
            if why := watchdog.missing():
                self._lost(why)
            raise Failure(f"Ray does not start on this machine: {traced(error)}") from error
        return watchdog


def _not_joined(address: str, error: Exception) -> str:
    """Say what is missing: the cluster, or this machine among its nodes, as after it was out of reach for long."""
    try:
        require_reach(address)
        answers = is_host_and_port(address)
    except Away:
        answers = False
    if not answers:
        return f"--address {address}: no Ray cluster there ({traced(error)}); leave it out to start one"
    told = f"it cannot be joined from here ({traced(error)})"
    return f"--address {address}: {told}; is this machine one of its nodes, and still counted? `ray start --address={address}` makes it one"


def _own_code_alone() -> JobConfig:
    """Keep workers from importing what lies in the folder where the command was typed: a `statistics.py` there is not Python's own."""
    job = JobConfig()
    job._client_job = True  # all that it does here: the current folder is not put into the workers' path
    return job


@contextmanager
def _connecting() -> Iterator[None]:
    """Undo that `ray.init` makes SIGTERM exit with status 15."""
    with signal_handlers():
        try:
            yield
        except SystemExit:
            raise Interrupted(signal.SIGTERM) from None


def _stopping(run: Dispatch) -> contextlib.AbstractContextManager[None]:
    def stop(signum: int) -> None:
        run.reason = run.reason or Interrupted(signum)

    main = threading.current_thread() is threading.main_thread()
    return stop_signals(stop) if main else contextlib.nullcontext()


def _socket_folder() -> str:
    bases = [base for base in (tempfile.gettempdir(), "/tmp") if len(base) + len("/ray-12345678") <= _LONGEST_FOLDER]
    return tempfile.mkdtemp(prefix="ray-", dir=bases[0])
