"""What nothing needs any more: adapters that no result names, caches, and what a killed command has left."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...spaces.errors import Failure, WrongInput, reason
from ...spaces.records import Outcome
from ...workers.training.store import AdapterStore
from ..home import Home
from ..ledger.ledger import Ledger
from ..ledger.store_users import other_users

YOUNG = 3600.0
"""Seconds for which a file is left alone: a search stores an adapter before it writes down the result that names it."""


@dataclass(frozen=True)
class Litter:
    """Files of a kind that nothing needs."""

    kind: str
    files: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def clear(home: Home, *, own_ledger: bool, caches: bool, delete: bool, now: float | None = None) -> list[Litter]:
    """Return what nothing in this home needs; with `delete`, it is gone afterwards.

    Args:
        home: Whose ledger says what is needed.
        own_ledger: Whether the ledger is the home's; adapters are left alone under another, since the home's may name them.
        caches: Whether what can be found or measured again counts, too.
        delete: Whether to delete.
        now: Seconds since 1970; default: this moment.
    Raises `WrongInput` where there is no ledger: then every adapter would look unneeded; where another ledger names adapters of the
    store, too; and, with `delete`, while a study of this home is being searched. `Failure`: something cannot be deleted.
    """
    if not home.has_ledger:
        raise WrongInput(f"--home {home.root}: has no ledger, so nothing says what is needed; give the home of your studies")
    _require_idle(home) if delete else None
    moment = time.time() if now is None else now
    found = [_adapters(home, delete=delete, before=moment - YOUNG)] if own_ledger else []
    left = [path for path in home.ray.glob("run-*") if _age(path, moment) > 24 * YOUNG]
    found.append(_paths("folders that killed commands left", left, delete=delete))
    if caches:
        found.append(_paths("caches", list(home.cache.glob("*")), delete=delete))
    return [litter for litter in found if litter.files]


def _require_idle(home: Home) -> None:
    """Raise `WrongInput` while any study is searched that may keep its caches here, or adapters that no result names yet."""
    own = Home.at(home.root)
    urls = {home.ledger_url} | ({own.ledger_url} if own.has_ledger else set())
    busy = [told for url in sorted(urls) for told in Ledger.open(url).busy()]
    if busy:
        raise WrongInput(f"--home {home.root}: {busy[0]}; what a search needs cannot be told before")


def _adapters(home: Home, *, delete: bool, before: float) -> Litter:
    store, waiting = AdapterStore(home.store, make=False), set(_waiting(home))
    named = waiting | Ledger.open(home.ledger_url).adapters()  # what waited before the ledger was asked is in one of the two
    others = other_users(store, home.ledger_url)
    if others:
        other, note = next(iter(others.items()))
        raise WrongInput(
            f"{home.store}: {other} names adapters in it, too, so nothing says here which are needed; --ledger {other} clears away "
            f"the rest, and where that ledger is gone for good, delete {note}"
        )
    unnamed = [entry for entry in store.entries() if entry.digest not in named and entry.changed < before]
    for entry in unnamed if delete else ():
        store.remove(entry.digest)
    return Litter("adapters that no result names", len(unnamed), sum(entry.bytes for entry in unnamed))


def _waiting(home: Home) -> Iterator[str]:
    """The adapters that outcomes name which wait for their ledger. Raises `Failure` where one cannot be read."""
    for file in sorted(home.unacknowledged.glob("*/*.json")):
        try:
            outcome = Outcome.from_json(json.loads(file.read_text(encoding="utf8"))["outcome"])
        except FileNotFoundError:
            continue  # handed in meanwhile
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{file}: cannot be read ({reason(error)}), so nothing says what is needed; continue its study") from error
        yield from (result.adapter for result in outcome.results)


def _paths(kind: str, paths: list[Path], *, delete: bool) -> Litter:
    files = [file for path in paths for file in _files(path)]
    litter = Litter(kind, len(files), sum(map(_bytes, files)))
    for path in paths if delete else ():
        _delete(path)
    return litter


def _delete(path: Path) -> None:
    """Delete a file or folder, of which others may delete parts meanwhile. Raises `Failure` where it cannot be deleted."""
    try:
        while path.is_dir() and not path.is_symlink():
            with suppress(FileNotFoundError):  # one less to delete
                shutil.rmtree(path)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{path}: cannot be deleted: {reason(error)}; put that right and run again") from error


def _bytes(file: Path) -> int:
    with suppress(OSError):
        return file.lstat().st_size
    return 0


def _files(path: Path) -> Iterator[Path]:
    """A file or link itself, or all in a folder; links are never followed."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    with suppress(FileNotFoundError):  # deleted meanwhile
        for inside in path.iterdir():
            yield from _files(inside)


def _age(path: Path, now: float) -> float:
    with suppress(OSError):
        return now - path.lstat().st_mtime
    return 0.0
