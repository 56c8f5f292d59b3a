"""When a trial is given up: what is its own doing costs it, what happened to the machinery does not.

A problem is its *own* where something shows that the trial and nothing else brought it about; the others (a worker that was killed, an
adapter file that is damaged) are held against it only for as long as the command that met them. So what is put right comes back with
the next command.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

ATTEMPTS = 3
"""A trial is given up when it meets the same error of its own so often, the last time alone in its pack..."""
ANY = 12
"""...or so many errors of its own that differ..."""
LOSSES = 5
"""...or, alone, so many problems that are not known to be its own: then for this command."""

_VARIES = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")


class Attempt(Protocol):
    """What a problem says of one attempt; `spaces.records.Problem` is one."""

    @property
    def error(self) -> str:
        """What went wrong, in one line."""
        ...

    @property
    def fatal(self) -> bool:
        """Whether another attempt cannot help."""
        ...

    @property
    def alone(self) -> bool:
        """Whether nobody else was in its pack."""
        ...

    @property
    def own(self) -> bool:
        """Whether the trial is known to have brought it about."""
        ...


def verdict(problems: Sequence[Attempt]) -> str | None:
    """Return why a trial with these problems, all its own and in their order, is given up; None: it is tried again."""
    fatal = next((problem for problem in problems if problem.fatal), None)
    if fatal is not None:
        return fatal.error
    own = [problem for problem in problems if problem.own]
    same = Counter(_kind(problem.error) for problem in own)
    repeated = next((problem for problem in own if problem.alone and same[_kind(problem.error)] >= _enough(problem.error)), None)
    if repeated is not None or len(own) >= ANY:
        return (repeated or own[-1]).error
    lost = [problem for problem in problems if problem.alone and (problem.error in _SAY_NOTHING or not problem.own)]
    return lost[-1].error if len(lost) >= LOSSES else None


LOST = "its worker process died: killed, out of memory, or its machine was lost"
"""What is said of a trial whose worker is gone, which leaves no other word."""
SHORT = "Ray ended its worker process because the machine ran low on memory; fewer workers or smaller packs need less"
SILENT = "its worker neither answered nor ended for many times as long as the job should take, and was ended"
NO_ROOM = "out of memory for a single trial"
"""How it is said of a trial that found too little memory; another program may have held the rest."""
_SAY_NOTHING = (LOST, SHORT, SILENT)


def _kind(error: str) -> str:
    """An error without what varies from one attempt to the next: numbers and addresses."""
    return _VARIES.sub("#", error)


def _enough(error: str) -> int:
    """A lost worker says nothing of why, so more of these are asked for; a command's first is never known to be a trial's own."""
    return LOSSES - 1 if error in _SAY_NOTHING else ATTEMPTS
