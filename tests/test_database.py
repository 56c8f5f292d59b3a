"""The ledger's database: opened durable and up to date, whole or not at all, or refused in one line and left alone."""

import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.migrations.tables import VERSION_TABLE, metadata
from ulpt_search.spaces.errors import Failure, WrongInput

from .ledgers import make, program, trial
from .privileges import unprivileged


def test_many_open_a_new_ledger_at_once(ledger_url: str) -> None:
    script = "import sys; from ulpt_search.search.ledger.ledger import Ledger; print(Ledger.open(sys.argv[1]).studies())"
    openers = [subprocess.Popen(program(script, ledger_url), stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [opener.communicate()[0].strip() for opener in openers] == ["[]"] * 4


def test_every_commit_is_synced(tmp_path: Path) -> None:
    ledger = Ledger.open(str(tmp_path / "l"))
    with ledger._engine.connect() as connection:
        told = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert told == ["wal", 2, 1, 30_000]


def test_the_steps_lead_to_the_tables(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    with ledger._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_step_is_applied_whole_or_not_at_all(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create = op.create_table

    def fail_late(name: str, *columns: sa.schema.SchemaItem) -> None:
        create(name, *columns)
        if name == "ulpt_results":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(op, "create_table", fail_late)
    with pytest.raises(WrongInput, match="cannot be opened: No space left on device; give another with --ledger or --home"):
        Ledger.open(ledger_url)
    monkeypatch.undo()
    assert make(Ledger.open(ledger_url), trials=1).trials("demo") == [trial(0)]


def test_a_newer_ledger_is_left_alone(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url))
    with ledger._transaction(writes=True) as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    told = r"written by a newer ulpt-search \(schema 9999, this one knows up to \d+\); upgrade ulpt-search, or give another"
    with pytest.raises(WrongInput, match=told):
        Ledger.open(ledger_url)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to have a header " * 20)
    before = path.read_bytes()
    with pytest.raises(WrongInput, match=f"^--ledger {path}: cannot be opened: file is not a database; give another"):
        Ledger.open(str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_or_a_file_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=f"^--ledger {tmp_path}: cannot be opened: unable to open database file; give another"):
        Ledger.open(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongInput, match=f"^--ledger {tmp_path}/file/l: cannot be opened: (File exists|Not a directory); give another"):
        Ledger.open(f"sqlite:///{tmp_path}/file/l")


def test_a_folder_of_somebody_else() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Ledger.open(f"{folder}/l")).close()
        Path(folder).chmod(0o555)
        Path(folder, "l").chmod(0o444)
        with unprivileged():
            for name, why in (
                ("new", "unable to open database file"),
                ("l", "(unable to open database file|attempt to write a readonly database)"),
            ):
                with pytest.raises(WrongInput, match=f"^--ledger {folder}/{name}: cannot be opened: {why}; give another"):
                    Ledger.open(f"{folder}/{name}")
            with pytest.raises(WrongInput, match=f"^--ledger {folder}/sub/l: cannot be opened: Permission denied; give another"):
                Ledger.open(f"{folder}/sub/l")
        Path(folder).chmod(0o755)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://", "a ledger in memory would be lost with the process; give a file: sqlite:///ledger.sqlite"),
        ("sqlite:///:memory:", "a ledger in memory would be lost"),
        (
            "mysql://me:secret@h/db",
            r"^--ledger mysql://me:\*\*\*@h/db: wanted a file's path or postgresql://.*, not mysql\.$",
        ),
        ("postgressql://h/db", r"not postgressql\. Did you mean postgresql\?$"),
        ("postgresql://me:secret@127.0.0.1:1/db", r"^--ledger postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/db: cannot be opened: .*refused"),
        ("postgresql://h:port/db", "not a URL"),
    ],
)
def test_unusable_urls(url: str, told: str) -> None:
    if url.startswith("postgresql://me"):
        pytest.importorskip("psycopg")
    with pytest.raises(WrongInput, match=told) as caught:
        Ledger.open(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_paths_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "a folder" / "100%?mode=ro#x"
    make(Ledger.open(f"sqlite:///{odd}/ledger.sqlite"))
    assert (odd / "ledger.sqlite").is_file()
    monkeypatch.chdir(odd)
    relative = Ledger.open("ledger.sqlite")
    monkeypatch.chdir("/")
    relative.close()
    assert [one.name for one in relative.studies()] == ["demo"], "a relative path means the folder it was given in"


def test_a_damaged_page_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "l"
    make(Ledger.open(str(path)), trials=500).close()
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises((Failure, WrongInput), match=r"(malformed|not a database|corrupt|disk image)") as caught:
        make(Ledger.open(str(path)), trials=500).trials("demo")
    assert "\n" not in str(caught.value)
