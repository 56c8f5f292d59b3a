"""The jobs that measure what stands beside a curve: handed out before the search's first, written down when they come back.

They are no part of a study's plan: a study is not told of them, and they are nobody's trial. Their time is the command's.
"""

from collections.abc import Collection, Sequence

from ...spaces.records import Job, Outcome
from ...spaces.references import KINDS, Reference, ReferenceKind

NUMBER = -1
"""Of every such job; a study numbers its own from 0."""
ATTEMPTS = 2


class ReferenceJobs:
    """What is still to be measured of one study; `known` was measured before."""

    def __init__(self, known: Collection[Reference], *, wanted: Sequence[ReferenceKind] = KINDS, attempts: int = ATTEMPTS) -> None:
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
        return Job(NUMBER, (), 0, references=self._missing)

    def record(self, outcome: Outcome) -> str:
        """Take in what came of the job; return what a person should be told of it, empty where all is well."""
        self._under_way = False
        found = {one.kind for one in outcome.references}
        self._missing = tuple(kind for kind in self._missing if kind not in found)
        if self._missing and not self._waiting:
            return f"the references ({', '.join(self._missing)}) could not be measured; the search goes on without them"
        return ""
