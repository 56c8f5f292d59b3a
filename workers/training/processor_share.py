"""How much of the processors' time that this process asked for it got: the rest went to the machine's other work.

A thread that sleeps, for it waits for other threads of its own kind or for data, asks for nothing: a machine is not busy because a
small model leaves most of its threads idle. Linux says per thread how long it ran and how long it could have run and had to wait;
elsewhere the calling thread alone is looked at, which computes all the time.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

THREADS = Path("/proc/self/task")


@dataclass(frozen=True)
class Got:
    """Seconds of processors, summed over threads."""

    ran: float
    waited: float
    """Able to run, with no processor free."""

    @classmethod
    def now(cls) -> "Got":
        """Since the process began."""
        told = list(_told())
        if told:
            return cls(sum(ran for ran, _ in told), sum(waited for _, waited in told))
        ran = time.thread_time()
        return cls(ran, time.perf_counter() - ran)

    def __sub__(self, before: "Got") -> "Got":
        return Got(self.ran - before.ran, self.waited - before.waited)


def share(spans: Iterable[Got]) -> float:
    """What was got of what was asked for, from 0 to 1; 1 where nothing was asked for."""
    spans = list(spans)
    ran, waited = (max(0.0, total) for total in (sum(span.ran for span in spans), sum(span.waited for span in spans)))
    return ran / (ran + waited) if ran + waited else 1.0


def _told() -> Iterator[tuple[float, float]]:
    """Each thread's seconds, as the system keeps them; nothing where it does not."""
    for file in THREADS.glob("*/schedstat"):
        try:
            ran, waited, _ = file.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue  # the thread has just ended
        yield int(ran) / 1e9, int(waited) / 1e9
