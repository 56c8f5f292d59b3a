"""A study's results read into columns, without a value for each of them ever being made."""

import sqlalchemy as sa

from ..brain.result_table import ResultTable
from .migrations import tables

CHUNK = 20_000
"""Rows that are in memory as rows at a time."""


def read_results(connection: sa.Connection, study: int) -> ResultTable:
    """Return a study's results in the order they were committed, with the adapters of each trial's highest step alone."""
    table, found = tables.results, ResultTable()
    score, variance = (sa.type_coerce(table.c[name], sa.Double) for name in ("score", "variance"))  # NULL is NaN in a column, too
    columns = (table.c.trial, table.c.step, table.c.split == "test", score, variance, table.c.bytes)
    rows = connection.execute(
        sa.select(*columns).where(table.c.study == study).order_by(table.c.id), execution_options={"yield_per": CHUNK}
    )
    for some in rows.partitions():
        found.extend(list(zip(*some, strict=True)))
    for trial, step, adapter in connection.execute(_latest(study), execution_options={"yield_per": CHUNK}):
        found.name(trial, step, adapter)
    return found


def _latest(study: int) -> "sa.Select[tuple[int, int, str]]":
    """The adapters of each trial's highest step, in the order they were committed."""
    table = tables.results
    last = (
        sa.select(table.c.trial, sa.func.max(table.c.step).label("step")).where(table.c.study == study).group_by(table.c.trial).subquery()
    )
    highest = sa.and_(table.c.trial == last.c.trial, table.c.step == last.c.step)
    return sa.select(table.c.trial, table.c.step, table.c.adapter).join(last, highest).where(table.c.study == study).order_by(table.c.id)
