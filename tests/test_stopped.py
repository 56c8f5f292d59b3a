"""A whole search that is stopped for a while goes on to its end, and nobody is blamed."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from . import tiny
from .processes import Program
from .test_run import Study, has_results

pytestmark = pytest.mark.slow
LIMIT = ("--time", "20m", "--trials", "6", "--workers", "1", "--no-references")


@pytest.fixture
def temporary() -> Iterator[Path]:
    with TemporaryDirectory(prefix="t-", dir="/tmp") as folder:  # Ray's socket paths must be short
        yield Path(folder)


def test_a_search_that_is_stopped_and_continued_goes_on(tmp_path: Path, temporary: Path) -> None:
    """All of it, Ray and workers too, as a machine that sleeps does it."""
    tiny.prepare(tmp_path)
    study, program = Study(tmp_path), Program([*tiny.COMMAND, *LIMIT], folder=tmp_path, temporary=temporary)
    program.until(has_results(study, 1), seconds=180)
    whole = [psutil.Process(program.process.pid), *psutil.Process(program.process.pid).children(recursive=True)]
    assert any("ray::" in " ".join(one.cmdline()) for one in whole)
    workers = {one for one in whole if "ray::" in " ".join(one.cmdline())}
    _pause(whole, seconds=20)
    program.until(has_results(study, 4), seconds=120)
    assert all(one.is_running() for one in workers), "none was thought hung"
    _whole(study, program)


def _pause(whole: list[psutil.Process], *, seconds: float) -> None:
    for one in whole:
        one.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    for one in reversed(whole):
        one.send_signal(signal.SIGCONT)


def _whole(study: Study, program: Program) -> None:
    status, _, err = program.end(seconds=280)
    assert status == 0, err
    assert program.left() == []
    assert "beginning again" not in err
    assert study.ledger.problems("tiny") == [], "no worker was lost and no trial is to blame"
    keys = [(result.trial, result.step, result.split) for result in study.results]
    assert len(keys) == len(set(keys))
    trials = study.ledger.trials("tiny")
    assert len([trial for trial in trials if trial.purpose == "search"]) == 6
    assert {trial.number for trial in trials if trial.purpose == "final"} <= {result.trial for result in study.results}
    assert {run.info.status for run in study.runs()} == {"FINISHED"}
