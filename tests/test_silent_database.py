"""A PostgreSQL that answers too late or never, though its connections stand, counts as away; what is long by nature is not cut off."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.migrations import bounds
from ulpt_search.search.ledger.migrations.bounds import BOUNDS, Bounds
from ulpt_search.search.ledger.migrations.database import _NETWORK
from ulpt_search.search.running.outbox import Outbox
from ulpt_search.spaces.errors import Away
from ulpt_search.spaces.records import Outcome

from . import ledgers, postgres

psycopg = pytest.importorskip("psycopg")

OUTCOME = Outcome(0, (ledgers.result(0),))


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.restartable() as one:
        yield one


@pytest.fixture
def ledger(server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """One whose brief transactions have fractions of a second."""
    monkeypatch.setitem(_NETWORK, "connect_timeout", 2)  # libpq's least
    made = ledgers.make(Ledger.open(postgres.emptied(server.url)), trials=3)
    monkeypatch.setitem(BOUNDS, "brief", Bounds(lock=0.2, statement=0.4))
    for name in ("SLACK", "PING"):
        monkeypatch.setattr(bounds, name, 0.2)
    made.studies()  # a connection lies ready that has them
    return made


@contextmanager
def stopped(server: postgres.Server) -> Iterator[None]:
    """Stop every process of the server while inside; the kernel takes what is sent to them all the same."""
    first = psutil.Process(server.pid)
    family = [first, *first.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(family):
            process.resume()


@pytest.mark.slow
def test_a_server_that_is_stopped_counts_as_away_and_a_result_counts_once(ledger: Ledger, server: postgres.Server, tmp_path: Path) -> None:
    now, said = [0.0], list[str]()
    box = Outbox(tmp_path, lambda outcome, attempts: ledger.record("demo", outcome), patience=60, say=said.append, clock=lambda: now[0])
    box.add(OUTCOME)
    began = time.monotonic()
    with stopped(server):
        assert list(box.acknowledged()) == []
    assert time.monotonic() - began < 5
    assert box.away
    assert "connection timeout expired" in said[0]  # of a new one, after the old one had been silent
    now[0] += 20
    assert list(box.acknowledged()) == [OUTCOME]
    assert [result.trial for result in ledger.results("demo")] == [0]


def test_a_server_that_stops_amid_a_transaction_is_given_up(ledger: Ledger, server: postgres.Server) -> None:
    """Of many rows that travel without a word in between, some are on their way when it stops."""
    for statement, rows in (("CREATE TABLE other (number int)", None), ("INSERT INTO loaded VALUES (%s)", [(n,) for n in range(20_000)])):
        with pytest.raises(Away, match="has not answered for"), _with_a_table(ledger) as connection, stopped(server):
            connection.exec_driver_sql(statement, rows)
    ledger.record("demo", OUTCOME)


@contextmanager
def _with_a_table(ledger: Ledger) -> Iterator[sa.Connection]:
    with ledger._transaction(writes=True) as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE loaded (number int)")
        yield connection


def test_a_lock_that_is_never_let_go_counts_as_away(ledger: Ledger, server: postgres.Server) -> None:
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE ulpt_results IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Away, match="canceling statement due to lock timeout"):
            ledger.record("demo", OUTCOME)
    assert ledger.record("demo", OUTCOME) == OUTCOME.results


def test_a_statement_is_cut_off_by_its_kind(ledger: Ledger) -> None:
    with pytest.raises(Away, match="canceling statement due to statement timeout"), ledger._transaction() as connection:
        connection.execute(sa.select(sa.func.pg_sleep(0.6)))
    with ledger._transaction(kind="whole") as connection:  # longer than a brief one may be silent
        connection.execute(sa.select(sa.func.pg_sleep(0.8)))


def test_whoever_stops_in_the_middle_of_a_transaction_locks_nobody_out(ledger: Ledger) -> None:
    with pytest.raises(Away, match="cannot be used"), _with_a_table(ledger) as connection:
        _sleep_with_a_lock(connection)
    assert ledger.record("demo", OUTCOME) == OUTCOME.results


def _sleep_with_a_lock(connection: sa.Connection) -> None:
    connection.exec_driver_sql("LOCK TABLE ulpt_results IN ACCESS EXCLUSIVE MODE")
    time.sleep(1.2)


def test_bounds_leave_room_for_what_they_bound() -> None:
    """The server cancels first, the driver's loop is not taken for stuck, and what reads a study whole has longer."""
    from ulpt_search.search.running.watchdog import STUCK

    brief, whole, schema = (BOUNDS[kind] for kind in ("brief", "whole", "schema"))
    assert brief.lock < brief.statement < brief.silence < STUCK / 4
    assert brief.statement < whole.statement < schema.statement
