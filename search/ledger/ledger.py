"""The one record: studies, trials, results and problems in SQLite or PostgreSQL. What `record` has returned is never lost.

The database is this file's and `migrations/`'s alone. A driver that writes holds a lease on its study; every write of a
holder checks in its own transaction that the lease is still its own.
"""

import threading
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ...spaces.errors import Failure, WrongInput, did_you_mean
from ...spaces.identity import Identity
from ...spaces.records import Outcome, Problem, Result, Trial
from ...spaces.references import Reference
from ...spaces.space import Size
from ..brain.result_table import ResultTable
from .changes import Mark, read_changes
from .claims import Lease, living, now, take
from .front import Front, read_front
from .migrations import tables
from .migrations.bounds import Kind
from .migrations.database import open_database
from .moved import Moved
from .outlines import PAGE, Outline, TrialPage, read_numerics, read_outlines, read_page
from .result_columns import read_results
from .study_record import Recognise, StudyRecord, check, compare, refuse
from .transactions import transaction

__all__ = ["Lease", "Ledger", "StudyRecord"]

T = TypeVar("T")

HEARTBEAT = 10.0
"""Seconds between two signs of life of a driver."""

CHUNK = 10_000
"""Rows that are read at a time."""
_ALL = sa.true()


class Ledger:
    """The record of all studies in one database. Safe to use from several threads and several processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._leases: dict[str, Lease] = {}
        weakref.finalize(self, engine.dispose)  # a ledger that nobody holds any more leaves no connection open

    @classmethod
    def open(cls, url: str) -> "Ledger":
        """Open a SQLite file (a path or `sqlite:///path`, made where there is none) or a PostgreSQL URL.

        Raises `WrongInput` where it cannot be opened or written, is no database, or comes from a newer version. Where it does not
        answer, which a wrong URL may be the cause of as well as an outage, that is `Away`, too.
        """
        return cls(open_database(url))

    def close(self) -> None:
        """Let go of the connections; the ledger opens new ones when it is used again."""
        self._engine.dispose()

    def create(
        self, name: str, *, space: Mapping[str, Any], budget: int, seed: int, identity: Identity, recognise: Recognise = refuse
    ) -> StudyRecord:
        """Return the study called `name`, made now where there is none.

        Raises `WrongInput` where it exists with another budget, model, task or training recipe, for then its results could
        not be compared with new ones; the message names what differs. A study that is older than identities gets this one
        where `recognise` finds no difference.
        """
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        frozen, read = identity.frozen.weights.loaded, identity.task.digest
        wanted = StudyRecord(name, dict(space), budget, seed, frozen, read, moment, identity.to_json())
        check(wanted)
        with self._transaction(writes=True) as connection:
            connection.execute(self._new(tables.studies), asdict(wanted))
            found = _study(connection, name)
        model, task = recognise(found) if found.known is None else found.known.sides(identity)
        compare(found, wanted, model=model, task=task)
        return found if found.known is not None else self._identify(found, identity)

    def _identify(self, found: StudyRecord, identity: Identity) -> StudyRecord:
        """Write the identity of a study that is older than identities; it remembers what the model was called before."""
        known = replace(identity, frozen=replace(identity.frozen, former=found.fingerprint)).to_json()
        with self._transaction(writes=True) as connection:
            connection.execute(sa.update(tables.studies).where(tables.studies.c.name == found.name).values(identity=known))
        return replace(found, identity=known)

    def study(self, name: str) -> StudyRecord:
        """Return a study; `WrongInput` names the nearest where there is none of that name."""
        with self._transaction() as connection:
            return _study(connection, name)

    def studies(self) -> list[StudyRecord]:
        """Return all studies, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(*_columns(tables.studies, StudyRecord)).order_by(tables.studies.c.id))
            return [StudyRecord(*row) for row in rows]

    def add_trials(self, name: str, trials: Sequence[Trial]) -> None:
        """Write trials down; those that are there already stay as they are.

        Raises `Failure` where a number already stands for another configuration, or the lease was lost.
        """
        with self._transaction(writes=True) as connection:
            study = self._hold(connection, name)
            rows = [{"study": study, **trial.to_json()} for trial in trials]
            if rows:
                connection.execute(self._new(tables.trials), rows)
            numbers = tables.trials.c.number.in_([trial.number for trial in trials])
            kept = {trial.number: trial for trial in _trials(connection, study, numbers)}
            for trial in trials:
                if kept[trial.number] != trial:
                    raise Failure(f"study {name}: {trial} cannot be added: the ledger has {kept[trial.number]}; were two studies mixed?")

    def record(self, name: str, outcome: Outcome, *, attempts: Mapping[int, int] | None = None) -> tuple[Result, ...]:
        """Commit an outcome in one transaction and return the results that are new.

        A result for a (trial, step, split) that has one is ignored; every problem is kept, numbered by attempt. Once this
        returns, the outcome survives the death of the process and of the machine. Raises `Failure` where it could not be
        committed, or the lease was lost, `Refused` where it never can be: then nothing of it was. Only after `Away` may it have
        been: a connection can be lost between a commit and the word of it. Who says how many `attempts` each trial had failed in before
        may say the same again.
        """
        with self._transaction(writes=True) as connection:
            study = self._hold(connection, name)
            new = tuple(result for result in outcome.results if self._add(connection, study, result))
            for reference in outcome.references:
                connection.execute(self._new(tables.references), {"study": study, **reference.to_json()})
            count = _attempts(connection, study, _of(outcome.problems)) if attempts is None else Counter(attempts)
            for problem in outcome.problems:
                count[problem.trial] += 1
                row = {**asdict(problem), "error": _text(problem.error), "attempt": count[problem.trial], "study": study}
                connection.execute(self._new(tables.problems), row)
        return new

    def trials(self, name: str) -> list[Trial]:
        """Return a study's trials by number."""
        with self._transaction(kind="whole") as connection:
            return _trials(connection, _key(connection, name), sa.true())

    def results(self, name: str, *, highest: bool = False) -> list[Result]:
        """Return a study's results in the order they were committed; `highest`: of each trial those of its highest scored step."""
        said: dict[str | None, Any] = {}  # every row would bring its own copy of the few words that there are

        def result(*row: Any) -> Result:
            trial, step, split, score, variance, loss, seconds, adapter, size, numerics, others = row
            computed = said.setdefault(numerics, numerics)
            return Result(trial, step, said.setdefault(split, split), score, variance, loss, seconds, adapter, size, computed, others)

        return self._rows(name, tables.results, result, columns=Result, which=_highest() if highest else _ALL)

    def front(self, name: str, *, size: Size) -> Front:
        """Return what a study's frontier over this size is made of."""
        with self._transaction(kind="whole") as connection:
            return read_front(connection, _key(connection, name), size=size)

    def outlines(self, name: str) -> list[Outline]:
        """Return a study's trials in outline, by number."""
        with self._transaction(kind="whole") as connection:
            return read_outlines(connection, _key(connection, name))

    def pages(self, name: str, numbers: Sequence[int]) -> Iterator[TrialPage]:
        """Yield these trials of a study, in this order, with all that came of them, so many at a time."""
        for start in range(0, len(numbers), PAGE):
            with self._transaction(kind="whole") as connection:
                page = read_page(connection, _key(connection, name), numbers[start : start + PAGE])
            yield page

    def changes(self, name: str, *, since: Mark | None = None) -> tuple[list[int], Mark]:
        """Return the trials of a study that are new or that something came of since a mark (None: all), and the next mark."""
        with self._transaction(kind="whole") as connection:
            return read_changes(connection, _key(connection, name), since or Mark())

    def numerics(self, name: str) -> list[tuple[str, list[int]]]:
        """Return the names of what computed a study's results, the first one's first, and the trials of all others."""
        with self._transaction(kind="whole") as connection:
            return list(read_numerics(connection, _key(connection, name)))

    def brief_results(self, name: str) -> ResultTable:
        """Return the results as a study needs them to go on, in the order they were committed."""
        with self._transaction(kind="whole") as connection:
            return read_results(connection, _key(connection, name))

    def references(self, name: str) -> list[Reference]:
        """Return what was measured beside a study's trials, smallest first."""
        with self._transaction() as connection:
            table, study = tables.references, _key(connection, name)
            rows = connection.execute(sa.select(*_columns(table, Reference)).where(table.c.study == study).order_by(table.c.parameters))
            return [Reference(*row) for row in rows]

    def adapters(self) -> set[str]:
        """Return the adapters that the results of any study name."""
        with self._transaction(kind="whole") as connection:
            return set(connection.scalars(sa.select(tables.results.c.adapter).distinct()))

    def attempts(self, name: str) -> Mapping[int, int]:
        """Return the number of the last attempt that each trial of a study has failed in; those before may not all have been kept."""
        with self._transaction(kind="whole") as connection:
            return _attempts(connection, _key(connection, name), sa.true())

    def busy(self) -> list[str]:
        """Return what drives each study that is being searched, as what to do about it says."""
        with self._transaction() as connection:
            return living(connection)

    def take_in(self, moved: Moved) -> None:
        """Write a whole study down, in one transaction. Raises `WrongInput` where there is one of its name."""
        check(moved.record)
        with self._transaction(writes=True, kind="whole") as connection:
            made = connection.execute(self._new(tables.studies).returning(tables.studies.c.id), asdict(moved.record)).scalar()
            if made is None:
                raise WrongInput(f"--study {moved.record.name}: this ledger has one of that name; give another --ledger or --home")
            for table, rows in filter(itemgetter(1), moved.rows()):
                try:
                    connection.execute(sa.insert(table), [{"study": made, **row} for row in rows])
                except OverflowError as error:
                    raise WrongInput(f"{moved.record.name}: one of its {table.name} has a number that no ledger holds") from error

    def problems(self, name: str) -> list[Problem]:
        """Return a study's problems in the order they were committed: as many of a trial as it had failed attempts."""
        return self._rows(name, tables.problems, Problem)

    @contextmanager
    def lease(self, name: str, *, heartbeat: float = HEARTBEAT) -> Iterator[Lease]:
        """Be the one driver of a study while inside, with a sign of life every `heartbeat` seconds.

        The lease of a driver that is gone is taken over: one on this machine when its process has ended, one elsewhere
        after 60 s of silence. Raises `WrongInput` where another driver lives, naming its host, process and since when.
        """
        lease = Lease(name, uuid.uuid4().hex)
        with self._transaction(writes=True) as connection:
            take(connection, lease, study=_key(connection, name))
        self._leases[name] = lease
        stop = threading.Event()
        beats = threading.Thread(target=self._beat, args=(lease, stop, heartbeat), name=f"lease on {name}", daemon=True)
        beats.start()
        try:
            yield lease
        finally:
            stop.set()
            beats.join()
            del self._leases[name]
            self._let_go(lease)

    def _beat(self, lease: Lease, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds) and not lease.lost.is_set():
            try:
                with self._transaction(writes=True) as connection:
                    beat = sa.update(tables.claims).where(tables.claims.c.token == lease.token).values(heartbeat=now(connection))
                    kept = connection.execute(beat).rowcount
            except Failure:
                continue  # a database that is away for a moment; the driver's own writes tell of one that stays away
            if not kept:
                lease.lost.set()

    def _let_go(self, lease: Lease) -> None:
        try:
            with self._transaction(writes=True) as connection:
                connection.execute(sa.delete(tables.claims).where(tables.claims.c.token == lease.token))
        except Failure:
            return  # whatever ended the search is the error to show; a lease of an ended process binds nobody

    def _hold(self, connection: sa.Connection, name: str) -> int:
        """Return the study's key; where this ledger claimed the study, nobody can take it over before the transaction ends."""
        study, lease = _key(connection, name), self._leases.get(name)
        if lease is not None:
            mine = sa.select(tables.claims.c.token).where(tables.claims.c.study == study).with_for_update(read=True)
            if connection.scalar(mine) != lease.token:
                lease.lost.set()
            lease.check()
        return study

    def _add(self, connection: sa.Connection, study: int, result: Result) -> bool:
        added = self._new(tables.results).returning(tables.results.c.id)
        return connection.scalar(added, {"study": study, **result.to_json()}) is not None

    def _new(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An insert that leaves what is there already as it is."""
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        return insert(table).on_conflict_do_nothing()

    def _rows(self, name: str, table: sa.Table, record: Callable[..., T], *, columns: Any = None, which: Any = _ALL) -> list[T]:
        with self._transaction(kind="whole") as connection:
            own = table.c.study == _key(connection, name)
            chosen = sa.select(*_columns(table, columns or record)).where(own, which).order_by(table.c.id)
            rows = connection.execute(chosen, execution_options={"yield_per": CHUNK})
            return [record(*row) for row in rows]

    def _transaction(self, *, writes: bool = False, kind: Kind = "brief") -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, writes=writes, kind=kind)


def _columns(table: sa.Table, record: Any) -> list["sa.Column[Any]"]:
    return [table.c[field.name] for field in fields(record)]


def _highest() -> "sa.ColumnElement[bool]":
    table, other = tables.results, tables.results.alias()
    of = sa.and_(other.c.study == table.c.study, other.c.trial == table.c.trial, other.c.score.is_not(None))
    return table.c.step == sa.select(sa.func.max(other.c.step)).where(of).correlate(table).scalar_subquery()


def _key(connection: sa.Connection, name: str) -> int:
    key: int | None = connection.scalar(sa.select(tables.studies.c.id).where(tables.studies.c.name == name))
    if key is not None:
        return key
    names = connection.scalars(sa.select(tables.studies.c.name)).all()
    there = f"there are {', '.join(names[:10])}" if names else "there is none yet; begin one with ulpt-search run"
    raise WrongInput(f"--study {name}: no such study; {there}.{did_you_mean(name, names)}")


def _study(connection: sa.Connection, name: str) -> StudyRecord:
    columns = _columns(tables.studies, StudyRecord)
    return StudyRecord(*connection.execute(sa.select(*columns).where(tables.studies.c.id == _key(connection, name))).one())


def _trials(connection: sa.Connection, study: int, which: "sa.ColumnElement[bool]") -> list[Trial]:
    table = tables.trials
    rows = connection.execute(sa.select(*_columns(table, Trial)).where(table.c.study == study, which).order_by(table.c.number))
    return [Trial(*row) for row in rows]


def _attempts(connection: sa.Connection, study: int, which: "sa.ColumnElement[bool]") -> Counter[int]:
    """The last attempt that each trial has failed in so far; not how many were kept, for a number counts once."""
    table = tables.problems
    last = sa.select(table.c.trial, sa.func.max(table.c.attempt)).where(table.c.study == study, which).group_by(table.c.trial)
    return Counter({row[0]: row[1] for row in connection.execute(last)})


def _of(problems: Sequence[Problem]) -> "sa.ColumnElement[bool]":
    return tables.problems.c.trial.in_({problem.trial for problem in problems})


def _text(error: str) -> str:
    """An error as any database can hold it: neither half a character nor a zero byte."""
    return error.encode("utf8", "backslashreplace").decode("utf8").replace("\x00", "\\x00")
