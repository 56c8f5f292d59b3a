"""What has come to a study since somebody looked: so that whoever follows a long search need not read it whole each time."""

from dataclasses import dataclass

import sqlalchemy as sa

from .migrations import tables


@dataclass(frozen=True)
class Mark:
    """How far somebody has read a study."""

    trials: frozenset[int] = frozenset()
    """The numbers that were there: they need not come in their order."""
    result: int = 0
    """The last row; a study has one writer, so that later rows have higher ids."""
    problem: int = 0


def read_changes(connection: sa.Connection, study: int, since: Mark) -> tuple[list[int], Mark]:
    """Return the trials, by number, that are new since a mark or that something came of, and the mark from here on."""
    trials = _trials(connection, study, since.trials)
    changed, last = set(trials - since.trials), list[int]()
    for table, known in ((tables.results, since.result), (tables.problems, since.problem)):
        # `+ 0` keeps the planner from the index over studies, by which it would look at every row of a long one.
        new = (
            sa.select(table.c.trial, sa.func.max(table.c.id)).where(table.c.study + 0 == study, table.c.id > known).group_by(table.c.trial)
        )
        rows = connection.execute(new).all()
        changed.update(row[0] for row in rows)
        last.append(max((row[1] for row in rows), default=known))
    return sorted(changed), Mark(trials, *last)


def _trials(connection: sa.Connection, study: int, known: frozenset[int]) -> frozenset[int]:
    own = tables.trials.c.study == study
    if connection.scalar(sa.select(sa.func.count()).select_from(tables.trials).where(own)) == len(known):
        return known
    return frozenset(connection.scalars(sa.select(tables.trials.c.number).where(own)))
