"""What `mutations.py` damages: of each kind a good file, ways to spoil it, and the command or function that reads it."""

import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ulpt_search.benchmarks.damage import damaged, revalued
from ulpt_search.spaces.errors import Failure


@dataclass(frozen=True)
class Kind:
    """A kind of file: `make` writes a good one into a folder once, `spoil` changes a copy of it, `read` has it read.

    `share` is how many of a hundred cases are of this kind: those that cost least take most.
    """

    make: Callable[[Path], None]
    spoil: Callable[[Path, random.Random], None]
    read: Callable[[Path, random.Random], object]
    share: int


def _spoil_any(*patterns: str) -> Callable[[Path, random.Random], None]:
    """Change one of the files that match."""

    def spoil(folder: Path, chance: random.Random) -> None:
        _spoil_file(chance.choice(sorted(path for pattern in patterns for path in folder.rglob(pattern))), chance)

    return spoil


def _spoil_file(file: Path, chance: random.Random) -> None:
    """Change its bytes; of JSON a value in half of the cases."""
    if file.suffix == ".json" and chance.random() < 0.5:
        file.write_text(revalued(file.read_text(encoding="utf8"), chance), encoding="utf8")
    else:
        file.write_bytes(damaged(file.read_bytes(), chance))


def _make_spaces(folder: Path) -> None:
    import ulpt_search

    for file in Path(ulpt_search.__file__).parent.joinpath("spaces").glob("*.yaml"):
        shutil.copy(file, folder)


def _read_spaces(folder: Path, _: random.Random) -> None:
    from ulpt_search.spaces.schema import load_space
    from ulpt_search.spaces.space_json import space_to_json
    from ulpt_search.workers.catalogue import axes_of

    for file in sorted(folder.glob("*.yaml")):
        space_to_json(load_space(str(file), catalogue=axes_of))


def _make_home(folder: Path) -> None:
    from ulpt_search.tests import kept

    kept.home(folder / "home")
    with contextlib.closing(sqlite3.connect(folder / "home" / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _spoil_ledger(folder: Path, chance: random.Random) -> None:
    """Bytes, or cells by way of SQLite itself."""
    file = folder / "home" / "ledger.sqlite"
    if chance.random() < 0.4:
        file.write_bytes(damaged(file.read_bytes(), chance))
        return
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ulpt_%'")]
        table = chance.choice([name for name in tables if name != "ulpt_claims"])
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        value = chance.choice((None, -1, 0, 1e308, "", "x" * 5000, "../../x", -0.5, b"\xff"))
        with contextlib.suppress(sqlite3.Error):
            connection.execute(f"UPDATE {table} SET {chance.choice(columns)} = ? WHERE rowid % 3 = ?", (value, chance.randrange(3)))


def _read_home(folder: Path, chance: random.Random) -> None:
    words = chance.choice((("show", "demo"), ("studies",), ("frontier", "demo"), ("verify", "demo"), ("gc",)))
    _command(*words, "--home", str(folder / "home"), *(("--json",) if chance.random() < 0.5 and words != ("gc",) else ()))


def _spoil_adapter(folder: Path, chance: random.Random) -> None:
    """A file that is damaged, or one that keeps its promise of a hash and lies inside."""
    file = chance.choice(sorted((folder / "home" / "store").rglob("*.safetensors")))
    data = damaged(file.read_bytes(), chance)
    if chance.random() < 0.3:
        file.write_bytes(data)
        return
    digest = hashlib.sha256(data).hexdigest()
    other = folder / "home" / "store" / digest[:2] / f"{digest}.safetensors"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(data)
    with contextlib.closing(sqlite3.connect(folder / "home" / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE ulpt_results SET adapter = ? WHERE adapter = ?", (digest, file.stem))


def _read_adapter(folder: Path, _: random.Random) -> None:
    from ulpt_search.workers.training.store import AdapterStore

    with contextlib.closing(sqlite3.connect(folder / "home" / "ledger.sqlite")) as connection:
        named = [row[0] for row in connection.execute("SELECT adapter FROM ulpt_results ORDER BY rowid")]
    try:
        _command("verify", "demo", "--home", str(folder / "home"))
    finally:  # what `verify` refuses is read by workers, too
        for digest in named:
            AdapterStore(str(folder / "home" / "store")).get(digest)


def _make_archive(folder: Path) -> None:
    _make_home(folder)
    _command("archive", "demo", str(folder / "study.zip"), "--home", str(folder / "home"))
    shutil.rmtree(folder / "home")


def _spoil_archive(folder: Path, chance: random.Random) -> None:
    """Bytes of the file, or of what is in it, packed as it should be."""
    file = folder / "study.zip"
    if chance.random() < 0.4:
        file.write_bytes(damaged(file.read_bytes(), chance))
        return
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = chance.choice(sorted(members))
    if name.endswith(".json") and chance.random() < 0.7:
        members[name] = revalued(members[name].decode("utf8"), chance).encode("utf8", "surrogatepass")
    elif chance.random() < 0.3:
        members[chance.choice(("../../out.txt", "/tmp/out.txt", "a/../../x.safetensors"))] = members.pop(name)
    else:
        members[name] = damaged(members[name], chance)
    with zipfile.ZipFile(file, "w") as new:
        for member, data in members.items():
            new.writestr(member, data)


def _read_archive(folder: Path, _: random.Random) -> None:
    _command("restore", str(folder / "study.zip"), "--home", str(folder / "home"))


def _make_export(folder: Path) -> None:
    from ulpt_search.tests import exporting
    from ulpt_search.workers.exports import export

    setup = exporting.setup("encoder", exporting.task_folder(folder / "task"))
    trial = exporting.trial("encoder", "ulpt", {"dim": 2, "prompt_length": 3})
    digest = exporting.trained(setup, trial)
    for style in ("native", "peft"):
        export(setup, trial, digest, style=style, out=folder / style)
    shutil.rmtree(folder / "task")


def _spoil_export(folder: Path, chance: random.Random) -> None:
    """A file of an export; where the card knows its hash, the card is often changed with it."""
    own = folder / chance.choice(("native", "peft"))
    shutil.rmtree(folder / ("peft" if own.name == "native" else "native"))
    card, before = own / "ulpt.json", {path.name: _sha(path) for path in own.iterdir() if path.is_file()}
    _spoil_any("*.json", "*.safetensors")(own, chance)
    changed = {path.name for path in own.iterdir() if path.is_file() and before.get(path.name) != _sha(path)} - {card.name}
    if chance.random() < 0.7:
        text = card.read_bytes()
        for name in changed:
            text = text.replace(before[name].encode(), _sha(own / name).encode())
        card.write_bytes(text)


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_export(folder: Path, _: random.Random) -> None:
    from ulpt_search.workers.exports import load_export

    for own in sorted(folder.iterdir()):
        load_export(own)(["w1 w2", "w0"], ())


def _make_tasks(folder: Path) -> None:
    from ulpt_search.tests import task_files

    rows = [{"text_a": f'text {n}, said "so" and\nmore', "label": ("red", "green")[n % 2]} for n in range(60)]
    turns = [{"messages": [{"role": "user", "content": f"what is {n}?"}, {"role": "assistant", "content": str(n)}]} for n in range(40)]
    task_files.folder(folder / "toy", train=rows[:40], validation=rows[40:50], test=rows[50:])
    (folder / "toy" / "meta.json").write_text(json.dumps({"labels": ["red", "green"], "metric": "accuracy", "kind": "classification"}))
    for name in ("rows.csv", "rows.tsv", "rows.parquet"):
        task_files.write(folder / name, [{**row, "text_a": row["text_a"].replace("\n", " ")} for row in rows])
    (folder / "turns.json").write_text(json.dumps(turns))


def _spoil_tasks(folder: Path, chance: random.Random) -> None:
    """One of the places, which alone is left; of JSONL often a value of one row."""
    place = chance.choice(sorted(folder.iterdir()))
    for other in set(folder.iterdir()) - {place}:
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    file = chance.choice(sorted(place.iterdir())) if place.is_dir() else place
    if file.suffix == ".jsonl" and chance.random() < 0.5:
        lines = file.read_text(encoding="utf8").splitlines()
        row = chance.randrange(len(lines))
        lines[row] = revalued(lines[row], chance)
        file.write_text("\n".join(lines), encoding="utf8")
    else:
        _spoil_file(file, chance)


def _read_tasks(folder: Path, _: random.Random) -> None:
    from ulpt_search.spaces.space import TaskSpec
    from ulpt_search.workers.tasks import load_task

    for place in sorted(folder.iterdir()):
        load_task(TaskSpec("mine", path=str(place)))


def _command(*words: str) -> None:
    """A command line, in this process; its own error line is a refusal."""
    from click.testing import CliRunner

    from ulpt_search.search.cli import main

    done = CliRunner().invoke(main, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code:
        raise Failure(done.stderr.strip())


KINDS: Mapping[str, Kind] = {
    "spaces": Kind(_make_spaces, _spoil_any("*.yaml"), _read_spaces, share=26),
    "tasks": Kind(_make_tasks, _spoil_tasks, _read_tasks, share=28),
    "ledgers": Kind(_make_home, _spoil_ledger, _read_home, share=14),
    "adapters": Kind(_make_home, _spoil_adapter, _read_adapter, share=14),
    "archives": Kind(_make_archive, _spoil_archive, _read_archive, share=9),
    "exports": Kind(_make_export, _spoil_export, _read_export, share=9),
}
