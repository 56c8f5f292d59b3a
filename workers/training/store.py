"""The adapter store: safetensors files named by the sha256 of their bytes, on any file system that fsspec knows.

A file is written aside, synced and renamed, so that a name never shows half a file and writers of the same content cannot
harm each other; object stores show a file whole or not at all by themselves. Nothing is ever changed in place: a writer that dies
leaves at most a file aside, which later ones clear away.
"""

import errno
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from ...spaces.errors import Away, Failure, WrongInput, reason
from ...spaces.outages import insist

if TYPE_CHECKING:
    from torch import Tensor

_ASIDE, _MARK = "aside", "store-id"
_WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
"""Protocols of stores in which a file appears when it is complete."""
_HEX = set("0123456789abcdef")
_FORGOTTEN = 3600.0
"""Seconds after which a file aside has no writer any more."""


@dataclass(frozen=True)
class Entry:
    """A file of a store."""

    digest: str
    bytes: int
    changed: float
    """Seconds since 1970."""


class Unusable(Failure):
    """The store itself cannot be read or written: whoever meets it is not to blame."""


class StoreAway(Unusable, Away):
    """The store does not answer, and may come back by itself."""


class AdapterStore:
    """A content-addressed store at an fsspec URL; a plain path is a local folder, made where there is none unless `make` is False.

    A store that is away is waited for in reads, writes and the comparison of marks, for `patience` seconds each.
    Raises `WrongInput` where there is no such file system or the folder cannot be made.
    """

    def __init__(self, url: str, *, make: bool = True, patience: float = 0.0) -> None:
        self.url, self._patience = url, patience
        try:
            self._fs, root = fsspec.core.url_to_fs(url)
        except Exception as error:  # of whatever kind the file system's own package has
            raise WrongInput(f"--store {url}: {reason(error)}. Give a folder, or a URL whose fsspec package is installed") from error
        self._root = root.rstrip("/")
        self._local, self._whole = "file" in _protocols(self._fs), bool(_WHOLE & set(_protocols(self._fs)))
        if self._local and make:
            self._prepare()

    @property
    def folder(self) -> Path | None:
        """Where it lies on a disk; None elsewhere."""
        return Path(self._root) if self._local else None

    def put(self, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> str:
        """Store tensors with their metadata and return the file's sha256; equal content has one name and is kept once.

        What this returns is on the disk. Raises `Unusable` where the store cannot be written (full, gone, read-only).
        """
        return self.keep(_encode(tensors, metadata))

    def keep(self, data: bytes) -> str:
        """Store a file's bytes as they are, as `put` does, and return their sha256."""
        digest = hashlib.sha256(data).hexdigest()
        if self._read(digest) != data:
            self._write(digest, data)
        elif self.folder is not None:
            with suppress(OSError):  # it may only be read
                os.utime(self._path(digest))  # as young as what was just written: a result is about to name it
        return digest

    def get(self, digest: str) -> "tuple[dict[str, Tensor], dict[str, str]]":
        """Return the tensors, on the CPU, and the metadata stored under `digest`.

        Raises `Failure` where the file is missing, its bytes are no longer those it is named after, or they are none of ours, `Unusable`
        where the store cannot be read.
        """
        import safetensors.torch

        data = self.read(digest)
        try:
            return safetensors.torch.load(data), metadata_of(data)
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
            raise Failure(f"adapter {digest[:12]}: its file holds no adapter ({reason(error)}); restore it from a copy") from error

    def read(self, digest: str) -> bytes:
        """Return the bytes of the file named `digest`, for readers without torch; raises as `get` does."""
        data = self._read(digest)
        if data is None:
            raise Failure(f"adapter {digest}: not in the store {self.url}; was the store moved, or another --store given?")
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise Failure(f"adapter {digest}: damaged, {self._path(digest)} now has sha256 {found[:12]}…; restore the file from a copy")
        return data

    def has(self, digest: str) -> bool:
        """Whether there is a file for `digest`; its bytes are checked when they are read. Raises `Unusable` as `get` does."""
        with self._reached(f"the store {self.url} cannot be read"):
            return bool(self._fs.exists(self._path(digest)))

    def entries(self) -> "Iterator[Entry]":
        """Yield every adapter that is there; what does not bear the name of one is passed over."""
        with self._reached(f"the store {self.url} cannot be read"):
            found = self._fs.find(self._root, detail=True) if self._fs.exists(self._root) else {}
        for path, about in found.items():
            name = path.rpartition("/")[2].removesuffix(".safetensors")
            if len(name) == 64 and set(name) <= _HEX and path.endswith(f"/{name[:2]}/{name}.safetensors"):
                changed = about.get("mtime") or about.get("LastModified") or 0.0
                yield Entry(name, int(about["size"]), float(changed.timestamp() if hasattr(changed, "timestamp") else changed))

    def remove(self, digest: str) -> None:
        """Delete an adapter; nothing where it is gone already. Raises `Unusable` where it cannot be deleted."""
        with suppress(FileNotFoundError), self._reached(f"adapter {digest}: cannot be deleted from {self.url}"):
            self._fs.rm_file(self._path(digest))

    def mark(self) -> str:
        """Return what tells this store from every other one; it is written into it by whoever asks first.

        Raises `Unusable` where the store cannot be written.
        """
        path = f"{self._root}/{_MARK}"
        with self._reached(f"the store {self.url} cannot be written", absent=True):
            if not self._fs.exists(path):
                self._leave(path, uuid.uuid4().hex)
            mark: bytes = self._fs.cat_file(path)
        return mark.decode("ascii")

    def bears(self, mark: str) -> bool:
        """Whether this is the store of that mark; raises `Unusable` where it cannot be read."""
        told = f"the store {self.url} cannot be read"
        return self._content(f"{self._root}/{_MARK}", told) == mark.encode("ascii")

    def _leave(self, path: str, mark: str) -> None:
        """Write a mark; of two that do so at once on a disk, the first."""
        if not self._whole:  # where a folder is no file of its own, making one could make a bucket
            self._make(self._root)
        if not self._local:
            self._fs.pipe_file(path, mark.encode("ascii"))
            return
        with suppress(FileExistsError), Path(path).open("x", encoding="ascii") as file:
            file.write(mark)

    def _path(self, digest: str) -> str:
        if len(digest) != 64 or not set(digest) <= _HEX:
            raise Failure(f"adapter {digest!r}: not a sha256, which has 64 digits from 0 to f; it cannot name a file of {self.url}")
        return f"{self._root}/{digest[:2]}/{digest}.safetensors"

    def _read(self, digest: str) -> bytes | None:
        return self._content(self._path(digest), f"adapter {digest}: the store {self.url} cannot be read")

    def _content(self, path: str, told: str) -> bytes | None:
        """A file's bytes; None where there is none."""

        def read() -> bytes | None:
            with suppress(FileNotFoundError), self._reached(told):
                data: bytes = self._fs.cat_file(path)
                return data
            return None

        return insist(read, seconds=self._patience)

    def _write(self, digest: str, data: bytes) -> None:
        insist(lambda: self._write_once(digest, data), seconds=self._patience)

    def _write_once(self, digest: str, data: bytes) -> None:
        path, aside = self._path(digest), f"{self._root}/{_ASIDE}/{uuid.uuid4().hex}"
        try:
            with self._reached(f"the store {self.url} cannot be written", absent=True):
                self._place(data, path, aside)
        except Unusable:
            self._discard(aside)
            raise

    @contextmanager
    def _reached(self, told: str, *, absent: bool = False) -> Iterator[None]:
        """Make what the file system complains about while inside `Unusable`; of what is not there only with `absent`.

        A store elsewhere has its package's own errors, such as botocore's for credentials that are missing, which are no `OSError`.
        """
        try:
            yield
        except (Failure, WrongInput):
            raise
        except Exception as error:
            known = isinstance(error, OSError) if self._local else True
            if not known or (isinstance(error, FileNotFoundError) and not absent):
                raise
            kind = StoreAway if may_come_back(error, local=self._local) else Unusable
            raise kind(f"{told}: {reason(error)}; put that right and run again") from error

    def _place(self, data: bytes, path: str, aside: str) -> None:
        """Make `path` show `data`, by way of `aside` where half a file could be seen."""
        if self._whole:
            self._fs.pipe_file(path, data)
            return
        self._make(aside.rpartition("/")[0])
        self._make(path.rpartition("/")[0])
        if self._local:
            _write_synced(Path(aside), Path(path), data)
        else:
            self._fs.pipe_file(aside, data)
            self._fs.mv(aside, path)

    def _make(self, folder: str) -> None:
        """Make a folder of the store. On a disk its name is synced too, or a crash could take the folder away with all in it."""
        if not self._local:
            self._fs.makedirs(folder, exist_ok=True)
        elif Path(folder).is_file():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file, not a folder")
        elif not Path(folder).is_dir():
            self._make(str(Path(folder).parent))
            Path(folder).mkdir(exist_ok=True)
            _sync(Path(folder).parent)

    def _discard(self, aside: str) -> None:
        try:
            self._fs.rm_file(aside)
        except Exception:
            return  # it was never there, or the store is gone: the write's own error is the one to report

    def _prepare(self) -> None:
        """Make a local store's folder and clear away what dead writers left aside."""
        try:
            self._make(self._root)
            for left in Path(self._root, _ASIDE).glob("*"):
                _clear(left)
        except OSError as error:
            raise WrongInput(
                f"--store {self.url}: cannot be used: {reason(error)}; give a folder of yours with --store or --home"
            ) from error


_LOST = {
    getattr(errno, "EREMOTEIO", errno.EBUSY),
    errno.EBUSY,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ENETUNREACH,
    errno.ENETDOWN,
}
_LOST_ELSEWHERE = {"ConnectionError", "HTTPClientError", "ClientConnectionError", "FSTimeoutError", "HttpError"}
"""What botocore, aiohttp, fsspec and gcsfs call a server that does not answer; their packages need not be there.

botocore's `ConnectionError` is none of Python's.
"""


def may_come_back(error: BaseException, *, local: bool = False) -> bool:
    """Whether an error says that a file system does not answer, rather than that it refuses.

    EIO is a `local` disk that dies; elsewhere it is what s3fs makes of any code of a server's that it does not know.
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and (error.errno in _LOST or (error.errno == errno.EIO and not local)):
        return True
    return bool({kind.__name__ for kind in type(error).__mro__} & _LOST_ELSEWHERE)


def _encode(tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> bytes:
    """One file's bytes, the same for the same content: safetensors itself writes the metadata in any order."""
    import safetensors.torch
    import torch

    own = {name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    plain = safetensors.torch.save(own)
    length = int.from_bytes(plain[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(plain[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf8")
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + plain[8 + length :]


def metadata_of(data: bytes) -> dict[str, str]:
    """Return the metadata of a stored file; raises `ValueError` or `KeyError` where it has none."""
    header: dict[str, dict[str, str]] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header["__metadata__"]


def _write_synced(aside: Path, path: Path, data: bytes) -> None:
    """Make `path` show `data`, whole or not at all, whatever happens when."""
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Put a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(left: Path) -> None:
    try:
        if time.time() - left.stat().st_mtime > _FORGOTTEN:
            left.unlink()
    except OSError:
        return  # its writer lives and has just renamed it, or this store is only to be read


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
