"""What is kept of studies: checked, cleared away, moved; and archives that lie."""

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ulpt_search.search.cli import printing
from ulpt_search.search.home import Home
from ulpt_search.search.keeping import archive as archives
from ulpt_search.search.keeping.archive import STUDY, archive, restore
from ulpt_search.search.keeping.checking import check_study
from ulpt_search.search.keeping.clearing import YOUNG, clear
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.reading import History, read_study
from ulpt_search.search.ledger.store_users import note_user, other_users
from ulpt_search.search.running.outbox import Letter, outbox_of
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Outcome
from ulpt_search.workers.training.store import AdapterStore

from . import kept
from .door import call, values
from .identities import with_weights


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a study of three search trials and a final."""
    return kept.home(tmp_path / "home")


def history(home: Home) -> History:
    return read_study(home, "demo")


def failing(home: Home) -> dict[str, str]:
    return {check.name: check.detail for check in check_study(history(home)) if not check.fine}


def change(home: Home, statement: str) -> None:
    with Ledger.open(home.ledger_url)._transaction(writes=True) as connection:
        assert connection.execute(sa.text(statement)).rowcount


def file_of(home: Home, trial: int) -> Path:
    adapter = next(result.adapter for result in history(home).results if result.trial == trial)
    return Path(home.store, adapter[:2], f"{adapter}.safetensors")


def test_a_whole_study_is_fine(home: Home) -> None:
    assert failing(home) == {}
    assert [check["fine"] for check in values("verify", "demo", "--home", str(home.root))] == [True] * 4


@pytest.mark.parametrize(
    ("statement", "name", "told"),
    [
        ('UPDATE ulpt_trials SET hyperparameters = \'{"prompt_length": 9, "lr": 0.1}\' WHERE number = 1', "adapters", "prompt_length=9"),
        ("UPDATE ulpt_trials SET parameters = 99999 WHERE number = 2", "rows", "over the budget"),
        ("UPDATE ulpt_results SET score = 1.5 WHERE trial = 1", "rows", "score of 1.5"),
        ("UPDATE ulpt_results SET step = 100 WHERE trial = 1", "adapters", "to step 200"),
        ("UPDATE ulpt_results SET score = 0.5 WHERE trial = 3 AND split = 'test'", "scores", "0.500000, and its rows have 0.750000"),
    ],
)
def test_a_changed_row_is_found(home: Home, statement: str, name: str, told: str) -> None:
    change(home, statement)
    found = failing(home)
    assert told in found[name]
    assert call("verify", "demo", "--home", str(home.root)).exit_code == 1


def test_a_damaged_a_missing_and_a_foreign_adapter_are_found(home: Home) -> None:
    damaged = file_of(home, 0)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    file_of(home, 1).unlink()
    told = failing(home)["adapters"]
    assert "damaged" in told
    assert "not in the store" in told
    other = replace(history(home), record=replace(history(home).record, identity=with_weights("ab" * 32).to_json()))
    assert "trained with" in next(check.detail for check in check_study(other) if check.name == "identity")


def test_only_what_no_result_names_is_cleared_away(home: Home) -> None:
    extra = AdapterStore(home.store).keep(b"nobody names this")
    path = Path(home.store, extra[:2], f"{extra}.safetensors")
    bystander = Path(home.store, "notes.txt")
    bystander.write_text("mine")
    assert clear(home, own_ledger=True, caches=False, delete=True) == [], "it is young: a search may be about to name it"
    old = time.time() - 2 * YOUNG
    os.utime(path, (old, old))
    before = {file for file in Path(home.store).rglob("*") if file.is_file()}
    (litter,) = clear(home, own_ledger=True, caches=False, delete=False)
    assert (litter.files, litter.bytes) == (1, 17)
    assert {file for file in Path(home.store).rglob("*") if file.is_file()} == before, "a dry run first"
    assert "deleted" in call("gc", "--yes", "--home", str(home.root)).stdout
    assert before - {file for file in Path(home.store).rglob("*") if file.is_file()} == {path}
    assert failing(home) == {}


def old_adapter(home: Home) -> Path:
    """An adapter that no result of the home's ledger names, older than what is left alone."""
    extra = AdapterStore(home.store).keep(b"nobody here names this")
    path, then = Path(home.store, extra[:2], f"{extra}.safetensors"), time.time() - 2 * YOUNG
    os.utime(path, (then, then))
    return path


def test_what_another_ledger_may_name_is_not_cleared_away(home: Home, tmp_path: Path) -> None:
    """A study moves into the same home under another ledger; its adapters are in the home's store, and only that ledger names them."""
    archive(history(home), tmp_path / "s.zip")
    elsewhere = Home.at(home.root, ledger=f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    note_user(AdapterStore(home.store), home.ledger_url)
    restore(tmp_path / "s.zip", elsewhere)
    theirs = old_adapter(home)
    told = call("gc", "--yes", "--home", str(home.root))
    assert told.exit_code != 0
    assert f"{tmp_path / 'elsewhere.sqlite'} names adapters in it, too" in told.stderr
    assert theirs.exists()
    assert call("gc", "--yes", "--home", str(home.root), "--ledger", elsewhere.ledger_url).exit_code == 0, "the rest, without adapters"
    (note,) = other_users(AdapterStore(home.store), home.ledger_url).values()
    note.unlink()
    assert "deleted" in call("gc", "--yes", "--home", str(home.root)).stdout
    assert not theirs.exists()


def test_what_a_waiting_outcome_names_is_not_cleared_away(home: Home) -> None:
    """It was computed while the ledger was away, and is handed in by the next command of its study."""
    path, waits = old_adapter(home), outbox_of(home, history(home).record) / "000001.json"
    result = replace(history(home).results[0], adapter=path.stem)
    waits.parent.mkdir(parents=True)
    waits.write_text(json.dumps(Letter(Outcome(0, (result,)), {}).to_json()))
    assert clear(home, own_ledger=True, caches=False, delete=True) == []
    assert path.exists()
    waits.write_text("{")
    with pytest.raises(Failure, match="so nothing says what is needed"):
        clear(home, own_ledger=True, caches=False, delete=True)
    waits.unlink()
    clear(home, own_ledger=True, caches=False, delete=True)
    assert not path.exists()


def test_a_home_that_moves_takes_its_notes_along(home: Home, tmp_path: Path) -> None:
    note_user(AdapterStore(home.store), home.ledger_url)
    assert len(other_users(AdapterStore(home.store), "postgresql://me:secret@host/db")) == 1
    moved = Home.at(home.root.rename(tmp_path / "moved"))
    assert other_users(AdapterStore(moved.store), moved.ledger_url) == {}
    note_user(AdapterStore(moved.store), "postgresql://me:secret@host/db")
    (other,) = other_users(AdapterStore(moved.store), moved.ledger_url)
    assert "host/db" in other
    assert "secret" not in other


def test_nothing_is_cleared_away_while_a_study_is_searched(home: Home) -> None:
    extra = old_adapter(home)
    (home.cache / "tokens").mkdir(parents=True)
    with Ledger.open(home.ledger_url).lease("demo"):
        with pytest.raises(WrongInput, match="study demo is being searched by process"):
            clear(home, own_ledger=True, caches=True, delete=True)
        assert (extra.exists(), (home.cache / "tokens").exists()) == (True, True)
    clear(home, own_ledger=True, caches=True, delete=True)
    assert (extra.exists(), (home.cache / "tokens").exists()) == (False, False)


def test_an_adapter_that_is_trained_again_is_young(home: Home) -> None:
    """What is stored anew is about to be named, also where the file was there."""
    path = old_adapter(home)
    AdapterStore(home.store).keep(path.read_bytes())
    assert clear(home, own_ledger=True, caches=False, delete=True) == []
    assert path.exists()


def test_what_vanishes_meanwhile_is_no_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.cache / "tokens").mkdir(parents=True)
    (home.cache / "tokens" / "a").write_text("a")
    real, calls = shutil.rmtree, list[Path]()

    def raced(path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            (path / "a").unlink()
            raise FileNotFoundError(path / "a")
        real(path)

    monkeypatch.setattr(shutil, "rmtree", raced)
    assert [litter.files for litter in clear(home, own_ledger=True, caches=True, delete=True)] == [1]
    assert (len(calls), list(home.cache.iterdir())) == (2, [])


def test_a_home_without_a_ledger_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="has no ledger, so nothing says what is needed"):
        clear(Home.at(tmp_path), own_ledger=True, caches=True, delete=True)


def test_a_study_moves_whole(home: Home, tmp_path: Path) -> None:
    there = Home.at(tmp_path / "there")
    assert call("archive", "demo", str(tmp_path / "s.zip"), "--home", str(home.root)).exit_code == 0
    told = call("restore", str(tmp_path / "s.zip"), "--home", str(there.root))
    assert told.exit_code == 0, told.stderr
    here, moved = history(home), history(there)
    assert (moved.record, moved.trials, moved.results, moved.problems) == (here.record, here.trials, here.results, here.problems)
    assert failing(there) == {}
    with pytest.raises(WrongInput, match="is in this ledger already"):
        restore(tmp_path / "s.zip", there)
    with pytest.raises(WrongInput, match="is there already"):
        archive(here, tmp_path / "s.zip")


def changed(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(source) as archived:
        members = {name: archived.read(name) for name in archived.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archived:
        for name, data in members.items():
            archived.writestr(name, data)
    return target


def _escape(members: dict[str, bytes]) -> None:
    members["../escaped"] = b"x"


def _pickle(members: dict[str, bytes]) -> None:
    members["adapters/x.pkl"] = b"x"


def _swap(members: dict[str, bytes]) -> None:
    first, second = sorted(name for name in members if name != STUDY)[:2]
    members[first] = members[second]


def _lose(members: dict[str, bytes]) -> None:
    del members[next(name for name in members if name != STUDY)]


def _empty(members: dict[str, bytes]) -> None:
    del members[STUDY]


def _edit(old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        assert old.encode() in members[STUDY]
        members[STUDY] = members[STUDY].replace(old.encode(), new.encode())

    return change


LIES: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "a path that leaves": (_escape, "does not belong into an archive"),
    "another kind of file": (_pickle, "does not belong into an archive"),
    "an adapter under another's name": (_swap, "is not what its name says"),
    "an adapter that is not there": (_lose, "adapters that its results name are not in it"),
    "a newer version": (_edit('"version":1', '"version":2'), "has version 2"),
    "a number that is a word": (_edit('"step":200', '"step":"soon"'), "step"),
    "a name that no study has": (_edit('"name":"demo"', '"name":"demo\\u001b[31m"'), "printable"),
    "no records": (_empty, "has no study.json"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_archive_that_lies_is_refused_and_leaves_no_study(home: Home, tmp_path: Path, lie: str) -> None:
    change, told = LIES[lie]
    archive(history(home), tmp_path / "s.zip")
    bad, there = changed(tmp_path / "s.zip", tmp_path / "bad.zip", change), Home.at(tmp_path / "there")
    there.prepare()
    before = {path for path in tmp_path.rglob("*") if there.root not in path.parents}
    with pytest.raises(WrongInput, match=told):
        restore(bad, there)
    assert {path for path in tmp_path.rglob("*") if there.root not in path.parents} == before
    assert Ledger.open(there.ledger_url).studies() == []


def test_a_header_that_lies_about_a_size_is_refused(home: Home, tmp_path: Path) -> None:
    """The size in the file's list, which is what a reader would make room for."""
    archive(history(home), tmp_path / "s.zip")
    data = bytearray((tmp_path / "s.zip").read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(WrongInput, match=r"bad\.zip"):
        restore(tmp_path / "bad.zip", Home.at(tmp_path / "there"))
    (tmp_path / "no.zip").write_bytes(b"PK, but no archive")
    with pytest.raises(WrongInput, match="is no archive of a study that can be read"):
        restore(tmp_path / "no.zip", Home.at(tmp_path / "there"))


def test_damaged_bytes_are_one_line(home: Home, tmp_path: Path) -> None:
    """Inside what was compressed, where zlib itself finds no way on."""
    archive(history(home), tmp_path / "s.zip")
    data = bytearray((tmp_path / "s.zip").read_bytes())
    begin = 30 + len(STUDY)
    data[begin : begin + 40] = b"\xff" * 40
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(WrongInput, match=r"bad\.zip: is no archive of a study that can be read"):
        restore(tmp_path / "bad.zip", Home.at(tmp_path / "there"))


def test_what_could_not_be_read_back_is_not_written(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_ADAPTER", 10)
    with pytest.raises(Failure, match=r"^adapters/.* bytes, and an archive takes 10 at most"):
        archive(history(home), tmp_path / "s.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "new" / "home")
    home.prepare()
    assert home.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_the_mirror_is_made_anew_from_the_ledger(home: Home) -> None:
    """Twice, with MLflow's whole database deleted in between."""
    from mlflow import MlflowClient

    for _ in range(2):
        told = call("mirror", "demo", "--home", str(home.root))
        assert (told.exit_code, told.stdout) == (0, "demo: 4 trials are in MLflow\n"), told.stderr
        client = MlflowClient(tracking_uri=home.tracking_uri)
        runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
        assert len(runs) == 1 + 4
        assert "RUNNING" not in {run.info.status for run in runs}
        final = next(run for run in runs if run.data.tags.get("ulpt_search.key") == "3")
        assert (final.data.metrics["test_score"], final.data.params["prompt_length"]) == (0.75, "1")
        (home.root / "mlflow.sqlite").unlink()
    with Ledger.open(home.ledger_url).lease("demo"):
        assert "is being searched by process" in call("mirror", "demo", "--home", str(home.root)).stderr


def test_pages_of_a_long_table(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "PAGE", 2)
    first, second = (call("show", "demo", "--home", str(home.root), *words).stdout for words in ([], ["--skip", "2"]))
    assert "2 of 4 trials; --skip, --sort and --method show others, --json all of them" in first
    assert "prompt_length=3" not in first
    assert "prompt_length=3" in second
    assert len(values("show", "demo", "--home", str(home.root))["trials"]) == 4
