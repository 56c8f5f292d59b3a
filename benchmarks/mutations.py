"""Damaged and hostile files by the thousand: spaces, task files, ledgers, adapters, archives and exports, as commands read them.

    python -m ulpt_search.benchmarks.mutations [--cases 10000] [--seed 0] [--first 0] [--only KIND]

Each case takes a good file, changes bytes of it (flipped, cut, doubled, overwritten, exchanged for words that mean something) or values of
its JSON, and hands it to the reader that a command uses. Right is a value, or one line of `WrongInput` or `Failure`; wrong is any other
error, more than 20 seconds of a processor, a file that is written, changed or deleted outside the case's own folder, a temporary file
that stays, a program that is started, or a connection. All kinds are read in one process, where what a case leaves would meet the next.

Prints JSON: cases and refusals by kind, and every fault with the number that makes it again: seed, kind and number draw all that is
random, so `--only KIND --first NUMBER --cases 1` is that case. To stderr it says how far it is.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from ulpt_search.benchmarks.mutated import KINDS
from ulpt_search.benchmarks.touching import Witness
from ulpt_search.spaces.errors import Failure, WrongInput

SECONDS = 20
"""Of a processor. A reader that takes longer hangs."""
WAITED = 120
"""Seconds on the clock, as a busy machine gives them."""
EVERY = 250
"""Cases between two looks at all files, and between two lines of progress."""


Spoil = Callable[[Path, random.Random], None]


class Hangs(BaseException):
    """A reader that does not come back."""


@dataclass
class Found:
    """What came of the cases."""

    cases: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[dict[str, str]] = field(default_factory=list)
    last: str = ""
    """What the last refusal said."""

    def add(self, kind: str, case: str, what: str, told: str) -> None:
        """Take note of a fault."""
        self.faults.append({"kind": kind, "case": case, "what": f"{kind}: {what}", "told": told[:300]})

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


class Trial:
    """Copies of the good files in a folder, which are spoilt and read."""

    def __init__(self, root: Path, kinds: list[str], found: Found) -> None:
        self._root, self._found = root, found
        self._case = root / "cases" / "one"  # as deep as the good ones: exports name their model by a relative path
        self._temporary = Path(tempfile.gettempdir())
        self._witness = Witness(self._case, self._temporary)
        for name in kinds:
            self._warm_up(name)
        self._files = _listing(root)

    def _warm_up(self, name: str) -> None:
        """Read the good files: what is refused whole says nothing of how damage is met. Libraries prepare themselves the first time."""
        for found in (Found(), Found()):
            self._read(name, lambda folder, chance: None, "as it was made", found)
        if found.refused or found.faults:
            raise Failure(f"a good file is refused: {found.faults or found.last}")

    def spoil(self, name: str, number: str) -> None:
        """One case."""
        self._read(name, KINDS[name].spoil, number, self._found)

    def look(self, number: str) -> None:
        """See whether any file has changed that is of no case."""
        if (files := _listing(self._root)) != self._files:
            self._found.add("any", number, "something outside the case's folder changed", str(files.items() ^ self._files.items()))
            self._files = files

    def _read(self, name: str, spoil: Spoil, number: str, found: Found) -> None:
        chance = random.Random(f"{number} {name}")
        shutil.copytree(self._root / "good" / name, self._case)
        spoil(self._case, chance)
        found.cases[name] += 1
        with self._witness.watching() as touched:
            _try(name, self._case, number, chance, found)
        for line in touched[:1]:
            found.add(name, number, "touches what is not its own", line)
        for left in self._temporary.iterdir():
            found.add(name, number, "leaves a temporary file", left.name)
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        shutil.rmtree(self._case)


def _try(name: str, folder: Path, number: str, chance: random.Random, found: Found) -> None:
    """Have a case read, and take note of what comes of it."""
    try:
        with _limited(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            KINDS[name].read(folder, chance)
    except (WrongInput, Failure) as error:
        found.refused[name] += 1
        found.last = str(error)
        if "\n" in str(error).strip() or "Traceback" in str(error):
            found.add(name, number, "more than a line", str(error))
    except Hangs:
        found.add(name, number, "hangs", "")
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = next((frame for frame in reversed(frames) if "ulpt_search" in frame.filename), frames[-1])
        found.add(name, number, f"{type(error).__name__} in {Path(ours.filename).name}:{ours.lineno}", str(error))


@contextmanager
def _limited() -> Iterator[None]:
    """Interrupt what takes too long."""
    began, worked = time.monotonic(), time.process_time()

    def stop(signum: int, frame: object) -> None:
        if time.process_time() - worked > SECONDS or time.monotonic() - began > WAITED:
            raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 2, 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutate(root: Path, found: Found, *, cases: int, seed: int, first: int = 0, only: str | None = None) -> None:
    """Try so many cases in an empty folder, of each kind its share."""
    kinds = [only] if only else list(KINDS)
    deck = [name for name in kinds for _ in range(KINDS[name].share)]
    random.Random(0).shuffle(deck)
    for name in kinds:
        (root / "good" / name).mkdir(parents=True)
        KINDS[name].make(root / "good" / name)
    with _elsewhere(root):
        trial = Trial(root, kinds, found)
        for number in range(first, first + cases):
            trial.spoil(deck[number % len(deck)], f"{seed}.{number}")
            if number % EVERY == EVERY - 1:
                trial.look(f"{seed}.{number}")
                print(f"{found.cases.total()} cases, {len(found.faults)} faults", file=sys.stderr, flush=True)
        trial.look(f"{seed}.{first + cases}")


@contextmanager
def _elsewhere(root: Path) -> Iterator[None]:
    """Work in empty folders: the current one, the user's own, and the one for temporary files, which is no part of what is looked at."""
    before, bytecode = Path.cwd(), sys.dont_write_bytecode
    for name in ("here", "user"):
        (root / name).mkdir()
    with (
        tempfile.TemporaryDirectory(prefix="mutations-temporary-") as temporary,
        mock.patch.dict(os.environ, HOME=str(root / "user"), TMPDIR=temporary),
        mock.patch.object(tempfile, "tempdir", temporary),
    ):
        os.chdir(root / "here")
        sys.dont_write_bytecode = True
        try:
            yield
        finally:
            os.chdir(before)
            sys.dont_write_bytecode = bytecode


def _listing(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def main() -> None:
    """Print what came of it, whatever ends it; status 1 where there is a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=tuple(KINDS))
    options = parser.parse_args()
    faulthandler.enable()  # a library that takes the whole process with it says where
    found = Found()
    try:
        with tempfile.TemporaryDirectory(prefix="mutations-") as root:
            mutate(Path(root), found, cases=options.cases, seed=options.seed, first=options.first, only=options.only)
    finally:
        print(json.dumps(found.to_json(), indent=1), flush=True)
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()
