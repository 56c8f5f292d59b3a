"""Keeps MLflow equal to the ledger from a thread of its own, so that the search never waits for it.

MLflow may be slow, down, locked, out of disk or deleted meanwhile: the thread pauses, looks again and catches up. What it
could not write before the end is written the next time the study is opened, for the ledger has it all.
"""

import math
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ...spaces.errors import Failure, innermost, reason
from ...spaces.secrecy import masked
from .run_records import Snapshot, Status
from .surroundings import be_quiet

if TYPE_CHECKING:
    from ..ledger.ledger import StudyRecord
    from .runs import Tracking

_LONGEST_PAUSE = 30.0
_SIGN_OF_LIFE = 60.0
_SHARE = 10
"""Pause this many times as long as the last round took: the mirror takes at most a tenth of one core."""


Read = Callable[[Collection[int] | None], Snapshot]
"""Returns the ledger's records: of every trial (None), or of those that have changed since the last call and the ones of these numbers."""


class Mirror:
    """One study's mirror. `start` and `close` from the driver, `notify` from any thread; nothing here raises for MLflow's sake."""

    def __init__(self, *, tracking_uri: str, artifacts: Path | None, study: "StudyRecord") -> None:
        """`artifacts` is the folder for pictures and adapters; None leaves the place to the tracking server."""
        be_quiet()
        self._uri, self._artifacts, self._study = tracking_uri, artifacts, study
        self._tracking: Tracking | None = None
        self._thread: threading.Thread | None = None
        self._news, self._closing = threading.Event(), threading.Event()
        self._status: Status = "RUNNING"
        self._deadline = 0.0
        self._trouble: str | None = None
        self._complete = False
        self._moved = 0.0

    @property
    def trouble(self) -> str | None:
        """Why MLflow lags behind right now, in one line; None while all is well."""
        return self._trouble

    @property
    def chart(self) -> str:
        """Path of the UI page that opens with the curve drawn, relative to the server; empty before the first round."""
        return self._tracking.chart if self._tracking else ""

    def start(self, read: Read) -> None:
        """Begin to follow; `read` is called in the mirror's thread."""
        self._thread = threading.Thread(target=self._follow, args=(read,), name="mlflow mirror", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that the ledger has something new. Returns at once."""
        self._news.set()

    def close(self, *, status: Status, timeout: float, retry: float | None = None, silence: float = math.inf) -> bool:
        """Write what is left and end the study's run with `status`; return whether that was done within `timeout` seconds.

        What fails is tried again for as long, or for `retry` seconds. A server that has not answered for `silence` seconds is waited
        for no longer; a file of this machine is only slow when the machine is.
        """
        self._moved = now = time.monotonic()
        self._status, self._deadline = status, now + (timeout if retry is None else min(retry, timeout))
        self._closing.set()
        self._news.set()
        if self._thread is not None:
            self._wait_for(self._thread, timeout=timeout, silence=math.inf if self._uri.startswith("sqlite:") else silence)
        return self._complete

    def _wait_for(self, thread: threading.Thread, *, timeout: float, silence: float) -> None:
        until = time.monotonic() + timeout
        while thread.is_alive() and time.monotonic() < min(until, self._moved + silence):
            thread.join(0.05)

    def _got_on(self) -> None:
        self._moved = time.monotonic()

    def sync(self, snapshot: Snapshot, *, status: Status | None) -> None:
        """Make MLflow show the snapshot now, in the calling thread; `Failure` says in one line why it could not.

        `status` None is for a study that nobody drives: it stays as its last driver left it, and is not running.
        """
        try:
            self._sync(lambda also: snapshot, status)
        except Exception as error:
            raise Failure(f"MLflow at {masked(self._uri)}: {masked(_told(error))}. The ledger has everything; try again later") from error

    def _sync(self, read: Read, status: Status | None) -> None:
        if self._tracking is None:
            from .runs import Tracking  # a second of imports that the driver need not wait for

            self._tracking = Tracking(tracking_uri=self._uri, artifacts=self._artifacts, study=self._study)
        try:
            snapshot = read(None if self._tracking.believes_nothing else self._tracking.running)
            self._got_on()
            self._tracking.sync(snapshot, status=status, got_on=self._got_on)
        except BaseException:
            self._tracking.forget()
            raise

    def _follow(self, read: Read) -> None:
        failures = 0
        while True:
            self._news.clear()
            closing, began = self._closing.is_set(), time.monotonic()
            failures = 0 if self._attempt(read) else failures + 1
            if closing and (not failures or time.monotonic() > self._deadline):
                self._complete = not failures
                return
            self._pause(failures, took=time.monotonic() - began)

    def _attempt(self, read: Read) -> bool:
        status = self._status
        try:
            self._sync(read, status)
        except Exception as error:  # whatever it is, the search goes on and the ledger keeps the records
            self._trouble = masked(_told(error))
            return False
        self._trouble = None
        return True

    def _pause(self, failures: int, *, took: float) -> None:
        if failures:
            pause = 0.5 if self._closing.is_set() else min(_LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))
            time.sleep(pause) if self._closing.is_set() else self._closing.wait(pause)
            return
        self._closing.wait(min(_LONGEST_PAUSE, max(1.0, _SHARE * took)))
        self._news.wait(_SIGN_OF_LIFE)


def _told(error: BaseException) -> str:
    """What went wrong, and where on a disk."""
    cause = innermost(error)
    place = f"{cause.filename}: " if isinstance(cause, OSError) and cause.filename else ""
    return f"{place}{reason(cause)}"
