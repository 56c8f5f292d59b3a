"""Damaged and hostile files by the thousand: spaces, ledgers, adapters, archives, exports and task files, as commands read them.

    python -m ulpt_search.benchmarks.mutations [--cases 10000] [--seed 0] [--only KIND]

Each case takes a good file, changes bytes of it (flipped, cut, doubled, overwritten, exchanged for words that mean something) or values of
its JSON, and hands it to the reader that a command uses. Right is a value, or one line of `WrongInput` or `Failure`; wrong is any other
error, more than 20 seconds, or a file that appears, changes or vanishes outside the case's own folder. Prints JSON: cases and refusals by
kind, and every fault with the number that makes it again: `--seed`, kind and case draw all that is random.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ulpt_search.spaces.errors import Failure, WrongInput

SECONDS = 20
"""A reader that takes longer hangs."""
WORDS = (
    *(b"null", b"NaN", b"-1", b"1e999", b"[]", b"{}", b'""', b"true", b"../../x", b"/etc/passwd", b"\x00", b"\xff\xfe", b"9" * 40, b"inf"),
    *(b"!!python/object:os.system", b"\xf0\x9f\x98\x80", b"&a [*a]", b"__import__", b"\r", b"\n\n", b"\\ud800", b"{" * 50, b"1_000", b"~"),
)
VALUES: tuple[Any, ...] = (
    None,
    -1,
    0,
    1e308,
    True,
    "",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": None},
    "../../x",
    2**70,
    "\ud7ff",
    -0.5,
    ["a"] * 50,
)
"""What takes the place of a value in JSON."""


class Hangs(BaseException):
    """A reader that does not come back."""


@dataclass
class Found:
    """What came of the cases."""

    cases: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON; of faults that end alike the first three."""
        alike = Counter(fault["what"] for fault in self.faults)
        shown = [fault for n, fault in enumerate(self.faults) if [f["what"] for f in self.faults[:n]].count(fault["what"]) < 3]
        return {
            "cases": self.cases.total(),
            "by kind": dict(self.cases),
            "refused": dict(self.refused),
            "faults": len(self.faults),
            "alike": dict(alike.most_common(40)),
            "shown": shown[:60],
        }


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with one to three changes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(WAYS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(data)))
    return data[:at] + bytes([(data[at] if data else 0) ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] if chance.random() < 0.5 else data[:at] + data[at + chance.randrange(1, 40) :]


def _double(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + chance.randrange(1, 200)]
    return data[:at] + piece + data[at:]


def _say(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(WORDS) + data[at + chance.randrange(0, 6) :]


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _cut, _double, _say, _say)


def revalued(text: str, chance: random.Random) -> str:
    """Return JSON in which one value, somewhere, is another one, or is gone."""
    tree = json.loads(text)
    places = list(_places(tree))
    if places:
        holder, key = chance.choice(places)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = chance.choice(VALUES)
    return json.dumps(tree)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(tree, dict | list):
        for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
            yield tree, key
            yield from _places(value)


@dataclass(frozen=True)
class Kind:
    """A kind of file: `make` writes a good one into a folder once, `spoil` changes a copy of it, `read` has it read."""

    make: Callable[[Path], None]
    spoil: Callable[[Path, random.Random], None]
    read: Callable[[Path, random.Random], object]


def _spoil_any(*patterns: str) -> Callable[[Path, random.Random], None]:
    """Change one of the files that match; JSON by its values in half of the cases."""

    def spoil(folder: Path, chance: random.Random) -> None:
        file = chance.choice(sorted(path for pattern in patterns for path in folder.rglob(pattern)))
        if file.suffix == ".json" and chance.random() < 0.5:
            file.write_text(revalued(file.read_text(encoding="utf8"), chance), encoding="utf8")
        else:
            file.write_bytes(damaged(file.read_bytes(), chance))

    return spoil


def _make_spaces(folder: Path) -> None:
    import ulpt_search

    for file in Path(ulpt_search.__file__).parent.joinpath("spaces").glob("*.yaml"):
        shutil.copy(file, folder)


def _read_spaces(folder: Path, _: random.Random) -> None:
    from ulpt_search.spaces.schema import load_space
    from ulpt_search.workers.catalogue import axes_of

    for file in folder.glob("*.yaml"):
        if file.stat().st_mtime_ns != 1:
            load_space(str(file), catalogue=axes_of)


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

    _command("verify", "demo", "--home", str(folder / "home"))
    with contextlib.closing(sqlite3.connect(folder / "home" / "ledger.sqlite")) as connection:
        named = [row[0] for row in connection.execute("SELECT adapter FROM ulpt_results")]
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
    (folder / "which").write_text(own.name)
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

    load_export(folder / (folder / "which").read_text())(["w1 w2", "w0"], ())


def _make_tasks(folder: Path) -> None:
    from ulpt_search.tests import exporting

    exporting.task_folder(folder)
    (folder / "toy" / "meta.json").write_text(json.dumps({"labels": {"red": "red"}, "metric": "accuracy"}))
    lines = [(folder / "toy" / "train.jsonl").read_text().splitlines()[n] for n in range(40)]
    rows = [json.loads(line) for line in lines]
    (folder / "rows.csv").write_text("text_a,label\n" + "".join(f'"{row["text_a"]}",{row["label"]}\n' for row in rows))


def _read_tasks(folder: Path, chance: random.Random) -> None:
    from ulpt_search.spaces.space import TaskSpec
    from ulpt_search.workers.tasks import load_task

    for place in ("toy", "rows.csv"):
        load_task(TaskSpec("mine", path=str(folder / place), text_b=None))


KINDS: Mapping[str, Kind] = {
    "spaces": Kind(_make_spaces, _spoil_any("*.yaml"), _read_spaces),
    "ledgers": Kind(_make_home, _spoil_ledger, _read_home),
    "adapters": Kind(_make_home, _spoil_adapter, _read_adapter),
    "archives": Kind(_make_archive, _spoil_archive, _read_archive),
    "exports": Kind(_make_export, _spoil_export, _read_export),
    "tasks": Kind(_make_tasks, _spoil_any("*.jsonl", "*.json", "*.csv"), _read_tasks),
}


def _command(*words: str) -> None:
    """A command line, in this process; its own error line is a refusal."""
    from click.testing import CliRunner

    from ulpt_search.search.cli import main

    done = CliRunner().invoke(main, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code:
        raise Failure(done.stderr.strip())


@contextmanager
def _limited() -> Iterator[None]:
    """Interrupt what takes too long."""

    def stop(signum: int, frame: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_case(name: str, good: Path, folder: Path, number: str, found: Found) -> None:
    """Spoil a copy of what is in `good`, in `folder`, and read it."""
    kind, chance = KINDS[name], random.Random(f"{number} {name}")
    shutil.copytree(good, folder)
    kind.spoil(folder, chance)
    found.cases[name] += 1
    try:
        with _limited(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            kind.read(folder, chance)
    except (WrongInput, Failure) as error:
        found.refused[name] += 1
        if "\n" in str(error).strip() or "Traceback" in str(error):
            found.faults.append({"kind": name, "case": number, "what": f"{name}: more than a line", "told": str(error)[:300]})
    except Hangs:
        found.faults.append({"kind": name, "case": number, "what": f"{name}: hangs", "told": ""})
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = next((f for f in reversed(traceback.extract_tb(error.__traceback__)) if "ulpt_search" in f.filename), last)
        what = f"{name}: {type(error).__name__} in {Path(ours.filename).name}:{ours.lineno}"
        found.faults.append({"kind": name, "case": number, "what": what, "told": str(error)[:200]})
    shutil.rmtree(folder, ignore_errors=True)


def mutate(root: Path, *, cases: int, seed: int, only: str | None = None) -> Found:
    """Try so many cases, of each kind alike; `root` is an empty folder."""
    found, kinds = Found(), [only] if only else list(KINDS)
    for name in kinds:
        (root / "good" / name).mkdir(parents=True)
        KINDS[name].make(root / "good" / name)
    outside, before = root / "outside", Path.cwd()
    outside.mkdir()
    os.chdir(outside)
    try:
        told = _listing(root)
        for number in range(cases):
            name = kinds[number % len(kinds)]
            try_case(name, root / "good" / name, root / "case", f"{seed}.{number}", found)
            if number % 50 == 0 and _listing(root) != told:
                what = "something outside the case's folder changed"
                found.faults.append({"kind": name, "case": f"{seed}.{number}", "what": what, "told": ""})
                told = _listing(root)
    finally:
        os.chdir(before)
    return found


def _listing(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def main() -> None:
    """Print what came of it; status 1 where there is a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(KINDS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutations-") as root:
        found = mutate(Path(root), cases=options.cases, seed=options.seed, only=options.only)
    print(json.dumps(found.to_json(), indent=1))
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()
