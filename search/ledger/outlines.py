"""A study's trials in outline, and those of a page in full: what `show` needs, so that a long search is never read whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import sqlalchemy as sa

from ...spaces.records import Problem, Result, Trial
from .migrations import tables

PAGE = 1000
"""Trials that are read together, with all that came of them."""


class Outline(NamedTuple):
    """A trial without its hyperparameters, and how far it has come."""

    number: int
    method: str
    parameters: int
    step: int | None = None
    """Its highest step with a result; None without any."""
    score: float | None = None
    """Its first score at that step."""


@dataclass(frozen=True)
class TrialPage:
    """Some trials, and all that came of them, in the order it was committed."""

    trials: Sequence[Trial]
    results: Sequence[Result]
    problems: Sequence[Problem]


def read_outlines(connection: sa.Connection, study: int) -> list[Outline]:
    """Return every trial of a study, by number."""
    table, results = tables.trials, tables.results
    last = sa.select(results.c.trial, sa.func.max(results.c.step).label("step")).where(results.c.study == study)
    highest = last.group_by(results.c.trial).subquery()
    same = sa.and_(results.c.trial == highest.c.trial, results.c.step == highest.c.step)
    scored = sa.select(results.c.trial, results.c.step, results.c.score).join(highest, same).where(results.c.study == study)
    latest: dict[int, tuple[int, float]] = {}
    for trial, step, score in connection.execute(scored.order_by(results.c.id), execution_options={"yield_per": PAGE}):
        latest.setdefault(trial, (step, score))
    every = sa.select(table.c.number, table.c.method, table.c.parameters).where(table.c.study == study).order_by(table.c.number)
    return [Outline(*row, *latest.get(row.number, ())) for row in connection.execute(every)]


def read_page(connection: sa.Connection, study: int, numbers: Sequence[int]) -> TrialPage:
    """Return these trials, at most `PAGE` of them, in this order."""
    table = tables.trials
    own = connection.execute(_chosen(table, Trial, table.c.number, study, numbers))
    known = {trial.number: trial for trial in (Trial(*row) for row in own)}
    results = (Result(*row) for row in _ordered(connection, tables.results, Result, study, numbers))
    problems = (Problem(*row) for row in _ordered(connection, tables.problems, Problem, study, numbers))
    return TrialPage([known[number] for number in numbers], list(results), list(problems))


def read_numerics(connection: sa.Connection, study: int) -> Iterator[tuple[str, list[int]]]:
    """Yield each name of what computed results, the first one's first, with the trials of all names but that."""
    table = tables.results
    told = sa.select(table.c.numerics).where(table.c.study == study, table.c.numerics.is_not(None))
    names = connection.scalars(told.group_by(table.c.numerics).order_by(sa.func.min(table.c.id))).all()
    for place, name in enumerate(names):
        odd = sa.select(table.c.trial).where(table.c.study == study, table.c.numerics == name).distinct().order_by(table.c.trial)
        yield name, list(connection.scalars(odd)) if place else []


def _ordered(connection: sa.Connection, table: sa.Table, record: Any, study: int, numbers: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Sorted here: a database asked for this order reads the whole table in it."""
    rows = connection.execute(_chosen(table, record, table.c.trial, study, numbers).add_columns(table.c.id)).all()
    return (tuple(row)[:-1] for row in sorted(rows, key=lambda row: row.id))


def _chosen(table: sa.Table, record: Any, key: "sa.Column[int]", study: int, numbers: Sequence[int]) -> "sa.Select[Any]":
    return sa.select(*(table.c[field.name] for field in fields(record))).where(table.c.study == study, key.in_(numbers))
