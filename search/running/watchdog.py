"""Sees to it that no wait is without an end: a thread that looks whether what the search stands on is still there.

Time is counted while this process runs: a search that was stopped with Ctrl-Z, or a machine that slept, is not late.
"""

import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import psutil

from ...spaces.errors import Away, reason

TICK = 0.5
"""Seconds between two looks."""
STUCK = 300.0
"""Seconds of this process's own time without a sign of life of the loop that it watches, after which that hangs."""
UNHEARD = 15.0
"""Seconds for which an address may be out of reach."""


class RunningClock:
    """Seconds that this process has been running, as far as `tick` was called: pauses of it count a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last, self._counted = clock, clock(), 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self._counted

    def tick(self) -> None:
        """Count what has passed since the last tick, but no more than a few looks of it."""
        now = self._clock()
        self._counted += min(now - self._last, 4 * TICK)
        self._last = now


class Watchdog:
    """Calls `lost(why)`, once, from its thread, when a child has ended, `address` is out of reach, or the loop is stuck.

    `children` are names of this process's children, each of which is watched from when it is first seen: they may still be about to begin.
    `beat` is to be called by the loop that must go on while `watching`.
    """

    def __init__(
        self,
        *,
        lost: Callable[[str], object],
        children: Collection[str] = (),
        address: tuple[str, int] | None = None,
    ) -> None:
        self.clock = RunningClock()
        self._lost, self._names, self._address = lost, children, address
        self._children: dict[str, psutil.Process] = {}
        self._beat: float | None = None
        self._heard = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def beat(self) -> None:
        """Say that the loop goes on."""
        self._beat = self.clock()

    def rest(self) -> None:
        """Say that no loop has to go on from here."""
        self._beat = None

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(TICK):
            self.clock.tick()
            why = self.missing()
            if why and not self._over.is_set():
                self._lost(why)
                return

    def missing(self) -> str:
        """Say what is not there any more; empty where all is. To be asked where the thread could not look, since another kept Python."""
        if len(self._children) < len(self._names):
            self._children = children_named(*self._names) | self._children
        gone = [name for name, process in self._children.items() if not _lives(process)]
        if gone:
            return f"Ray's {gone[0]} has ended"
        if self._beat is not None and self.clock() - self._beat > STUCK:
            return f"the search has not gone on for {STUCK:.0f} s"
        return self._unheard()

    def _unheard(self) -> str:
        if self._address is None or self.clock() - self._heard < UNHEARD / 3:
            return ""
        with suppress(OSError), socket.create_connection(self._address, timeout=UNHEARD / 3):
            self._heard = self.clock()
        return f"{self._address[0]}:{self._address[1]} is out of reach" if self.clock() - self._heard > UNHEARD else ""


def is_host_and_port(address: str) -> bool:
    """Whether an address says where to connect to."""
    host, _, port = address.rpartition(":")
    return bool(host) and "/" not in host and port.isdigit()


def require_reach(address: str) -> None:
    """Raise `Away` where nobody listens at HOST:PORT; of an address in another form (`auto`, `ray://…`) Ray alone knows."""
    if not is_host_and_port(address):
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=UNHEARD / 3).close()
    except OSError as error:
        raise Away(f"--address {address}: no Ray cluster there ({reason(error)}); run the same command again when it is back") from error


def children_named(*names: str) -> dict[str, psutil.Process]:
    """Return this process's children of these names, by name."""
    found = {}
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            found[child.name()] = child
    return {name: child for name, child in found.items() if name in names}


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
