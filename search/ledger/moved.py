"""A whole study as one value, on its way from one ledger to another."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from ...spaces.records import Problem, Result, Trial
from ...spaces.references import Reference
from .migrations import tables
from .study_record import StudyRecord


@dataclass(frozen=True)
class Moved:
    """Everything that a ledger holds of a study."""

    record: StudyRecord
    trials: Sequence[Trial]
    results: Sequence[Result]
    problems: Sequence[Problem]
    references: Sequence[Reference]

    def rows(self) -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
        """Yield each table with its rows, but for the study's key; what is referred to comes first."""
        yield tables.trials, [trial.to_json() for trial in self.trials]
        yield tables.results, [result.to_json() for result in self.results]
        yield tables.problems, list(self._attempts())
        yield tables.references, [reference.to_json() for reference in self.references]

    def _attempts(self) -> Iterator[dict[str, Any]]:
        seen: Counter[int] = Counter()
        for problem in self.problems:
            seen[problem.trial] += 1
            yield {**asdict(problem), "attempt": seen[problem.trial]}
