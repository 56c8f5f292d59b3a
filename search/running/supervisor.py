"""A parent that leaves nothing behind however we end: Ctrl-C, SIGTERM, a closed terminal, kill -9 of the work or of the parent itself.

The parent forks before anything heavy is imported and only waits. Both processes are subreapers (prctl(2)), so a daemon whose own
parent died becomes a child of the nearest of the two and can be found; whoever ends last kills what is left, by process id. Where both
are killed at once, the next command does (`leftovers.py`).
"""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SAME_WISH = 0.5
"""Seconds. timeout(1) signals a process and then its group, which is one wish to stop."""
AGAIN = 75
"""Status of a child that is to be begun again (EX_TEMPFAIL of sysexits.h)."""
IN_VAIN = 3
"""A child that has to be begun again so often in a row, without having got on in between, has nothing to stand on."""
_GOT_ON = "got-on"
"""A file in the child's temporary folder: that it has."""
_LONGEST_FOLDER = 24
"""Characters: Ray's socket paths below it must fit in 107 bytes."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM asked the work to stop. What was recorded before stays."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def status(self) -> int:
        """The exit status a shell expects of it."""
        return 128 + self.signum


@contextmanager
def stop_signals(first: Callable[[int], None]) -> Iterator[None]:
    """While inside, the first SIGINT or SIGTERM calls `first(signum)`; a second one, later, raises `Interrupted` at once.

    Signals that are ignored (nohup, background jobs) stay ignored. Main thread only.
    """
    since: list[float] = []

    def handle(signum: int, _frame: FrameType | None) -> None:
        if not since:
            since.append(time.monotonic())
            first(signum)
        elif time.monotonic() - since[0] > _SAME_WISH:
            raise Interrupted(signum)

    with _handlers({signal.SIGINT: handle, signal.SIGTERM: handle}):
        yield


def run_supervised(main: Callable[[], int], *, after: Callable[[int], None] | None = None) -> int:
    """Run `main` in a child process and return its exit status (128 + N when signal N ended it).

    A child that ends by `begin_again` is replaced by another one, unless it was asked to stop or children have not `got_on` for a while.
    When the last has ended, every process it left is killed, its temporary files (`TMPDIR` is a folder of their own) are removed, and
    `after(status)` may close what the child could not. When this process is killed, the child gets SIGTERM and cleans up itself.
    Anywhere but on Linux this is just `main()` and `after`.
    """
    stops: list[int] = []
    status = _supervise(main, stops) if sys.platform == "linux" else main()
    if after is not None:
        after(status)
    if status == AGAIN:
        return 128 + stops[0] if stops else 1
    return status


def _supervise(main: Callable[[], int], stops: list[int]) -> int:
    from .leftovers import held_folder

    base = tempfile.gettempdir()
    others = {process.pid for process in psutil.Process().children()}
    with held_folder(base if len(base) <= _LONGEST_FOLDER else "/tmp") as folder:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            return _in_children(main, folder=folder, others=others, stops=stops)
        finally:
            _sweep(keep=others)
            _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _in_children(main: Callable[[], int], *, folder: str, others: set[int], stops: list[int]) -> int:
    """Run `main` in one child after the other, for as long as each asks to be begun again; signals that ask to stop go into `stops`."""
    global _again
    in_vain, mark, _again = 0, Path(folder, _GOT_ON), False
    while True:
        status = _in_child(main, folder=folder, stops=stops)
        _again, in_vain = True, 0 if mark.exists() else in_vain + 1
        mark.unlink(missing_ok=True)
        if status != AGAIN:
            return status
        if stops:
            sys.stderr.write(f"stopped by {signal.Signals(stops[0]).name}, so it is not begun again\n")
            return AGAIN
        if in_vain >= IN_VAIN:
            sys.stderr.write(f"error: begun {in_vain} times in a row and never got on; run the same command again\n")
            return AGAIN
        _sweep(keep=others)


def got_on() -> None:
    """Say that something was done that stays: a child that has to be begun again now was not begun in vain."""
    if _supervised:
        Path(tempfile.gettempdir(), _GOT_ON).touch()


def _in_child(main: Callable[[], int], *, folder: str, stops: list[int]) -> int:
    parent = os.getpid()
    waiting = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, waiting)  # a signal between the fork and the handlers waits for them
    child = os.fork()
    if child == 0:
        _be_child(main, parent=parent, folder=folder, unblock=waiting)
    return _wait(child, unblock=waiting, stops=stops)


def begin_again(why: str) -> NoReturn:
    """End this process at once, whatever its threads are waiting for, so that its supervisor begins it again.

    For work that may be killed at any moment. Without a supervisor it ends with status 1. May be called from any thread.
    """
    again = "beginning again where it was" if _supervised else "run the same command again"
    show = "\x1b[?25h" if sys.stderr.isatty() else ""  # a live screen hides the cursor
    os.write(2, f"{show}{why}; {again}\n".encode())
    os._exit(AGAIN if _supervised else 1)


def _wait(child: int, *, unblock: set[signal.Signals], stops: list[int]) -> int:
    def forward(signum: int, _frame: FrameType | None) -> None:
        stops.append(signum)
        os.kill(child, signal.SIGTERM if signum == signal.SIGHUP else signum)

    with _handlers(dict.fromkeys(unblock, forward)):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblock)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # not reaped yet: `forward` cannot hit a stranger with the same id
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


_supervised = False
"""Whether this process is a supervisor's child."""
_again = False
"""In a child: whether another one was there before, which asked to be begun again."""


def is_begun_again() -> bool:
    """Whether this process goes on where another one was, so that what it was given is known to be right."""
    return _again


def _be_child(main: Callable[[], int], *, parent: int, folder: str, unblock: set[signal.Signals]) -> NoReturn:
    global _supervised
    _supervised, status = True, 1
    try:
        os.setpgid(0, 0)  # so that a signal to our group reaches the work once, through the parent, and none of its workers
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        with stop_signals(_raise):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, unblock)
            status = int(main()) if os.getppid() == parent else 128 + signal.SIGTERM
    except BaseException as error:
        status = _status(error)
    finally:
        _leave(status, alone=os.getppid() != parent, folder=folder)


def _status(error: BaseException) -> int:
    if isinstance(error, Interrupted):
        return error.status
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return error.code or 0
    traceback.print_exception(error)
    return 1


def _leave(status: int, *, alone: bool, folder: str) -> NoReturn:
    """End a forked process: what was registered at exit runs, the parent's stack does not."""
    import atexit

    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        atexit._run_exitfuncs()
        if alone:
            _sweep(keep=set())
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _sweep(*, keep: set[int], seconds: float = 5.0) -> None:
    """Kill this process's descendants, except the children named in `keep`, until none is left."""
    deadline = time.monotonic() + seconds
    me = psutil.Process()
    while time.monotonic() < deadline:
        left = [child for child in me.children() if child.pid not in keep]
        if not left:
            return
        tree = [process for child in left for process in (child, *_descendants(child))]
        for process in tree:
            _kill(process)
        psutil.wait_procs(left, timeout=1)  # also reaps them; their orphans are our children by then


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def _raise(signum: int) -> NoReturn:
    raise Interrupted(signum)


Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def _handlers(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    heard = {signum: handler for signum, handler in handlers.items() if signal.getsignal(signum) is not signal.SIG_IGN}
    before = {signum: signal.signal(signum, handler) for signum, handler in heard.items()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed: {os.strerror(ctypes.get_errno())}")
