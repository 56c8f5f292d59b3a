"""Hashes of files that need not be read again while their size and times stay: large models are hashed once on a machine."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...spaces.hashing import sha256_of_json

THREADS = min(8, os.cpu_count() or 1)
"""hashlib lets other threads run."""


@dataclass(frozen=True)
class Files:
    """Some files as they are at one moment."""

    paths: tuple[Path, ...]
    stamps: tuple[tuple[str, int, int, int], ...]
    """Path, size, and the times of the last change of contents and of the entry, in nanoseconds."""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "Files":
        """Look at files; raises `OSError` where one is gone."""
        return cls(tuple(paths), tuple(_stamp(path) for path in paths))

    def sha256(self) -> str:
        """Of all bytes: of a single file its own, of several theirs by name; empty without files."""
        if not self.paths:
            return ""
        with ThreadPoolExecutor(THREADS) as threads:
            hashes = list(threads.map(_sha256, self.paths))
        return hashes[0] if len(hashes) == 1 else sha256_of_json([[path.name, each] for path, each in zip(self.paths, hashes, strict=True)])


@dataclass(frozen=True)
class HashCache:
    """A folder of remembered hashes; without one, nothing is remembered. What is damaged there is computed again."""

    folder: Path | None
    fresh: bool = False
    """Whether to compute everything anew, and remember that."""

    def get(self, kind: str, files: Files, compute: Callable[[], str], *, also: Sequence[str] = ()) -> str:
        """Return the hash called `kind` of these files, remembered under them and under `also`, whatever else it depends on.

        Files that change meanwhile are not remembered.
        """
        if self.folder is None or not files.paths:
            return compute()
        place = self.folder / "identity" / f"{sha256_of_json([kind, files.stamps, list(also)])}.json"
        known = None if self.fresh else _read(place)
        if known is None:
            known = compute()
            with suppress(OSError):  # a folder that cannot be written to costs time only
                if Files.of(files.paths) == files:
                    _write(place, known)
        return known


def _stamp(path: Path) -> tuple[str, int, int, int]:
    found = path.stat()
    return str(path.resolve()), found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(place: Path) -> str | None:
    try:
        kept = json.loads(place.read_text(encoding="utf8"))
        found, seal = kept["sha256"], kept["seal"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) and seal == _seal(place, found) else None


def _seal(place: Path, found: str) -> str:
    """What only a hash that was written here has beside it: a flipped bit would otherwise be another model."""
    return sha256_of_json([place.stem, found])


def _write(place: Path, found: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_suffix(f".{uuid.uuid4().hex}")
    try:
        aside.write_text(json.dumps({"sha256": found, "seal": _seal(place, found)}), encoding="utf8")
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
