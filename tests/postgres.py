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


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a database. Skips the test where there is no PostgreSQL or no driver for it."""
    pytest.importorskip("psycopg", reason="no PostgreSQL driver here: pip install 'psycopg[binary]'")
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="ulpt-postgres-"))
    user = NOBODY if os.geteuid() == 0 else None  # the server refuses to run as root
    if user is not None:
        os.chown(folder, user, user)
    try:
        data = str(folder / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, user=user, group=user)
        with _running(programs, data, user) as port:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
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


@contextmanager
def _running(programs: Path, data: str, user: int | None) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        str(programs / "postgres"),
        "-D",
        data,
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
    ]
    log = subprocess.DEVNULL
    with subprocess.Popen(arguments, stdout=log, stderr=log, cwd=data, user=user, group=user) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: there is nothing to keep, and nobody to wait for


def _wait(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
