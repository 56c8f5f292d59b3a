"""Who drives a study, as MLflow's tags have it: told by another process, in another container, after the clock was set."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ulpt_search.search.tracking.driver_tags import SEEN, STAMP, gone, stamp

PROGRAM = """
import json, sys, time
from ulpt_search.search.tracking.driver_tags import stamp
print(json.dumps(stamp()), flush=True)
time.sleep(600)
"""


def test_a_living_driver_is_not_gone_and_a_killed_one_is() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        tags = json.loads(process.stdout.readline())
        assert not gone(tags)
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped
        assert gone(tags)


def test_in_another_container_of_the_same_name_only_silence_tells() -> None:
    """Its process numbers are others': the driver is alive, and no process of its number is here."""
    tags = stamp()
    where, _, began = tags[STAMP].rsplit(" ", 2)
    host, boot, _ = where.split(" ")
    elsewhere = {**tags, STAMP: f"{host} {boot} pid:[1] 999999999 {began}"}
    assert not gone(elsewhere)
    assert gone({**elsewhere, SEEN: str(int(time.time()) - 16 * 60)})
    assert gone({**tags, STAMP: f"{where} 999999999 {began}"})


def test_a_clock_that_was_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = stamp()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert not gone(tags)


def test_what_a_version_before_wrote_is_told_by_silence() -> None:
    assert not gone({STAMP: "host 1 1700000000.00", SEEN: str(int(time.time()))})
    assert gone({STAMP: "host 1 1700000000.00", SEEN: "0"})
    assert not gone({})
