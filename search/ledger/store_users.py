"""Which ledgers name the adapters of a store: noted in the store itself, so that none clears away what another one needs.

Only a store that is a folder keeps notes, since nothing is ever cleared away elsewhere.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from ...spaces.errors import Failure, reason
from ...workers.training.store import AdapterStore
from .migrations.database import plain, target_of

_NOTES = "users"


def note_user(store: AdapterStore, ledger_url: str) -> None:
    """Write down that results of a ledger name adapters of this store. Raises `Failure` where that cannot be written."""
    if store.folder is None:
        return
    note, name = _note(store.folder, ledger_url)
    try:
        if not note.exists() or note.read_text(encoding="utf8") != name:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(name, encoding="utf8")
    except OSError as error:
        raise Failure(f"the store {store.url} cannot be written: {reason(error)}; put that right and run again") from error


def other_users(store: AdapterStore, ledger_url: str) -> Mapping[str, Path]:
    """Return every other ledger that has used this store, as people call it, and the note that says so."""
    if store.folder is None:
        return {}
    own, _ = _note(store.folder, ledger_url)
    others = sorted(note for note in (store.folder / _NOTES).glob("*") if note.name != own.name)
    return {_shown(store.folder, note.read_text(encoding="utf8")): note for note in others}


def _note(folder: Path, ledger_url: str) -> tuple[Path, str]:
    """A ledger's note and what it says: a URL without its password, or a file's path from the store, which may move with it."""
    target = target_of(ledger_url)
    name = os.path.relpath(str(target.database), folder.resolve()) if target.drivername == "sqlite" else plain(target)
    return folder / _NOTES / hashlib.sha256(name.encode("utf8")).hexdigest()[:16], name


def _shown(folder: Path, name: str) -> str:
    return name if "://" in name else str((folder.resolve() / name).resolve())
