"""What a program under test started, and whether any of it is still there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parent


class Program:
    """A Python program in a session of its own, with its own HOME and a short temporary folder, both of which must stay empty."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, temporary: Path) -> None:
        self.folder, self.home = folder, folder / "user"
        self.home.mkdir()
        self.temporary = temporary
        self._family: dict[psutil.Process, str] = {}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=_environment(HOME=str(self.home), TMPDIR=str(temporary)),
            start_new_session=True,
            preexec_fn=_heard,  # noqa: PLW1509 (it sets three handlers and takes no lock)
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )

    def child(self) -> psutil.Process:
        """The process that does the work: the supervisor's only child."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def until(self, condition: Callable[[], bool], *, seconds: float = 120) -> None:
        """Wait for it, and note the whole family that lives by then."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"did not happen; {self.end(seconds=0)}")
            time.sleep(0.05)
        self._family |= {process: _name(process) for process in psutil.Process(self.process.pid).children(recursive=True)}

    def end(self, *, seconds: float = 30) -> tuple[int, str, str]:
        """Wait for its end; return status, stdout and stderr."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        return self.process.returncode, out, err

    def left(self, *, within: float = 5) -> list[str]:
        """Names of processes of its family or session that still run after so many seconds."""
        deadline = time.monotonic() + within
        while (names := self._living()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return names

    def count(self, name: str) -> int:
        """How many of its descendants now bear this name."""
        return sum(_name(process) == name for process in psutil.Process(self.process.pid).children(recursive=True))

    @property
    def family(self) -> list[str]:
        """Names of all that `until` saw."""
        return sorted(self._family.values())

    def _living(self) -> list[str]:
        session = {process for process in psutil.process_iter() if _session(process.pid) == self.process.pid}
        others = (self._family.keys() | session) - {psutil.Process()}
        return sorted(_name(process) for process in others if process.pid != self.process.pid and _runs(process))


def _heard() -> None:
    """Under nohup, or in a script's background, these tests were started with signals ignored, which children inherit."""
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return "gone"


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def _environment(**values: str) -> Mapping[str, str]:
    path = os.pathsep.join(entry for entry in (str(ROOT), os.environ.get("PYTHONPATH", "")) if entry)
    own = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}  # a fixture's, for a cluster that is joined
    return {**own, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **values}
