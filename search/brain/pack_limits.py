"""How many trials of a method fit into the memory of a device together, as far as jobs have told.

A pack that did not fit says something of its methods at their largest, not of others, and not of all that is to come: what is
smaller may fit again. So a limit holds for the methods that met it, and is tried anew by and by, each time later than before.

A worker that the kernel ended for want of memory says nothing, as any that was killed. One such loss shows nothing; as many as `LOSSES`
of packs as large, with none so large coming back in between, are taken for packs that are too large.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...spaces.records import Job, Outcome
from .search_space import Configured

One = TypeVar("One", bound=Configured)

AGAIN = 8
"""Jobs at a limit after which twice as many trials are tried; twice as many jobs after each time that this did not fit."""
LOSSES = 2
"""Packs of a method that were lost in a row, after which half as many trials are tried together."""


@dataclass
class _Limit:
    size: int
    wait: int
    fitted: int = 0


class PackLimits:
    """`most` is the largest number of trials in a job of methods that nothing is known of."""

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._limits: dict[str, _Limit] = {}
        self._lost: dict[str, list[int]] = {}  # method -> sizes of the packs that were lost since one as large came back

    def note(self, job: Job, outcome: Outcome) -> None:
        """Learn from what came of a job: that it was too large, or found room."""
        methods = [assignment.trial.method for assignment in job.assignments]
        if outcome.pack_limit is not None:
            self._shrink(outcome.heavy or methods, limit=outcome.pack_limit)
        elif outcome.lost:
            self._lose(methods)
        elif outcome.results:
            self._count(methods)

    def fitting(self, candidates: Sequence[One]) -> list[One]:
        """Return the first candidate, and of the others those that fit beside it."""
        kept: list[One] = []
        room = self._most
        for one in candidates:
            limit = min(room, self._limits[one.method].size if one.method in self._limits else self._most)
            if len(kept) < limit:
                kept, room = [*kept, one], limit
        return kept

    def _shrink(self, methods: Iterable[str], *, limit: int) -> None:
        for method in set(methods):
            known = self._limits.get(method)
            size = max(1, min(limit, known.size if known else self._most))
            self._limits[method] = _Limit(size, 2 * known.wait if known else AGAIN)

    def _lose(self, methods: Sequence[str]) -> None:
        size = len(methods)
        for method in set(methods) if size > 1 else ():
            if method in self._limits and size > self._limits[method].size:
                continue  # launched before it was known
            sizes = self._lost.setdefault(method, [])
            if size >= max(sizes, default=0):  # a smaller one is made of trials that were lost before
                sizes.append(size)
            if len(sizes) >= LOSSES:
                self._shrink([method], limit=sizes[0] // 2)
                del self._lost[method]

    def _count(self, methods: Sequence[str]) -> None:
        for method in set(methods):
            self._lost[method] = [size for size in self._lost.get(method, []) if size > len(methods)]
        for method in set(methods) & self._limits.keys():
            limit = self._limits[method]
            limit.fitted += len(methods) >= limit.size
            if limit.fitted >= limit.wait:
                limit.size, limit.fitted = min(self._most, 2 * limit.size), 0
