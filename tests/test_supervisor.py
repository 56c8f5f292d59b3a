"""The supervisor: exit statuses, signals, and nothing left behind by anybody's end."""

import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ulpt_search.search.running import supervisor
from ulpt_search.search.running.supervisor import Interrupted, run_supervised, stop_signals

from .processes import Program

SCRIPT = """
import os, signal, subprocess, sys, tempfile, time
from ulpt_search.search.running.supervisor import Interrupted, run_supervised

def daemons():
    "A process whose parent has gone, in a session of its own, and one that is nobody's either."
    for _ in range(2):
        subprocess.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & sleep 600 >/dev/null 2>&1 &"])
    open("ready", "w").close()

def main():
{body}

sys.exit(run_supervised(main, after=lambda status: print("after", status, flush=True)))
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Run a `main` with this body under the supervisor."""
    temporary = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    yield lambda body: Program(
        ["-c", SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), "    "))], folder=tmp_path, temporary=temporary
    )
    shutil.rmtree(temporary)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("return 0", 0),
        ("return 3", 3),
        ("sys.exit(4)", 4),
        ("sys.exit()", 0),
        ("raise Interrupted(signal.SIGINT)", 130),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_status(program: Callable[[str], Program], body: str, status: int) -> None:
    assert program(body).end() == (status, f"after {status}\n", "")


def test_an_error_nobody_foresaw_keeps_its_traceback(program: Callable[[str], Program]) -> None:
    status, out, err = program("raise OSError('no disk')").end()
    assert (status, out) == (1, "after 1\n")
    assert err.startswith("Traceback")
    assert err.endswith("OSError: no disk\n")


def test_work_that_has_nothing_to_stand_on_is_begun_again_a_few_times(program: Callable[[str], Program]) -> None:
    run = program("from ulpt_search.search.running.supervisor import begin_again\ntempfile.mkdtemp()\nbegin_again('it is gone')")
    status, out, err = run.end()
    assert (status, out) == (1, "after 75\n"), "1 is what a person is told, 75 what is left to be closed"
    assert err.count("it is gone; beginning again where it was\n") == 3
    assert err.endswith("error: begun 3 times in a row and never got on; run the same command again\n")
    assert list(run.temporary.iterdir()) == []


def test_work_knows_that_it_is_begun_again(program: Callable[[str], Program]) -> None:
    body = "from ulpt_search.search.running.supervisor import begin_again, is_begun_again"
    body += "\nif is_begun_again(): return 7\nbegin_again('it is gone')"
    assert program(body).end()[0] == 7


def test_work_that_is_begun_again_goes_on(program: Callable[[str], Program]) -> None:
    body = "if os.path.exists('once'): return 0"
    body += "\nopen('once', 'w').close()\nfrom ulpt_search.search.running.supervisor import begin_again\nbegin_again('it is gone')"
    assert program(body).end()[:2] == (0, "after 0\n")


def test_work_that_gets_on_in_between_is_begun_again_more_often(program: Callable[[str], Program]) -> None:
    body = """
        from ulpt_search.search.running.supervisor import begin_again, got_on
        with open('times', 'a') as file: file.write('x')
        if os.path.getsize('times') == 6: return 0
        if os.path.getsize('times') == 3: got_on()
        begin_again('it hangs')
        """
    status, _, err = program(body).end()
    assert (status, err.count("beginning again")) == (0, 5)


def test_work_that_was_asked_to_stop_is_not_begun_again(program: Callable[[str], Program]) -> None:
    """The loop hangs, hears no signal, and its watchdog ends it later."""
    run = program(
        """
        from ulpt_search.search.running.supervisor import begin_again
        signal.signal(signal.SIGTERM, lambda *_: begin_again('it hangs'))
        open('ready', 'a').write('x')
        time.sleep(600)
        """
    )
    run.until((run.folder / "ready").exists)
    os.kill(run.process.pid, signal.SIGTERM)
    status, out, err = run.end()
    assert (status, out) == (143, "after 75\n")
    assert err.endswith("stopped by SIGTERM, so it is not begun again\n")
    assert (run.folder / "ready").read_text() == "x"


@pytest.mark.parametrize("end", ["return 0", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_daemons_end_with_the_work(program: Callable[[str], Program], end: str) -> None:
    run = program(f"daemons()\nwhile not os.path.exists('go'): time.sleep(0.01)\n{end}")
    run.until((run.folder / "ready").exists)
    # A shell that was just forked still bears its own name, so the count is waited for.
    run.until(lambda: run.count("sleep 600") == 4)
    (run.folder / "go").touch()
    assert run.end()[1].startswith("after")
    assert run.left(within=0) == []


def test_kill_9_of_the_supervisor_ends_the_work_gracefully(program: Callable[[str], Program]) -> None:
    run = program(
        """
        daemons()
        tempfile.NamedTemporaryFile(delete=False)
        try:
            time.sleep(600)
        except Interrupted as stop:
            time.sleep(0.2)
            print(stop, flush=True)
            return stop.status
        """
    )
    run.until((run.folder / "ready").exists)
    run.process.kill()
    assert run.end() == (-signal.SIGKILL, "stopped by SIGTERM\n", "")
    assert run.left() == []
    assert list(run.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("send", "received", "status"), [("SIGINT", "SIGINT", 130), ("SIGTERM", "SIGTERM", 143), ("SIGHUP", "SIGTERM", 143)]
)
def test_a_signal_is_one_wish_however_often_it_is_delivered(
    program: Callable[[str], Program], send: str, received: str, status: int
) -> None:
    """As timeout(1) does: to the process, then to its group."""
    run = program(
        """
        open("ready", "w").close()
        try:
            time.sleep(600)
        except Interrupted as stop:
            time.sleep(0.3)
            print(stop, flush=True)
            raise
        """
    )
    run.until((run.folder / "ready").exists)
    run.process.send_signal(signal.Signals[send])
    time.sleep(0.1)
    os.killpg(run.process.pid, signal.Signals[send])
    assert run.end() == (status, f"stopped by {received}\nafter {status}\n", "")


def test_temporary_files_go_with_the_work(program: Callable[[str], Program]) -> None:
    run = program("print(tempfile.mkdtemp())\nreturn 0")
    status, out, _ = run.end()
    assert status == 0
    assert Path(out.splitlines()[0]).parent.parent == run.temporary
    assert list(run.temporary.iterdir()) == []


def test_a_later_second_signal_is_obeyed_at_once() -> None:
    heard: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="stopped by SIGTERM") as caught, stop_signals(heard.append):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.6)
        assert heard == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.status == 143
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_signals_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_signals(lambda signum: pytest.fail(f"heard {signum}")):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_elsewhere_the_work_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    assert run_supervised(os.getpid, after=told.append) == os.getpid()
    assert told == [os.getpid()]


def test_a_refused_prctl_is_an_error() -> None:
    with pytest.raises(OSError, match=r"prctl\(-1, 0\) failed: Invalid argument"):
        supervisor._prctl(-1, 0)
