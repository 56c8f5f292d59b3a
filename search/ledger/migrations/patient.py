"""A connection to PostgreSQL whose patience ends, also where the server cannot tell that it does."""

import time
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen

from . import bounds

T = TypeVar("T")

_LOOK = 0.1
"""Seconds between two looks at the clock while nothing comes."""


class PatientConnection(psycopg.Connection[tuple[object, ...]]):
    """psycopg's, which gives up a server that has been silent for `silence` seconds: it is closed then, and raises `OperationalError`."""

    silence: float = bounds.PING

    def wait(self, gen: PQGen[T], interval: float = _LOOK, timeout: float | None = None) -> T:
        """Wait for an exchange with the server as psycopg does, which comes back here at each word and at least every `interval`."""
        bounded = self._bounded(gen)
        return super().wait(bounded, interval) if timeout is None else super().wait(bounded, interval, timeout)

    def _bounded(self, exchange: PQGen[T]) -> PQGen[T]:
        """The same exchange, as long as the server goes on to take or to say something."""
        heard = time.monotonic()
        try:
            awaited = next(exchange)
            while True:
                ready = yield awaited
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.silence:
                    self.close()
                    raise psycopg.OperationalError(f"the server has not answered for {self.silence:.0f} s")
                awaited = exchange.send(ready)
        except StopIteration as over:
            answer: T = over.value
            return answer


def keep(engine: sa.Engine) -> None:
    """Keep a PostgreSQL engine's transactions within the bounds of their option `kind`; without one, they are brief."""

    def connect(dialect: sa.Dialect, record: object, arguments: list[Any], options: dict[str, Any]) -> PatientConnection:
        return PatientConnection.connect(*arguments, **options)

    def begin(connection: sa.Connection) -> None:
        own = bounds.BOUNDS[connection.get_execution_options().get("kind", "brief")]
        driver: Any = connection.connection.dbapi_connection
        driver.silence = own.silence
        connection.exec_driver_sql(_set(own))

    def return_to_pool(connection: Any, record: object) -> None:
        if connection is not None:
            connection.silence = bounds.PING

    sa.event.listen(engine, "do_connect", connect)
    sa.event.listen(engine, "begin", begin)
    sa.event.listen(engine, "checkin", return_to_pool)


def _set(own: bounds.Bounds) -> str:
    """For this transaction alone: a pooler, which refuses such settings where one connects, may give the next another session."""
    values = {
        "lock_timeout": own.lock,
        "statement_timeout": own.statement,
        "idle_in_transaction_session_timeout": own.idle,
    }
    return "SELECT " + ", ".join(f"set_config('{name}', '{1000 * seconds:.0f}', true)" for name, seconds in values.items())
