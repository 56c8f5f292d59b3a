"""A study with its adapters as one file, and back: to another machine, or another ledger.

A zip file of `study.json` and `adapters/HASH.safetensors`. What is read may come from anybody: no name in it decides where anything is
written, an adapter's name must be the hash of its bytes, sizes are held to while reading and not believed, and records are parsed into
their types before the first of them is written. Nothing in it is ever run.
"""

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ...spaces.errors import Failure, WrongInput, reason
from ...spaces.space_json import space_from_json
from ...workers.training.store import AdapterStore
from ..home import Home
from ..ledger.ledger import Ledger
from ..ledger.moved import Moved
from ..ledger.reading import History
from ..ledger.store_users import note_user

VERSION = 1
STUDY = "study.json"
LARGEST_ADAPTER, LARGEST_STUDY = 2**32, 2**33
"""Bytes of a member at most: nothing larger is written, since nothing larger is read."""
_ADAPTER = re.compile(r"adapters/([0-9a-f]{64})\.safetensors")
_WHOLE = 1 << 20


@dataclass(frozen=True)
class Archived:
    """The contents of `study.json`."""

    version: int
    study: Moved


_READER = TypeAdapter(Archived)


@dataclass(frozen=True)
class Packed:
    """What was written or read."""

    study: str
    trials: int
    results: int
    adapters: int


def archive(history: History, file: Path) -> Packed:
    """Write a study into a file that is not there yet, whole or not at all.

    Raises `WrongInput` where the file is there or cannot be written, and `Failure` where an adapter is missing, damaged or too large.
    """
    if file.exists():
        raise WrongInput(f"{file}: is there already; give a file that is not")
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(aside, "x", compression=zipfile.ZIP_DEFLATED) as out:
            packed = _write(history, out)
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.rename(file)
    except OSError as error:
        raise WrongInput(f"{file}: cannot be written: {reason(error)}; give a file in a folder of yours") from error
    finally:
        aside.unlink(missing_ok=True)
    return packed


def _write(history: History, out: zipfile.ZipFile) -> Packed:
    moved = Moved(history.record, history.trials, history.results, history.problems, history.references)
    _add(out, STUDY, _READER.dump_json(Archived(VERSION, moved)), most=LARGEST_STUDY)
    store = AdapterStore(history.store, make=False)
    adapters = sorted({result.adapter for result in history.results})
    for adapter in adapters:
        _add(out, f"adapters/{adapter}.safetensors", store.read(adapter), most=LARGEST_ADAPTER)
    return Packed(history.record.name, len(history.trials), len(history.results), len(adapters))


def _add(out: zipfile.ZipFile, name: str, data: bytes, *, most: int) -> None:
    if len(data) > most:
        raise Failure(f"{name} has {len(data)} bytes, and an archive takes {most} at most; copy the whole home instead")
    out.writestr(name, data)


def restore(file: Path, home: Home) -> Packed:
    """Put an archived study into a home: its adapters first, its rows last and in one transaction.

    Raises `WrongInput` where the file is no such archive, was damaged or made by a newer version, or the ledger has a study of that name.
    """
    try:
        with zipfile.ZipFile(file) as archived:
            return _restore(file, archived, home)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        if isinstance(error, Failure):
            raise
        raise WrongInput(f"{file}: is no archive of a study that can be read: {reason(error)}; ulpt-search archive makes one") from error


def _restore(file: Path, archived: zipfile.ZipFile, home: Home) -> Packed:
    members = _members(file, archived)
    moved = _parsed(file, b"".join(_read(file, archived, members[STUDY], most=LARGEST_STUDY)))
    ledger = Ledger.open(home.ledger_url)
    if moved.record.name in {study.name for study in ledger.studies()}:
        raise WrongInput(f"{file}: study {moved.record.name} is in this ledger already; give another --ledger or --home")
    named = {result.adapter for result in moved.results}
    missing = sorted(named - members.keys())
    if missing:
        raise WrongInput(f"{file}: {len(missing)} adapters that its results name are not in it, such as {missing[0][:12]}")
    store = AdapterStore(home.store)
    note_user(store, home.ledger_url)
    for digest in sorted(named):
        data = b"".join(_read(file, archived, members[digest], most=LARGEST_ADAPTER))
        if hashlib.sha256(data).hexdigest() != digest:
            raise WrongInput(f"{file}: adapter {digest[:12]} is not what its name says; the file was damaged or changed")
        store.keep(data)
    ledger.take_in(moved)
    return Packed(moved.record.name, len(moved.trials), len(moved.results), len(named))


def _members(file: Path, archived: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """`study.json` and the adapters by their hashes. Raises `WrongInput` for any other name, or one that comes twice."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archived.infolist():
        adapter = _ADAPTER.fullmatch(info.filename)
        name = adapter[1] if adapter else info.filename
        if (not adapter and name != STUDY) or name in found:
            raise WrongInput(f"{file}: {info.filename!r} does not belong into an archive of a study")
        found[name] = info
    if STUDY not in found:
        raise WrongInput(f"{file}: has no {STUDY}, so it is no archive of a study; ulpt-search archive makes one")
    return found


def _read(file: Path, archived: zipfile.ZipFile, info: zipfile.ZipInfo, *, most: int) -> Iterator[bytes]:
    """A member's bytes; `WrongInput` where there are more or fewer of them than its header said, or more than it may have."""
    left = info.file_size
    if info.file_size > most:
        raise WrongInput(f"{file}: {info.filename} says that it has {info.file_size} bytes, of at most {most}")
    with archived.open(info) as member:
        while chunk := member.read(_WHOLE):
            left -= len(chunk)
            if left < 0:
                raise WrongInput(f"{file}: {info.filename} has more bytes than its header says")
            yield chunk
    if left:
        raise WrongInput(f"{file}: {info.filename} has fewer bytes than its header says")


def _parsed(file: Path, data: bytes) -> Moved:
    try:
        found = _READER.validate_json(data)
        space_from_json(found.study.record.space)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise WrongInput(f"{file}: {STUDY}: {where or 'it'}: {first['msg'].lower()}; it was made by another version, or changed") from error
    except (LookupError, TypeError, ValueError) as error:
        raise WrongInput(f"{file}: {STUDY}: its space cannot be read ({type(error).__name__}); use the ulpt-search that made it") from error
    if found.version != VERSION:
        raise WrongInput(f"{file}: has version {found.version}, this ulpt-search reads {VERSION}; use the one that made it")
    return found.study
