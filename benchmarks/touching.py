"""Hears of whatever this process writes, deletes, starts or connects to, by Python's own audit events."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHANGES = dict.fromkeys(("os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.utime"), 1)
CHANGES |= dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2)
"""Event -> how many paths it begins with."""
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "socket.connect", "socket.bind")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Witness:
    """Of what is touched outside of `allowed`, while `watching`. There is no way to end it, as with any audit hook: make one."""

    def __init__(self, *allowed: Path) -> None:
        self._allowed = tuple(os.path.realpath(path) for path in allowed)
        self._told: list[str] | None = None
        sys.addaudithook(self._hear)

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        """Yield a list that fills with a line for each such event."""
        told: list[str] = []
        self._told = told
        try:
            yield told
        finally:
            self._told = None

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._told is None:
            return
        if event in STARTS:
            self._told.append(f"{event} {arguments[:2]!r:.200}")
        for path in _changed(event, arguments):
            if not self._may(path):
                self._told.append(f"{event} {path!r:.200}")

    def _may(self, path: str) -> bool:
        return path in ("/dev/null", "/dev/tty") or any(path == one or path.startswith(one + os.sep) for one in self._allowed)


def _changed(event: str, arguments: tuple[object, ...]) -> list[str]:
    """The paths that an event writes to."""
    if event == "open":
        path, mode, flags = arguments
        writes = set("wax+") & set(mode) if isinstance(mode, str) else isinstance(flags, int) and flags & WRITES
        return [_absolute(path, -1)] if writes and not isinstance(path, int) else []
    count = CHANGES.get(event, 0)
    folders = arguments[-count:] if count else ()
    return [_absolute(path, folder) for path, folder in zip(arguments, folders, strict=False) if not isinstance(path, int)]


def _absolute(path: object, folder: object) -> str:
    """A path as an event names it: beside an open folder, or this process's own."""
    here = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else os.curdir
    return os.path.realpath(Path(os.path.realpath(here), os.fsdecode(path)))  # type: ignore[arg-type]
