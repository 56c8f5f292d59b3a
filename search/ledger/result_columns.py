"""A study's results read into columns, without a value for each of them ever being made."""

from typing import Any

import sqlalchemy as sa

from ..brain.result_table import ResultTable
from .migrations import tables

CHUNK = 20_000
"""Rows that are in memory as rows at a time."""


def read_results(connection: sa.Connection, study: int) -> ResultTable:
    """Return a study's results in the order they were committed, with the adapters of each trial's highest step alone."""
    table, found = tables.results, ResultTable()
    score, variance = (sa.type_coerce(table.c[name], sa.Double) for name in ("score", "variance"))  # NULL is NaN in a column, too
    columns = (table.c.trial, table.c.step, table.c.split == "test", score, variance, table.c.bytes, table.c.id)
    chosen, last, size = sa.select(*columns).where(_own(connection, study)).order_by(table.c.id).limit(CHUNK), 0, CHUNK
    while size == CHUNK and (some := _tuples(connection, chosen.where(table.c.id > last))):
        *values, ids = zip(*some, strict=True)
        found.extend(values)
        last, size = ids[-1], len(ids)
    for trial, step, adapter in connection.execute(_latest(study), execution_options={"yield_per": CHUNK}):
        found.name(trial, step, adapter)
    return found


def _own(connection: sa.Connection, study: int) -> "sa.ColumnElement[bool]":
    """The rows of a study: by the index over studies, from which ids are sorted anew for every chunk, where all rows are more than that."""
    table = tables.results
    rows = connection.scalar(sa.select(sa.func.count()).where(table.c.study == study)) or 0
    every = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    return table.c.study == study if rows * (rows // CHUNK + 1) < every else table.c.study + 0 == study


def _tuples(connection: sa.Connection, chosen: "sa.Select[Any]") -> list[tuple[Any, ...]]:
    """The rows as the database's driver makes them: as rows of SQLAlchemy they cost as much again."""
    cursor: Any = connection.execute(chosen).cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _latest(study: int) -> "sa.Select[Any]":
    """The adapters of each trial's highest step, in the order they were committed."""
    table = tables.results
    own = table.c.study == study
    last = sa.select(table.c.trial, sa.func.max(table.c.step).label("step")).where(own).group_by(table.c.trial).subquery()
    highest = sa.and_(table.c.trial == last.c.trial, table.c.step == last.c.step)
    return sa.select(table.c.trial, table.c.step, table.c.adapter).join(last, highest).where(own).order_by(table.c.id)
