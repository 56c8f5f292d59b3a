"""The jobs that measure what stands beside a curve, written down when they come back.

They are no part of a study's plan: a study is not told of them, and they are nobody's trial. Their time is the command's. The quick ones
are handed out before the search's first job, full fine-tuning when the search is over (`docs/decisions/0016-ceiling.md`).
"""

from collections.abc import Collection, Sequence

from ...spaces.records import Job, Outcome
from ...spaces.references import KINDS, Reference, ReferenceKind

NUMBER, LAST = -1, -2
"""Of such jobs before the search and after it; a study numbers its own from 0."""
ATTEMPTS = 2
LEAST = 120.0
"""Seconds of a time limit from which on references are measured."""


def worthwhile(possible: Sequence[ReferenceKind], *, limit: float | None, writes: bool) -> tuple[ReferenceKind, ...]:
    """Return which quick references are measured: under a `limit` in seconds those that it has time for.

    Where answers are written (`writes`), the frozen model writes one to every row, which takes as long as a final of the curve does.
    """
    if limit is not None and limit < LEAST:
        return ()
    return tuple(kind for kind in possible if kind in KINDS and not (kind == "frozen" and writes and limit is not None))


class ReferenceJobs:
    """What is still to be measured of one study; `known` was measured before."""

    def __init__(
        self, known: Collection[Reference], *, wanted: Sequence[ReferenceKind] = KINDS, attempts: int = ATTEMPTS, number: int = NUMBER
    ) -> None:
        self.number = number
        self._missing = tuple(kind for kind in wanted if kind not in {one.kind for one in known})
        self._attempts, self._most = 0, attempts
        self._under_way = False

    @property
    def missing(self) -> tuple[ReferenceKind, ...]:
        """What is wanted and has not been measured."""
        return self._missing

    @property
    def over(self) -> bool:
        """Whether none is under way and none will follow."""
        return not self._under_way and not self._waiting

    @property
    def _waiting(self) -> bool:
        return bool(self._missing) and self._attempts < self._most

    def next_job(self) -> Job | None:
        """Return the job, or None where it is under way, done, or was tried in vain."""
        if self._under_way or not self._waiting:
            return None
        self._attempts, self._under_way = self._attempts + 1, True
        return Job(self.number, (), 0, references=self._missing)

    def record(self, outcome: Outcome) -> str:
        """Take in what came of the job; return what a person should be told of it, empty where all is well."""
        self._under_way = False
        found = {one.kind for one in outcome.references}
        self._missing = tuple(kind for kind in self._missing if kind not in found)
        if self._missing and not self._waiting:
            told = outcome.failed or outcome.lost or outcome.unable
            why = f": {told}" if told else ""
            return f"the references ({', '.join(self._missing)}) could not be measured{why}; the search goes on without them"
        return ""
