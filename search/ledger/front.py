"""What a study's frontier is made of, chosen by the database: of a long search a few rows of a million.

The database passes over what cannot be on the curve; what is on it, `dashboards.frontier` decides as it does everywhere.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from ...spaces.records import Result, Trial
from ...spaces.space import Size
from .migrations import tables

_TRIALS, _RESULTS = tables.trials, tables.results


@dataclass(frozen=True)
class Front:
    """The records of a frontier's points, and how many others there are."""

    trials: tuple[Trial, ...]
    """The finals, the configurations that they repeat, and the search trials that nothing beats at the highest step."""
    results: tuple[Result, ...]
    """Their results: all of the finals, of search trials those at the highest step."""
    compared: int
    """Search trials with a finite validation score at the highest step that one has reached."""
    scored: int
    """Search trials with a finite validation score at any step."""
    searched: int
    """Search trials, scored or not."""


def read_front(connection: sa.Connection, study: int, *, size: Size) -> Front:
    """Return what the frontier over this size is made of. Costs a sort of the trials at the highest step."""
    finals = tuple(Trial(*row) for row in connection.execute(_trials(study).where(_TRIALS.c.purpose == "final")))
    measured = _results(study).where(_RESULTS.c.trial.in_(_numbers(study, purpose="final")))
    best = connection.execute(_unbeaten(connection, study, size)).all()
    known = {trial.finalist for trial in finals} | {row.trial for row in best}
    return Front(
        trials=(*finals, *_with(connection, study, known)),
        results=(*(Result(*row) for row in connection.execute(measured)), *(Result(*row[:-1]) for row in best)),
        compared=best[0].compared if best else 0,
        scored=connection.scalar(_scored(study)) or 0,
        searched=connection.scalar(sa.select(sa.func.count()).select_from(_numbers(study, purpose="search").subquery())) or 0,
    )


def _unbeaten(connection: sa.Connection, study: int, size: Size) -> "sa.Select[Any]":
    """Those that no smaller one matches and no other of their size beats, with how many there are to compare."""
    room = _RESULTS.c.bytes if size == "bytes" else _TRIALS.c.parameters
    places = sa.select(_RESULTS.c.id, _RESULTS.c.trial, _RESULTS.c.score, room.label("room")).join(_TRIALS, _of_trial())
    places = places.where(_RESULTS.c.study == study, _validated(), _TRIALS.c.purpose == "search")
    top = connection.scalar(places.with_only_columns(_RESULTS.c.step).order_by(_RESULTS.c.step.desc()).limit(1))
    here = places.where(_RESULTS.c.step == top).cte("here")
    order = (here.c.room, here.c.score.desc(), here.c.trial)
    before = sa.func.max(here.c.score).over(order_by=order, rows=(None, -1)).label("before")
    ranked = sa.select(here.c.id, here.c.score, before, sa.func.count().over().label("compared")).cte("ranked")
    better = sa.or_(ranked.c.before.is_(None), ranked.c.score > ranked.c.before)
    return sa.select(*_columns(_RESULTS, Result), ranked.c.compared).join(ranked, ranked.c.id == _RESULTS.c.id).where(better)


def _scored(study: int) -> "sa.Select[Any]":
    some = sa.exists().where(_of_trial(), _validated())
    return sa.select(sa.func.count()).select_from(_TRIALS).where(_TRIALS.c.study == study, _TRIALS.c.purpose == "search", some)


def _with(connection: sa.Connection, study: int, numbers: Iterable[int | None]) -> Iterable[Trial]:
    """The trials of these numbers, which are few."""
    chosen = _TRIALS.c.number.in_(sorted(number for number in numbers if number is not None))
    return (Trial(*row) for row in connection.execute(_trials(study).where(chosen)))


def _validated() -> "sa.ColumnElement[bool]":
    """A validation score that is a finite number; NaN is NULL in the database."""
    return sa.and_(_RESULTS.c.split == "validation", _RESULTS.c.score.between(-sys.float_info.max, sys.float_info.max))


def _of_trial() -> "sa.ColumnElement[bool]":
    return sa.and_(_RESULTS.c.study == _TRIALS.c.study, _RESULTS.c.trial == _TRIALS.c.number)


def _numbers(study: int, *, purpose: str) -> "sa.Select[Any]":
    return sa.select(_TRIALS.c.number).where(_TRIALS.c.study == study, _TRIALS.c.purpose == purpose)


def _trials(study: int) -> "sa.Select[Any]":
    return sa.select(*_columns(_TRIALS, Trial)).where(_TRIALS.c.study == study).order_by(_TRIALS.c.number)


def _results(study: int) -> "sa.Select[Any]":
    return sa.select(*_columns(_RESULTS, Result)).where(_RESULTS.c.study == study).order_by(_RESULTS.c.id)


def _columns(table: sa.Table, record: Any) -> list["sa.Column[Any]"]:
    return [table.c[field.name] for field in fields(record)]
