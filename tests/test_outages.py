"""The database, the store and MLflow go away for a while, and come back: what was computed waits, and is acknowledged once."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.migrations.database import _NETWORK
from ulpt_search.search.ledger.migrations.database import may_come_back as database_may_come_back
from ulpt_search.search.request import Request
from ulpt_search.search.running.dispatch import Dispatch
from ulpt_search.search.running.driver import _told, close_behind, end
from ulpt_search.search.running.mirroring import LEAVING, PATIENCE, RETRY, SILENT, STOPPED, mirrored, patience
from ulpt_search.search.running.outbox import Commit, Letter, Outbox, hand_in
from ulpt_search.search.running.supervisor import Interrupted
from ulpt_search.search.running.timekeeper import GRACE
from ulpt_search.search.tracking.mirror import Mirror
from ulpt_search.search.tracking.run_records import Snapshot
from ulpt_search.spaces.errors import Away, Failure
from ulpt_search.spaces.outages import heard_by, insist
from ulpt_search.spaces.records import Job, Outcome, Problem
from ulpt_search.spaces.space_json import space_to_json
from ulpt_search.workers.training.store import AdapterStore, Unusable
from ulpt_search.workers.training.store import may_come_back as store_may_come_back

from . import ledgers, mlflow_server, moto_store, postgres, simulated, tiny
from .identities import IDENTITY
from .mirror_records import runs
from .moto_store import Bucket
from .processes import Program
from .test_patience import new_driver

FIRST = Outcome(0, (ledgers.result(0),), (Problem(1, "no such thing"),))
SECOND = Outcome(1, (ledgers.result(2),), (Problem(1, "no such thing"),))


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.Server]:
    with postgres.restartable() as server:
        yield server


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with moto_store.bucket(monkeypatch) as made:
        yield made


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def commit_to(ledger: Ledger) -> Commit:
    def commit(outcome: Outcome, attempts: Mapping[int, int]) -> None:
        ledger.record("demo", outcome, attempts=attempts)

    return commit


def counted(ledger: Ledger) -> tuple[list[int], list[tuple[int, str]]]:
    return [result.trial for result in ledger.results("demo")], [(one.trial, one.error) for one in ledger.problems("demo")]


def test_what_comes_back_while_postgresql_is_down_waits_on_disk_and_counts_once(database: postgres.Server, tmp_path: Path) -> None:
    ledger, said = ledgers.make(Ledger.open(postgres.emptied(database.url)), trials=3), list[str]()
    box = Outbox(tmp_path, commit_to(ledger), patience=60, say=said.append)
    database.end()
    for outcome in (FIRST, SECOND):
        box.add(outcome)
        assert list(box.acknowledged()) == []
    was_away = box.away
    assert was_away
    assert [Letter.read(file).outcome for file in sorted(tmp_path.glob("*.json"))] == [FIRST, SECOND]
    database.start()
    deadline, told = time.monotonic() + 30, list[Outcome]()
    while len(told) < 2 and time.monotonic() < deadline:
        told += box.acknowledged()
        time.sleep(0.05)
    assert told == [FIRST, SECOND]
    assert not box.away
    assert list(tmp_path.iterdir()) == []
    assert counted(ledger) == ([0, 2], [(1, "no such thing")] * 2)
    assert len(said) == 2
    assert "waiting for it, 1:00 at most" in said[0]
    assert "the ledger is back" in said[1]


def test_a_driver_that_ends_meanwhile_leaves_it_to_the_next(database: postgres.Server, tmp_path: Path) -> None:
    ledger, said = ledgers.make(Ledger.open(postgres.emptied(database.url)), trials=3), list[str]()
    database.end()
    try:
        box = Outbox(tmp_path, commit_to(ledger), patience=60, say=said.append)
        box.add(FIRST)
        assert list(box.acknowledged()) == []
    finally:
        database.start()
    (tmp_path / "000009.json").write_text('{"outcome": 3}')
    commit = commit_to(ledger)
    assert hand_in(tmp_path, commit, say=said.append) == 1
    assert hand_in(tmp_path, commit, say=said.append) == 0
    assert counted(ledger) == ([0], [(1, "no such thing")])
    assert "not handed in" in said[-1]
    assert [file.name for file in tmp_path.iterdir()] == ["000009.refused"]


def test_a_commit_whose_answer_was_lost_counts_once(ledger_url: str, tmp_path: Path) -> None:
    """The first commit arrives, its word does not: the driver cannot know, and says the same again."""
    ledger, lost = ledgers.make(Ledger.open(ledger_url), trials=3), Counter[int]()

    def commit(outcome: Outcome, attempts: Mapping[int, int]) -> None:
        commit_to(ledger)(outcome, attempts)
        lost[outcome.job] += 1
        if lost[outcome.job] == 1:
            raise Away("server closed the connection unexpectedly; run again")

    now = [0.0]
    box = Outbox(tmp_path, commit, patience=60, say=print, clock=lambda: now[0])
    told = list[Outcome]()
    for outcome in (FIRST, SECOND):
        box.add(outcome)
        told += box.acknowledged()
    for _ in range(4):
        now[0] += 20
        told += box.acknowledged()
    assert told == [FIRST, SECOND]
    assert counted(ledger) == ([0, 2], [(1, "no such thing")] * 2)


def test_what_a_database_does_not_take_for_reasons_of_its_own_stays_on_disk(tmp_path: Path) -> None:
    """It is read-only, as after a failover: nothing that an outcome is to blame for."""
    ledger, said, folder = ledgers.make(Ledger.open(str(tmp_path / "l")), trials=3), list[str](), tmp_path / "waiting"
    _only_read(ledger, "ON")
    box = Outbox(folder, commit_to(ledger), patience=60, say=said.append)
    box.add(FIRST)
    with pytest.raises(Failure, match="readonly"):
        list(box.acknowledged())
    with pytest.raises(Failure, match="readonly"):
        hand_in(folder, commit_to(ledger), say=said.append)
    assert [Letter.read(file).outcome for file in folder.iterdir()] == [FIRST]
    _only_read(ledger, "OFF")
    assert hand_in(folder, commit_to(ledger), say=said.append) == 1
    assert counted(ledger) == ([0], [(1, "no such thing")])
    assert said == []


def _only_read(ledger: Ledger, whether: str) -> None:
    """Of the one connection that a ledger used by one thread has."""
    with ledger._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA query_only={whether}")


def test_what_can_never_be_written_down_is_set_aside(ledger_url: str, tmp_path: Path) -> None:
    ledger, said = ledgers.make(Ledger.open(ledger_url), trials=1), list[str]()
    letter = Letter(Outcome(0, (ledgers.result(9),)), {})
    (tmp_path / "000001.json").write_text(json.dumps(letter.to_json()))
    assert hand_in(tmp_path, commit_to(ledger), say=said.append) == 0
    assert [file.name for file in tmp_path.glob("0*")] == ["000001.refused"]
    assert "the ledger refused a record" in said[0]


def test_a_problem_after_a_lost_one_is_kept(ledger_url: str, tmp_path: Path) -> None:
    """The first attempt's outcome was set aside, the second's is there: the next one is the third, though the ledger has one problem."""
    ledger, third = ledgers.make(Ledger.open(ledger_url), trials=3), Problem(1, "and another")
    ledger.record("demo", FIRST, attempts={1: 1})
    assert ledger.attempts("demo") == {1: 2}
    box = Outbox(tmp_path, commit_to(ledger), attempts=ledger.attempts("demo"), patience=60, say=print)
    box.add(Outcome(1, (), (third,)))
    assert len(list(box.acknowledged())) == 1
    ledger.record("demo", Outcome(2, (), (third,)))
    assert [one.error for one in ledger.problems("demo")] == ["no such thing", "and another", "and another"]


def test_a_disk_that_cannot_keep_what_waits_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    said = list[str]()
    box = Outbox(tmp_path / "in-the-way", lambda outcome, attempts: _raise(Away("it is away; run again")), patience=60, say=said.append)
    box.add(FIRST)
    assert list(box.acknowledged()) == []
    box.add(SECOND)
    assert ["cannot be kept" in told for told in said] == [True, False]


def test_no_password_is_told_while_something_is_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away, said = Away("the store sftp://me:secret@host/x cannot be read: refused; run again"), list[str]()
    box = Outbox(tmp_path, lambda outcome, attempts: _raise(away), patience=60, say=said.append)
    box.add(FIRST)
    assert list(box.acknowledged()) == []
    new_driver(tmp_path).hear(str(away))
    for told in (said[0], capsys.readouterr().err):
        assert "sftp://me:***@host/x" in told
        assert "secret" not in told


def test_a_database_that_stays_away_ends_the_search_by_its_limit(tmp_path: Path) -> None:
    now = [0.0]

    def commit(outcome: Outcome, attempts: Mapping[int, int]) -> None:
        raise Away("the ledger cannot be used: refused; run again")

    box = Outbox(tmp_path, commit, patience=60, say=lambda told: None, clock=lambda: now[0])
    box.add(FIRST)
    for _ in range(6):
        assert list(box.acknowledged()) == []
        now[0] += 10
    with pytest.raises(Away, match="refused; run again"):
        list(box.acknowledged())
    hurried = Outbox(tmp_path, commit, patience=60, say=lambda told: None, clock=lambda: now[0])
    hurried.add(FIRST)
    with pytest.raises(Away):  # the time of `--time` is over
        list(hurried.acknowledged(hurry=True))


def test_a_run_has_patience_while_its_ledger_is_away() -> None:
    away = [True]
    run = Dispatch(lambda: None, lambda outcome: None, lambda: False, patience=0.0, waits=lambda: away[0])
    for name in "abc":
        assert run.suggest(name) is None
        time.sleep(0.01)
    away[0] = False
    run.suggest("d")
    time.sleep(0.01)
    with pytest.raises(BaseException):  # noqa: B017,PT011 (`Halt`, with the reason below)
        run.suggest("e")
    assert "no job to run" in str(run.reason)


def test_a_worker_that_waits_for_its_store_is_not_late() -> None:
    now, heard = [0.0], list[str]()
    run = Dispatch(lambda: Job(0, (), 8), lambda outcome: None, lambda: False, 1.0, lambda job: 100.0, lambda: now[0], hear=heard.append)
    run.suggest("a")
    for _ in range(5):
        now[0] += 60
        assert run.overdue() == []
        run.wait("a", "the store cannot be written")
    now[0] += 101
    assert run.overdue() == ["a"]
    assert heard == ["the store cannot be written"] * 5


def test_a_worker_that_waits_when_the_time_is_over_is_given_up_and_one_that_has_stopped_waiting_is_not() -> None:
    over, outcomes = [False], list[Outcome]()
    jobs = iter(Job(number, (), 8) for number in range(3))
    run = Dispatch(lambda: next(jobs), outcomes.append, lambda: False, 1.0, late=lambda: over[0])
    for name in "abc":
        run.suggest(name)
    run.wait("a", "the store cannot be written: refused; run again")
    run.wait("b", "the store cannot be written: refused; run again")
    run.wait("b", "")
    assert run.overdue() == []
    over[0] = True
    assert run.overdue() == ["a"]
    run.give_up("a")
    assert outcomes == [Outcome(0, unable="the store cannot be written: refused until the time was over")]
    assert run.overdue() == []


@pytest.mark.slow
def test_a_store_that_goes_away_is_waited_for(bucket: Bucket) -> None:
    heard, told = list[str](), threading.Event()
    store = AdapterStore(bucket.url, patience=120)
    before = store.keep(b"before")
    bucket.end()

    def hear(why: str) -> None:
        heard.append(why)
        told.set()

    def back() -> None:
        assert told.wait(60)
        bucket.start()

    thread = threading.Thread(target=back)
    thread.start()
    with heard_by(hear):
        meanwhile = store.keep(b"meanwhile")
    thread.join()
    assert (store.read(before), store.read(meanwhile)) == (b"before", b"meanwhile")
    assert f"the store {bucket.url} cannot be" in heard[0]
    assert heard[-1] == ""


def test_a_store_that_refuses_is_not_waited_for(bucket: Bucket) -> None:
    with pytest.raises(Unusable, match="cannot be written") as refused:
        AdapterStore("s3://there-is-no-such-bucket/mine", patience=600).keep(b"x")
    assert not isinstance(refused.value, Away)
    with pytest.raises(Failure, match=r"^no$"):
        insist(lambda: _raise(Failure("no")), seconds=600)


def test_where_nothing_is_away_nothing_needs_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run on machines that have torch and its kind alone."""
    monkeypatch.setitem(sys.modules, "tenacity", None)
    assert insist(lambda: 3, seconds=600) == 3
    with pytest.raises(Away):
        insist(lambda: _raise(Away("gone")), seconds=0)


def test_a_server_that_errs_is_waited_for_and_a_disk_that_dies_is_not() -> None:
    exceptions, errors = pytest.importorskip("botocore.exceptions"), pytest.importorskip("s3fs.errors")
    for code in ("InternalError", "NobodyKnowsThisCode"):
        answer = exceptions.ClientError({"Error": {"Code": code, "Message": "again"}}, "PutObject")
        assert store_may_come_back(errors.translate_boto_error(answer)), code
    assert not store_may_come_back(OSError(errno.EIO, "Input/output error"), local=True)
    assert store_may_come_back(OSError(errno.ESTALE, "Stale file handle"), local=True)


def test_a_database_that_lets_nobody_in_is_not_waited_for(database: postgres.Server) -> None:
    """Where connecting fails there is nothing to tell a refusal from an outage by, but the server's words."""
    psycopg = pytest.importorskip("psycopg")
    port = database.port
    for url in (f"postgresql://postgres@127.0.0.1:{port}/nowhere", f"postgresql://stranger@127.0.0.1:{port}/postgres"):
        assert not database_may_come_back(_refusal(url)), url
    assert database_may_come_back(_refusal("postgresql://postgres@127.0.0.1:1/postgres"))
    wrong = psycopg.OperationalError('connection failed: FATAL:  password authentication failed for user "ada"')
    assert not database_may_come_back(sa.exc.OperationalError("select", {}, wrong))
    assert database_may_come_back(sa.exc.InternalError("insert", {}, psycopg.errors.ReadOnlySqlTransaction("a standby")))


def _refusal(url: str) -> sa.exc.DBAPIError:
    with pytest.raises(sa.exc.DBAPIError) as refused:
        sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg")).connect()
    return refused.value


def _raise(error: Exception) -> None:
    raise error


def test_a_server_that_swallows_everything_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is cut answers nothing at all: a bound of libpq's own ends the wait."""
    pytest.importorskip("psycopg")
    assert _NETWORK["connect_timeout"] <= 10
    monkeypatch.setitem(_NETWORK, "connect_timeout", 2)  # libpq's least
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres"
        began = time.monotonic()
        with pytest.raises(Away, match="cannot be opened"):
            Ledger.open(url)
        assert time.monotonic() - began < 30


def test_a_ledger_is_waited_for_where_a_search_ends(database: postgres.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger, back, searched = Ledger.open(postgres.emptied(database.url)), threading.Timer(0.3, database.start), simulated.space()
    searched = replace(searched, task=replace(searched.task, metric="accuracy"))
    record = ledger.create("demo", space=space_to_json(searched), budget=200, seed=0, identity=IDENTITY)
    request = Request("tiny", 200, str(tmp_path), ledger=database.url, patience=60)
    database.end()
    back.start()
    with pytest.raises(Failure, match="none of 0 trials could be scored"):
        end(request, ledger, record)
    back.join()
    assert capsys.readouterr().err.count("waiting for it, 1:00 at most") == 1
    database.end()
    with pytest.raises(Away):
        end(request, ledger, record, seconds=-1.0)
    database.start()


def test_a_killed_driver_whose_mlflow_is_away_too_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    close_behind(Request("tiny", 200, "home", tracking_uri="http://someone:secret@127.0.0.1:9"), 128 + 9)
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "Connection refused" in told
    assert "secret" not in told


def test_whoever_interrupts_is_told_before_mlflow_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = ledgers.make(Ledger.open(str(tmp_path / "ledger")), trials=1)
    request = Request("tiny", 200, str(tmp_path), tracking_uri="http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(Interrupted), mirrored(request, ledger, ledger.study("demo")), _told(ledger.study("demo")):
        raise Interrupted(signal.SIGINT)
    assert time.monotonic() - began < STOPPED + 5
    told = capsys.readouterr().err.splitlines()
    assert "the same command goes on" in told[0]
    assert "MLflow lags behind" in told[-1]


@contextmanager
def swallowing() -> Iterator[str]:
    """Yield the address of a server that takes every connection and never says anything."""
    taken = list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):  # closed below
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for each in taken:
        each.close()
    assert taken, "nobody has asked it anything"


def test_whoever_interrupts_does_not_wait_for_an_mlflow_that_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import ulpt_search.search.tracking.runs  # noqa: F401 (as in a search that has begun: importing it takes longer than all else here)

    ledger, searched = Ledger.open(str(tmp_path / "ledger")), space_to_json(simulated.space())
    record = ledger.create("demo", space=searched, budget=200, seed=0, identity=IDENTITY)
    with swallowing() as address:
        request, began = Request("tiny", 200, str(tmp_path), tracking_uri=address), list[float]()
        with pytest.raises(Interrupted), mirrored(request, ledger, record):
            _interrupt_after(0.5, began)
        assert time.monotonic() - began[0] < SILENT + 1
    assert "MLflow lags behind (still writing)" in capsys.readouterr().err


def _interrupt_after(seconds: float, began: list[float]) -> None:
    time.sleep(seconds)
    began.append(time.monotonic())
    raise Interrupted(signal.SIGINT)


def test_mlflow_that_is_away_at_the_end_is_tried_for_a_moment_only(tmp_path: Path) -> None:
    def away(also: Collection[int] | None) -> Snapshot:
        raise OSError("away")

    mirror = Mirror(tracking_uri="http://127.0.0.1:9", artifacts=None, study=ledgers.make(Ledger.open(str(tmp_path / "l"))).study("demo"))
    mirror.start(away)
    began = time.monotonic()
    assert not mirror.close(status="FINISHED", timeout=30, retry=0.1)
    assert time.monotonic() - began < 10
    assert mirror.trouble == "away"


def test_waiting_for_mlflow_ends_with_the_time_limit() -> None:
    def left(limit: float | None, *, gone: float = 0.0) -> float:
        return patience(Request("tiny", 200, "home", limit=limit, began=time.monotonic() - gone))

    assert left(None, gone=1000) == left(600, gone=500) == PATIENCE
    assert left(600, gone=615) == pytest.approx(GRACE - LEAVING - 15, abs=1)
    assert left(600, gone=700) == RETRY


def test_what_mlflow_was_told_outlasts_the_start_of_a_cluster() -> None:
    """MLflow is imported by a thread while Ray starts, and what that does to the environment is undone; retries of minutes came back so."""
    lines = """
    import os
    from ulpt_search.search.running.process_state import environment
    from ulpt_search.search.tracking.mirror import Mirror
    Mirror(tracking_uri="", artifacts=None, study=None)
    with environment({"RAY_X": "1"}):
        from ulpt_search.search.tracking import runs
    print(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"], os.environ["MLFLOW_DISABLE_TELEMETRY"])
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run(ledgers.program(lines), env=own, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["0", "true"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_everything_goes_away_in_the_middle_of_a_search(database: postgres.Server, bucket: Bucket, tmp_path: Path, short: Path) -> None:
    tiny.prepare(tmp_path)
    (tmp_path / "mlflow").mkdir()
    ledger = Ledger.open(postgres.emptied(database.url))
    with mlflow_server.server(tmp_path / "mlflow") as mlflow:
        places = ("--ledger", database.url, "--store", bucket.url, "--tracking-uri", mlflow.uri)
        options = ("--no-references", "--workers", "1", "--set", "model.dtype=float32", "--patience", "2m")
        program = Program([*tiny.COMMAND, *places, *options], folder=tmp_path, temporary=short)
        program.until(lambda: _results(ledger) >= 2, seconds=240)
        mlflow.kill()
        database.end()
        program.until(lambda: any(tmp_path.rglob("unacknowledged/*/*.json")), seconds=120)  # a worker's store was there until it was done
        bucket.end()
        time.sleep(2)
        database.start()
        program.until(lambda: not any(tmp_path.rglob("unacknowledged/*/*.json")), seconds=120)
        before = _results(ledger)
        time.sleep(8)  # the next job finds no store, where the machine is quick enough
        bucket.start()
        program.until(lambda: _results(ledger) > before, seconds=120)
        mlflow.start()
        status, _, err = program.end(seconds=240)
        assert status == 0, err
        assert "the ledger is back after" in err
        assert {result.trial for result in ledger.results("tiny")} == {trial.number for trial in ledger.trials("tiny")}
        assert ledger.problems("tiny") == []
        assert ledger.references("tiny") == []
        store = AdapterStore(bucket.url)
        assert all(store.read(result.adapter) for result in ledger.results("tiny"))
        assert {run.info.status for run in runs(mlflow.uri, ledger.study("tiny"))} == {"FINISHED"}
        assert program.left() == []


def _results(ledger: Ledger) -> int:
    return len(ledger.results("tiny")) if any(record.name == "tiny" for record in ledger.studies()) else 0
