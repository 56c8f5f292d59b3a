"""A PostgreSQL server of the tests' own, on loopback, in a folder that goes away with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .privileges import NOBODY


class Server:
    """One that can be ended and begun again, with what it had committed."""

    def __init__(self, programs: Path, data: str, user: int | None, host: str) -> None:
        self._arguments, self._data, self._user = [str(programs / "postgres"), *_settings(data, host)], data, user
        self._host, self.port = host, _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@{self._host}:{self.port}/postgres"

    @property
    def pid(self) -> int | None:
        """Of the server's first process, while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin it, and wait until it answers."""
        command, log = [*self._arguments, "-p", str(self.port)], subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._data, user=self._user, group=self._user)
        _wait(self.url)

    def end(self, signum: int = signal.SIGQUIT) -> None:
        """End it with this signal; by default at once, for there is nobody to wait for."""
        if self._process is not None:
            self._process.send_signal(signum)
            self._process.wait(30)
            self._process = None


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a database. Skips the test where there is no PostgreSQL or no driver for it."""
    with restartable() as one:
        yield one.url


@contextmanager
def restartable(host: str = "127.0.0.1") -> Iterator[Server]:
    """Yield a server that runs, and lets in who comes from the network of its host's address. Skips as `server` does."""
    pytest.importorskip("psycopg", reason="no PostgreSQL driver here: pip install 'psycopg[binary]'")
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="ulpt-postgres-"))
    user = NOBODY if os.geteuid() == 0 else None  # the server refuses to run as root
    if user is not None:
        os.chown(folder, user, user)
    one = Server(programs, str(folder / "data"), user, host)
    try:
        initdb = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]
        subprocess.run([*initdb, "--no-locale"], check=True, capture_output=True, cwd=folder, user=user, group=user)
        with (folder / "data" / "pg_hba.conf").open("a", encoding="utf8") as allowed:
            allowed.write("host all all samenet trust\n")
        one.start()
        yield one
    finally:
        one.end()
        shutil.rmtree(folder)


def emptied(url: str) -> str:
    """Return the URL of a database without any tables."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


def _programs() -> Path:
    found = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)
    if found is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    return Path(found).resolve().parent


def _settings(data: str, host: str) -> list[str]:
    return ["-D", data, "-h", host, "-c", "unix_socket_directories=", "-c", "fsync=off"]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(url: str) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
