"""Which process drives a study, written so that another can tell later whether it still lives."""

import os
import time
from collections.abc import Mapping

from ..ledger.lease import machine, started

STAMP, SEEN = "ulpt_search.driver", "ulpt_search.seen"
_MINUTE = 60
_SILENCE = 15 * _MINUTE
"""A driver on another host counts as gone after this many seconds without a sign of life."""


def stamp() -> dict[str, str]:
    """Return this process as tags: who it is, and the minute in which it was last seen."""
    return {STAMP: f"{machine()} {os.getpid()} {started(os.getpid())}", SEEN: str(int(time.time()) // _MINUTE * _MINUTE)}


def gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that `stamp` described no longer runs; False where the tags do not say.

    Process numbers are looked at only where they mean the same: another container may bear this host's name.
    """
    if STAMP not in tags:
        return False
    where, pid, began = tags[STAMP].rsplit(" ", 2)
    if where != machine():
        return time.time() - float(tags[SEEN]) > _SILENCE
    return started(int(pid)) != began
