"""An MLflow server of the tests' own, on loopback, which can be killed and begun again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


class Server:
    """Keeps its runs and files in a folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self, *, seconds: float = 120) -> None:
        """Begin it, and wait for so many seconds until it listens."""
        store, files = f"sqlite:///{self._folder}/mlflow.sqlite", str(self._folder / "mlartifacts")
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(
            [*command, "--backend-store-uri", store, "--artifacts-destination", files],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + seconds
        while not self.listens() and time.monotonic() < deadline:
            time.sleep(0.1)

    def listens(self) -> bool:
        """Whether somebody answers at its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def kill(self) -> None:
        """SIGKILL for all of its processes."""
        if self.process is None:
            return
        family = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGKILL)
        for process in family:
            process.kill() if process.is_running() else None
        self.process.wait(10)
        self.process = None


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Yield one that listens."""
    one = Server(folder)
    one.start()
    try:
        yield one
    finally:
        one.kill()
