"""One driver a study: a living one is never robbed, a dead one never missed, and one that was robbed stops."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from ulpt_search.search.ledger.lease import SILENCE, Holder
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Outcome, Problem, Result, Trial

from .identities import IDENTITY

DRIVER = """
    import sys, time
    from ulpt_search.search.ledger.ledger import Ledger
    with Ledger.open(sys.argv[1]).lease("demo"):
        print("claimed", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    ledger = Ledger.open(ledger_url)
    ledger.create("demo", space={}, budget=1, seed=0, identity=IDENTITY)
    ledger.add_trials("demo", [Trial(0, "ulpt", {}, 0, 1)])
    return ledger


@contextmanager
def driver(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease."""
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(DRIVER), url], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "claimed\n"
            yield process
        finally:
            process.kill()


def outcome(step: int) -> Outcome:
    return Outcome(0, (Result(0, step, "validation", 0.5, 0.0, 0.0, 0.0, "a", 1),), (Problem(0, "x"),))


def row(ledger: Ledger, column: str) -> object:
    with ledger._engine.connect() as connection:
        return connection.scalar(sa.text(f"SELECT {column} FROM ulpt_claims"))


def change(ledger: Ledger, assignments: str) -> None:
    with ledger._transaction(writes=True) as connection:
        assert connection.execute(sa.text(f"UPDATE ulpt_claims SET {assignments}")).rowcount == 1


def test_second_driver_is_told_of_the_first(ledger: Ledger, ledger_url: str) -> None:
    with driver(ledger_url) as first, pytest.raises(WrongInput) as caught, ledger.lease("demo"):
        pass
    told = (
        rf"--study demo: is being searched by process {first.pid} on {re.escape(Holder.here().host)}"
        r" since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00;"
        rf" wait for it, end it with kill {first.pid}, or give another --study name"
    )
    assert re.fullmatch(told, str(caught.value))


def test_a_killed_driver_is_replaced_at_once(ledger: Ledger, ledger_url: str) -> None:
    with driver(ledger_url) as first:
        os.kill(first.pid, signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent has not asked yet
        with ledger.lease("demo"):
            assert row(ledger, "pid") == os.getpid()
            assert ledger.record("demo", outcome(1))


def test_a_stopped_driver_is_not_robbed(ledger: Ledger, ledger_url: str) -> None:
    with driver(ledger_url) as first:
        os.kill(first.pid, signal.SIGSTOP)
        change(ledger, "heartbeat = 0")
        with pytest.raises(WrongInput, match=f"process {first.pid} on"), ledger.lease("demo"):
            pass


def test_a_later_process_of_the_same_number_is_another(ledger: Ledger) -> None:
    with ledger.lease("demo"):
        change(ledger, "started = '1'")
        with Ledger.open(ledger._engine.url.render_as_string(hide_password=False)).lease("demo") as second:
            assert row(ledger, "token") == second.token


def test_of_an_unseen_driver_only_silence_tells(ledger: Ledger) -> None:
    url = ledger._engine.url.render_as_string(hide_password=False)
    with ledger.lease("demo") as first:
        change(ledger, "host = 'far', machine = 'far away', pid = 7")
        told = r"process 7 on far since .*; wait for it \(silent for \d s; counts as gone after 60 s\), or give another --study name$"
        with pytest.raises(WrongInput, match=told), Ledger.open(url).lease("demo"):
            pass
        change(ledger, f"heartbeat = heartbeat - {SILENCE + 1}")
        with Ledger.open(url).lease("demo") as second:
            assert row(ledger, "token") == second.token != first.token


def test_a_driver_that_lost_its_claim_stops(ledger: Ledger) -> None:
    other = Ledger.open(ledger._engine.url.render_as_string(hide_password=False))
    with ledger.lease("demo") as first:
        ledger.record("demo", outcome(1))
        change(ledger, "machine = 'far away', heartbeat = 0")
        with other.lease("demo") as second:
            told = r"^study demo: another driver has taken it over, so this one stops; all that it had acknowledged is kept$"
            with pytest.raises(Failure, match=told):
                ledger.record("demo", outcome(2))
            with pytest.raises(Failure, match=told):
                ledger.add_trials("demo", [Trial(1, "ulpt", {}, 0, 1)])
            with pytest.raises(Failure, match=told):
                first.check()
            assert other.record("demo", outcome(3))
            second.check()
    assert [one.step for one in ledger.results("demo")] == [1, 3]
    assert len(ledger.trials("demo")) == 1


def test_an_idle_driver_hears_of_its_loss(ledger: Ledger) -> None:
    with ledger.lease("demo", heartbeat=0.02) as lease:
        lease.check()
        change(ledger, "token = 'of another'")
        assert lease.lost.wait(timeout=20)
        with pytest.raises(Failure, match="taken it over"):
            lease.check()
    assert row(ledger, "token") == "of another", "what another holds is not let go"


def test_signs_of_life(ledger: Ledger) -> None:
    with ledger.lease("demo", heartbeat=0.02):
        change(ledger, "heartbeat = 0")
        deadline = time.monotonic() + 20
        while not float(str(row(ledger, "heartbeat"))):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert abs(float(str(row(ledger, "heartbeat"))) - time.time()) < 20


def test_a_claim_ends_with_its_block(ledger: Ledger) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), ledger.lease("demo"):
            raise KeyboardInterrupt
        assert row(ledger, "COUNT(*)") == 0


def test_claims_of_other_studies_do_not_matter(ledger: Ledger) -> None:
    ledger.create("other", space={}, budget=1, seed=0, identity=IDENTITY)
    with ledger.lease("demo"), ledger.lease("other"):
        assert row(ledger, "COUNT(*)") == 2
    with pytest.raises(WrongInput, match=r"--study demu: no such study; there are demo, other\. Did you mean demo\?"), ledger.lease("demu"):
        pass


RACER = """
    import sys, time
    from ulpt_search.search.ledger.ledger import Ledger
    from ulpt_search.spaces.errors import WrongInput
    ledger = Ledger.open(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with ledger.lease("demo"):
            print("won", flush=True)
            sys.stdin.readline()
    except WrongInput as error:
        print(error, flush=True)
"""


def test_of_drivers_that_start_together_one_wins(ledger: Ledger, ledger_url: str) -> None:
    """A dead driver's lease is there to be taken, and four processes reach for it in the same moment."""
    with driver(ledger_url):
        pass
    command = [sys.executable, "-c", textwrap.dedent(RACER), ledger_url]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(4)]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
    told = {racer.pid: racer.stdout.readline().strip() for racer in racers if racer.stdout}
    (winner,) = [pid for pid, line in told.items() if line == "won"]
    assert all(f"searched by process {winner} on" in line for pid, line in told.items() if pid != winner)
    for racer in racers:
        racer.communicate("end\n")
    assert row(ledger, "COUNT(*)") == 0
