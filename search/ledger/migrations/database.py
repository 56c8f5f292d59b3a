"""A URL -> the ledger's database, durable and at this version's schema, or one clear line."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ....spaces.errors import Away, WrongInput, did_you_mean, reason
from ....spaces.secrecy import masked
from .tables import VERSION_TABLE, metadata

PATIENCE = 30.0
"""Seconds that a writer waits for another's transaction."""

_NETWORK = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
"""libpq's own names: after so many seconds (the last: milliseconds) a server that does not answer counts as away, rather than never."""
_PASSING = ("08", "25006", "25P03", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P02", "57P03", "57P05")
"""PostgreSQL's states that pass by themselves: connection lost, read-only (a standby that takes over), we kept it waiting (as a stopped
process does), serialisation or deadlock, too many clients, a lock or a statement that took too long (`bounds.py`), shutting down,
starting up, idle for too long."""
_REFUSED = ("authentication failed", "does not exist", "no pg_hba.conf entry", "is not permitted to log in", "permission denied for")
"""What a server says, in English, to a client that it will not let in: where connecting fails, psycopg has no state to tell it by."""

_SQLITE = "sqlite:///"
_LOCK = 5_501_025_040_220_502  # any fixed number: who holds it in PostgreSQL may change the schema


class Unopened(WrongInput, Away):
    """A database that cannot be opened, as where its URL is wrong, but may be there by and by."""


def open_database(url: str) -> sa.Engine:
    """Return an engine for a SQLite file (a path, or `sqlite:///path`) or a PostgreSQL URL, its schema brought up to date.

    Transactions of connections with the option `writes` take SQLite's write lock at once, so that none has to be undone
    half-way. Raises `WrongInput` for what cannot be opened or was written by a newer version, `Unopened` where it may only be away.
    """
    target = target_of(url)
    try:
        engine = _sqlite(target) if target.drivername == "sqlite" else _postgresql(target)
        with _closed_on_error(engine):
            _bring_up_to_date(engine)
    except ModuleNotFoundError as error:
        raise WrongInput(f'--ledger {plain(target)}: needs the Python package {error.name}; pip install "psycopg[binary]"') from error
    except (sa.exc.DBAPIError, OSError) as error:
        away = isinstance(error, sa.exc.DBAPIError) and may_come_back(error)
        raise (Unopened if away else WrongInput)(
            f"--ledger {plain(target)}: cannot be opened: {reason(original(error))}; give another with --ledger or --home"
        ) from error
    return engine


@contextmanager
def _closed_on_error(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.dispose()
        raise


def plain(target: sa.URL) -> str:
    """A URL for people: a file's path, or everything but passwords."""
    return str(target.database) if target.drivername == "sqlite" else masked(target.render_as_string())


def original(error: Exception) -> BaseException:
    """The driver's or the system's own error, without SQLAlchemy's words around it."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error


def target_of(url: str) -> sa.URL:
    """Return where a ledger lies, a file by its absolute path. Raises `WrongInput` for what is no ledger's URL."""
    if "://" not in url or url.startswith(_SQLITE) or url == "sqlite://":
        return _file(url.removeprefix(_SQLITE).removeprefix("sqlite://"))
    try:
        target = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise WrongInput("--ledger: not a URL; wanted a file's path or postgresql://user:password@host/database") from error
    name = target.drivername.partition("+")[0]
    if name in ("postgresql", "postgres"):
        return target.set(drivername="postgresql+psycopg")
    hint = did_you_mean(name, ["postgresql"])
    raise WrongInput(f"--ledger {plain(target)}: wanted a file's path or postgresql://user:password@host/database, not {name}.{hint}")


def _file(path: str) -> sa.URL:
    if not path or path.startswith(":memory:"):
        raise WrongInput("--ledger sqlite://: a ledger in memory would be lost with the process; give a file: sqlite:///ledger.sqlite")
    return sa.URL.create("sqlite", database=str(Path(path).expanduser().resolve()))


def _sqlite(target: sa.URL) -> sa.Engine:
    Path(str(target.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(target, connect_args={"timeout": PATIENCE})
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _postgresql(target: sa.URL) -> sa.Engine:
    patience = {name: value for name, value in _NETWORK.items() if name not in target.query}
    engine = sa.create_engine(target, pool_pre_ping=True, connect_args=patience)
    from .patient import keep  # no sooner: psycopg need not be installed

    keep(engine)
    return engine


def may_come_back(error: sa.exc.DBAPIError) -> bool:
    """Whether the database is away for a while, or busy, rather than refusing: what was asked may be asked again, in a new transaction."""
    cause = original(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_PASSING)
    if any(refused in str(cause) for refused in _REFUSED):
        return False
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    """Make what is committed outlive the process and the machine: FULL syncs the log at every commit."""
    connection.isolation_level = None  # the driver would begin transactions of its own, and too late
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and the writer go on side by side. SQLite does not wait by itself while others do the same to a new file."""
    patient_until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patient_until:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _bring_up_to_date(engine: sa.Engine) -> None:
    """Apply the steps that are missing, all or none, while nobody else does."""
    with engine.begin() as connection:
        if _is_current(connection):
            return
    from alembic import command  # a tenth of a second that most commands need not spend
    from alembic.config import Config

    config = Config(attributes={"metadata": metadata, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.execution_options(writes=True, kind="schema").begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_current(connection: sa.Connection) -> bool:
    """Whether no step is missing. Raises `WrongInput` where a step was applied that this version does not know."""
    version, steps = _version(connection), _steps()
    if version is not None and version not in steps:
        where, newest = plain(connection.engine.url), steps[-1]
        raise WrongInput(
            f"--ledger {where}: written by a newer ulpt-search (schema {version}, this one knows up to {newest});"
            " upgrade ulpt-search, or give another with --ledger or --home"
        )
    return version == steps[-1]


def _version(connection: sa.Connection) -> str | None:
    """The last step that was applied, as Alembic has written it down."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))
    return version


def _steps() -> list[str]:
    """The steps that this version knows, in their order: a step's file is called `vNUMBER_`, after its revision."""
    return sorted(path.name[1:].partition("_")[0] for path in (Path(__file__).parent / "versions").glob("v*_*.py"))
