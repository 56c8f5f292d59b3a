"""One transaction of a ledger, within the bounds of its kind, and what is said where it fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from ...spaces.errors import Away, Failure, Refused, reason
from .migrations.bounds import Kind
from .migrations.database import may_come_back, original, plain


@contextmanager
def transaction(engine: sa.Engine, *, writes: bool, kind: Kind = "brief") -> Iterator[sa.Connection]:
    """Yield a connection inside a transaction that is committed at the end, or undone.

    Raises `Refused` for what can never be written, `Away` where the database does not answer, in time or at all, else `Failure`.
    """
    try:
        with engine.execution_options(writes=writes, kind=kind).begin() as connection:
            yield connection
    except sa.exc.IntegrityError as error:
        raise Refused(f"the ledger refused a record: {reason(original(error))}; add a trial before what came of it") from error
    except sa.exc.DBAPIError as error:
        told = f"the ledger {plain(engine.url)} cannot be used: {reason(original(error))}"
        failure = Away if may_come_back(error) else Refused if isinstance(error, sa.exc.DataError) else Failure
        raise failure(f"{told}; all that it acknowledged is kept: put that right and run again") from error
