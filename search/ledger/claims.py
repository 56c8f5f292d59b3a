"""Who drives which study, as the ledger's table of claims has it."""

import threading
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ...spaces.errors import Failure, WrongInput
from .lease import Holder
from .migrations import tables

_NOW = {"sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0", "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8"}


class Lease:
    """A driver's hold on a study, for as long as `Ledger.lease` lasts."""

    def __init__(self, study: str, token: str) -> None:
        self.study, self.token = study, token
        self.lost = threading.Event()

    def check(self) -> None:
        """Raise `Failure` where another driver has taken the study over."""
        if self.lost.is_set():
            raise Failure(f"study {self.study}: another driver has taken it over, so this one stops; all that it had acknowledged is kept")


def take(connection: sa.Connection, lease: Lease, *, study: int) -> None:
    """Put `lease` on its study in place of none or a dead one; the study's row keeps others out meanwhile."""
    table = tables.claims
    connection.execute(sa.select(tables.studies.c.id).where(tables.studies.c.id == study).with_for_update(key_share=True))
    found, moment = connection.execute(sa.select(*_columns()).where(table.c.study == study)).one_or_none(), now(connection)
    if found is not None:
        other, since, silent = Holder(*found[:-2]), found.since, moment - found.heartbeat
        if not other.gone(silent=silent):
            raise WrongInput(f"--study {lease.study}: {other.busy(since=since, silent=silent)}, or give another --study name")
        connection.execute(sa.delete(table).where(table.c.study == study))
    began = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    row = {"study": study, "token": lease.token, **asdict(Holder.here()), "since": began, "heartbeat": moment}
    connection.execute(sa.insert(table), row)


def living(connection: sa.Connection) -> list[str]:
    """Say of each study that a living driver has claimed who that is; a driver that is gone says nothing."""
    named = sa.select(tables.studies.c.name, *_columns()).join_from(tables.claims, tables.studies).order_by(tables.studies.c.id)
    told, moment = [], now(connection)
    for study, *holder, since, heartbeat in connection.execute(named):
        other, silent = Holder(*holder), moment - heartbeat
        if not other.gone(silent=silent):
            told.append(f"study {study} {other.busy(since=since, silent=silent)}")
    return told


def _columns() -> list["sa.Column[Any]"]:
    """A holder's, since when it drives, and its last sign of life."""
    table = tables.claims
    return [*(table.c[field.name] for field in fields(Holder)), table.c.since, table.c.heartbeat]


def now(connection: sa.Connection) -> float:
    """Seconds since 1970 by the database's clock, which all drivers share."""
    return float(connection.exec_driver_sql(_NOW[connection.dialect.name]).scalar_one())
