import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ulpt_search.search.tracking.mirror import Mirror
from ulpt_search.search.tracking.run_records import KEY, Snapshot
from ulpt_search.search.tracking.runs import close_orphans, connect, find_chart, prepare
from ulpt_search.spaces.errors import Failure
from ulpt_search.spaces.records import Result, Trial

from .mirror_records import STUDY, add, assert_mirrored, history, keys, many, result, runs, small, sqlite, statuses, trial

FOLLOW = """
import sys
from pathlib import Path
from mirror_records import STUDY, many, sqlite
from ulpt_search.search.tracking.mirror import Mirror
home = Path(sys.argv[1])
Mirror(tracking_uri=sqlite(home), artifacts=home / "mlartifacts", study=STUDY).sync(many(int(sys.argv[2])), status="RUNNING")
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema, made once: it takes seconds."""
    home = tmp_path_factory.mktemp("schema")
    prepare(sqlite(home))
    return home / "mlflow.sqlite"


@pytest.fixture
def home(tmp_path: Path, database: Path) -> Path:
    shutil.copy(database, tmp_path / "mlflow.sqlite")
    return tmp_path


def mirror(home: Path) -> Mirror:
    return Mirror(tracking_uri=sqlite(home), artifacts=home / "mlartifacts", study=STUDY)


def driver(home: Path, trials: int, *, before: str = "") -> "subprocess.Popen[str]":
    """A driver's process that mirrors a study and stays; warnings are errors in it."""
    command = [sys.executable, "-W", "error", "-c", f"{before}\n{FOLLOW}", str(home), str(trials)]
    path = os.pathsep.join(entry for entry in [str(Path(__file__).parent), *sys.path] if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]", number: int = signal.SIGKILL) -> str:
    process.send_signal(number)
    return process.communicate()[1]


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def test_a_study_is_shown_once_and_as_the_ledger_has_it(home: Path) -> None:
    ours = mirror(home)
    ours.sync(small(), status="RUNNING")
    assert_mirrored(sqlite(home), small())
    assert statuses(sqlite(home)) == {
        "study": "RUNNING",
        "0": "FINISHED",
        "1": "FINISHED",
        "2": "FAILED",
        "3": "RUNNING",
        "4": "FINISHED",
    }
    first = {run.info.run_id for run in runs(sqlite(home))}
    ours.sync(small(), status="RUNNING")
    mirror(home).sync(small(), status="RUNNING")
    assert_mirrored(sqlite(home), small())
    assert {run.info.run_id for run in runs(sqlite(home))} == first


def test_children_hang_on_the_study_with_what_a_person_filters_by(home: Path) -> None:
    mirror(home).sync(small(), status="RUNNING")
    shown = {run.data.tags[KEY]: run for run in runs(sqlite(home))}
    parent = shown["study"]
    assert parent.info.run_name == "tiny"
    assert parent.data.params["budget"] == "10000"
    for key, run in shown.items():
        assert key == "study" or run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert shown["0"].info.run_name == "ulpt #0"
    wanted = {"study": "tiny", "method": "lora", "model": "minilm", "task": "pydocs", "seed": "1", "on_frontier": "no", "purpose": "search"}
    assert wanted.items() <= shown["1"].data.tags.items()
    assert shown["0"].data.tags["on_frontier"] == "yes"
    assert shown["2"].data.tags["problem"] == "the loss became NaN at step 3"
    assert shown["0"].info.end_time - shown["0"].info.start_time == 750


def test_new_records_extend_the_runs(home: Path) -> None:
    ours = mirror(home)
    ours.sync(small(), status="RUNNING")
    more = replace(add(small(), result(3, 25, 0.7), result(1, 50, 0.65)), frontier=[])
    ours.sync(more, status="FINISHED")
    assert_mirrored(sqlite(home), more)
    assert statuses(sqlite(home)) == {
        "study": "FINISHED",
        "0": "FINISHED",
        "1": "FINISHED",
        "2": "FAILED",
        "3": "FINISHED",
        "4": "FINISHED",
    }
    assert {run.data.tags.get("on_frontier") for run in runs(sqlite(home))} == {"no", None}


def test_a_study_that_goes_on_runs_again(home: Path) -> None:
    mirror(home).sync(small(), status="KILLED")
    assert (statuses(sqlite(home))["study"], statuses(sqlite(home))["3"]) == ("KILLED", "KILLED")
    mirror(home).sync(small(), status="RUNNING")
    assert (statuses(sqlite(home))["study"], statuses(sqlite(home))["3"]) == ("RUNNING", "RUNNING")


def test_a_study_without_a_driver_keeps_the_status_it_had(home: Path) -> None:
    for status, later in (("FAILED", "FAILED"), ("RUNNING", "KILLED")):
        mirror(home).sync(small(), status=status)  # type: ignore[arg-type]
        mirror(home).sync(small(), status=None)
        assert statuses(sqlite(home))["study"] == later


def test_the_page_of_a_study_is_found_without_mirroring_it(home: Path) -> None:
    assert find_chart(sqlite(home), STUDY) == ""
    ours = mirror(home)
    ours.sync(small(), status="RUNNING")
    assert find_chart(sqlite(home), STUDY) == ours.chart != ""


def test_a_lost_database_is_made_anew_by_the_same_mirror(home: Path) -> None:
    ours = mirror(home)
    ours.sync(small(), status="RUNNING")
    (home / "mlflow.sqlite").unlink()
    ours.sync(add(small(), result(3, 25, 0.7)), status="RUNNING")
    assert_mirrored(sqlite(home), add(small(), result(3, 25, 0.7)))


def test_runs_that_contradict_the_ledger_are_replaced(home: Path) -> None:
    mirror(home).sync(small(), status="RUNNING")
    results = [replace(r, score=0.52) if (r.trial, r.step) == (1, 25) else r for r in small().results]
    changed = replace(small(), results=results)
    mirror(home).sync(changed, status="RUNNING")
    mirror(home).sync(changed, status="RUNNING")
    assert_mirrored(sqlite(home), changed)


def test_duplicates_go_and_deleted_runs_come_back(home: Path) -> None:
    mirror(home).sync(small(), status="RUNNING")
    client = connect(sqlite(home))
    for run in runs(sqlite(home)):
        if run.data.tags[KEY] in ("study", "1"):
            client.create_run(run.info.experiment_id, tags=run.data.tags)
        if run.data.tags[KEY] == "0":
            client.delete_run(run.info.run_id)
    assert keys(runs(sqlite(home))) == ["1", "1", "2", "3", "4", "study", "study"]
    for _ in range(2):
        mirror(home).sync(small(), status="RUNNING")
        assert_mirrored(sqlite(home), small())
    client.delete_experiment(runs(sqlite(home))[0].info.experiment_id)
    mirror(home).sync(small(), status="RUNNING")
    assert_mirrored(sqlite(home), small())


def test_killed_at_any_moment_the_next_one_completes_it(home: Path) -> None:
    for target in (2, 11):
        killed = driver(home, 30)
        while _count(home) < target:
            assert killed.poll() is None
        end(killed)
        assert _count(home) < 30
    assert [close_orphans(sqlite(home)), close_orphans(sqlite(home))] == [["tiny"], []]
    assert "RUNNING" not in statuses(sqlite(home)).values()
    mirror(home).sync(many(30), status="FINISHED")
    assert_mirrored(sqlite(home), many(30))
    assert set(statuses(sqlite(home)).values()) == {"FINISHED"}


def _count(home: Path) -> int:
    with sqlite3.connect(home / "mlflow.sqlite") as connection:
        (count,) = connection.execute("select count(distinct run_uuid) from metrics").fetchone()
    connection.close()
    return int(count)


def test_two_processes_start_on_no_database_and_the_living_are_no_orphans(tmp_path: Path) -> None:
    drivers = [driver(tmp_path, 0), driver(tmp_path, 0)]
    for process in drivers:
        assert process.stdout
        assert process.stdout.readline() == "done\n", process.communicate()[1]
    assert close_orphans(sqlite(tmp_path)) == []
    assert keys(runs(sqlite(tmp_path)))[0] == "study"
    assert [end(process) for process in drivers] == ["", ""]
    assert close_orphans(sqlite(tmp_path)) == ["tiny"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.sqlite", "mlflow.sqlite.lock"]


def test_nothing_is_closed_where_there_is_nothing(tmp_path: Path) -> None:
    assert close_orphans(sqlite(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_long_histories_are_written_in_batches(home: Path) -> None:
    wide = Trial(0, "ulpt", {f"part{n}.lr": n / 7 for n in range(230)}, 0, 788)
    scores = [result(0, step, step / 1000) for step in range(1, 601)]
    snapshot = Snapshot([wide], scores)
    mirror(home).sync(snapshot, status="RUNNING")
    assert_mirrored(sqlite(home), snapshot)


def test_numbers_that_are_none_do_not_stop_the_mirror(home: Path) -> None:
    odd = [Result(0, 25, "validation", float("nan"), 0.0, float("inf"), 1.0, "", 4)]
    for _ in range(2):
        mirror(home).sync(Snapshot([trial(0)], odd), status="RUNNING")
    run = next(run for run in runs(sqlite(home)) if run.data.tags[KEY] == "0")
    assert run.info.status == "FAILED"
    assert len(history(sqlite(home), run, "validation_score")) == 1


def test_pictures_tables_and_folders_are_uploaded_when_they_change(home: Path) -> None:
    page, adapter, later = home / "pareto.html", home / "best-adapter", home / "frontier.csv"
    page.write_text("<p>one</p>")
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"values")
    snapshot = replace(small(), files=[page, adapter, later])
    ours = mirror(home)
    ours.sync(snapshot, status="RUNNING")
    client = connect(sqlite(home))
    parent = next(run for run in runs(sqlite(home)) if run.data.tags[KEY] == "study")
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["best-adapter", "pareto.html"]
    folder = Path(parent.info.artifact_uri.removeprefix("file://"))
    assert folder.is_relative_to(home / "mlartifacts")
    assert (folder / "best-adapter" / "adapter_model.safetensors").read_bytes() == b"values"
    shown = (folder / "pareto.html").stat().st_mtime_ns
    mirror(home).sync(snapshot, status="RUNNING")
    assert (folder / "pareto.html").stat().st_mtime_ns == shown
    page.write_text("<p>two</p>")
    later.write_text("trial,score\n")
    ours.sync(snapshot, status="FINISHED")
    assert (folder / "pareto.html").read_text() == "<p>two</p>"
    assert (folder / "frontier.csv").read_text() == "trial,score\n"


@pytest.fixture
def following(home: Path) -> Iterator[Mirror]:
    """A mirror whose thread is ended whatever the test does."""
    ours = mirror(home)
    yield ours
    ours.close(status="KILLED", timeout=30)


def test_the_thread_follows_and_ends_the_study(home: Path, following: Mirror) -> None:
    state = [Snapshot()]
    following.start(lambda also: state[0])
    wait_until(lambda: bool(following.chart))
    state[0] = small()
    following.notify()
    wait_until(lambda: len(runs(sqlite(home))) == 6)
    state[0] = add(small(), result(1, 50, 0.62))
    assert following.close(status="KILLED", timeout=30)
    assert_mirrored(sqlite(home), state[0])
    assert statuses(sqlite(home))["study"] == statuses(sqlite(home))["3"] == "KILLED"
    assert "RUNNING" not in statuses(sqlite(home)).values()


def test_a_locked_database_delays_nobody_and_is_caught_up_with(home: Path, following: Mirror) -> None:
    lock = sqlite3.connect(home / "mlflow.sqlite", isolation_level=None)
    lock.execute("begin exclusive")
    following.start(lambda also: small())
    began = time.monotonic()
    for _ in range(1000):
        following.notify()
    assert not following.close(status="FINISHED", timeout=0.3)
    assert time.monotonic() - began < 2
    lock.execute("commit")
    lock.close()
    assert following.close(status="FINISHED", timeout=30)
    assert_mirrored(sqlite(home), small())


def test_a_disk_that_refuses_is_trouble_in_one_line_until_it_is_over(
    home: Path, following: Mirror, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "pareto.html").write_text("<p>one</p>")
    (home / "mlartifacts").write_text("a file where the folder should be")
    snapshot = replace(small(), files=[home / "pareto.html"])
    following.start(lambda also: snapshot)
    wait_until(lambda: following.trouble is not None)
    assert following.trouble
    assert "mlartifacts" in following.trouble
    assert "\n" not in following.trouble
    with pytest.raises(Failure, match="The ledger has everything"):
        mirror(home).sync(snapshot, status="RUNNING")
    (home / "mlartifacts").unlink()
    wait_until(lambda: following.trouble is None)
    assert following.close(status="FINISHED", timeout=30)
    assert_mirrored(sqlite(home), snapshot)
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_trouble_and_not_a_crash(home: Path) -> None:
    """The process may not let any file grow further, as a full disk would not."""
    size = (home / "mlflow.sqlite").stat().st_size + 8192
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    refused = driver(home, 30, before=limit)
    _, errors = refused.communicate(timeout=60)
    assert errors.splitlines()[-1].startswith("ulpt_search.spaces.errors.Failure: MLflow at sqlite:///")
    assert "full" in errors.splitlines()[-1] or "disk I/O error" in errors.splitlines()[-1]
    mirror(home).sync(many(30), status="FINISHED")
    assert_mirrored(sqlite(home), many(30))


def test_nothing_is_sent_home() -> None:
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
    assert os.environ["DO_NOT_TRACK"] == "true"
