"""Which process drives a study, written so that another can tell later whether it still lives."""

import os
import socket
import time
from collections.abc import Mapping

import psutil

STAMP, SEEN = "ulpt_search.driver", "ulpt_search.seen"
_MINUTE = 60
_SILENCE = 15 * _MINUTE
"""A driver on another host counts as gone after this many seconds without a sign of life."""


def stamp() -> dict[str, str]:
    """Return this process as tags: who it is, and the minute in which it was last seen."""
    started = psutil.Process().create_time()
    return {STAMP: f"{socket.gethostname()} {os.getpid()} {started:.2f}", SEEN: str(int(time.time()) // _MINUTE * _MINUTE)}


def gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that `stamp` described no longer runs; False where the tags do not say."""
    if STAMP not in tags:
        return False
    host, pid, started = tags[STAMP].rsplit(" ", 2)
    if host != socket.gethostname():
        return time.time() - float(tags[SEEN]) > _SILENCE
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
