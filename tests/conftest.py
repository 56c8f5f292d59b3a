"""Fixtures of all tests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import ulpt_search

from . import postgres

if TYPE_CHECKING:
    from ulpt_search.workers.exports.reloading import Fresh

# Two test processes with a pool of threads each spend two thirds of their time waiting for each other. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background ignores interrupts for them, and what is started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes says more of what else a machine does than of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real tasks beside the repository; tests on it are skipped where it is absent."""
    folder = Path(ulpt_search.__file__).resolve().parents[1] / "shared" / "tasks"
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real tasks: {folder} is absent")
    return folder


@pytest.fixture(scope="module")
def fresh() -> Iterator["Fresh"]:
    """A process that reloads exports and shares nothing with this one."""
    from ulpt_search.workers.exports.reloading import Fresh

    with Fresh() as process:
        yield process


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server; tests on it are skipped where there is none."""
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that a ledger may be in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return postgres.emptied(request.getfixturevalue("postgresql"))
