"""Who drives a study: a process, named so that any other process can tell later whether it still lives."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

SILENCE = 60.0
"""Seconds without a sign of life after which a driver on another machine counts as gone."""


@dataclass(frozen=True)
class Holder:
    """A process on a machine. `started` tells it from a later process of the same number."""

    host: str
    machine: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> "Holder":
        """This process."""
        return cls(socket.gethostname(), machine(), os.getpid(), started(os.getpid()) or "")

    def gone(self, *, silent: float) -> bool:
        """Whether the process has ended, `silent` seconds after its last sign of life.

        Silence counts only where the process cannot be looked at: one that is stopped or swapped out here is not gone.
        """
        if self.machine != machine():
            return silent > SILENCE
        return started(self.pid) != self.started

    def busy(self, *, since: str, silent: float) -> str:
        """Say that the process drives a study, and what to do about it."""
        told = f"is being searched by process {self.pid} on {self.host} since {since}; wait for it"
        if self.machine == machine():
            return f"{told}, end it with kill {self.pid}"
        return f"{told} (silent for {silent:.0f} s; counts as gone after {SILENCE:.0f} s)"


@cache
def machine() -> str:
    """What must be equal for process numbers to mean the same: host, boot and process namespace.

    Hosts in containers or clouds may share a name, and after a restart every number is another process.
    """
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not boot.exists():
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"
    return f"{socket.gethostname()} {boot.read_text(encoding='ascii').strip()} {namespace.readlink()}"


def started(pid: int) -> str | None:
    """Return when a living process began, in a unit of its system; None where there is none or it only waits to be reaped."""
    if not Path("/proc/self/stat").exists():
        return _started_elsewhere(pid)
    try:
        # Clock ticks since boot, which no change of the wall clock moves. The name before them may hold any character.
        state, *fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else fields[18].decode("ascii")


def _started_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
