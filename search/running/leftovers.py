"""Temporary folders that say whose they are, so that what nobody was left to clear away is cleared away by whoever comes next.

A supervisor and its child clear away after each other. Where both were killed, the next command finds the folder: the file in it that
both held locked is free.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX, HELD = "ulpt-", "held"
"""How the folders' names begin; the file in each that is locked for as long as somebody needs the folder."""


@contextmanager
def held_folder(base: str) -> Iterator[str]:
    """Yield a new folder in `base`, held by this process and by those that it forks; deletes it, and what others left there."""
    clear(base)
    making = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=base))
    folder = making.with_name(making.name.removeprefix("."))
    with (making / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        making.rename(folder)  # under this name it is never seen unlocked
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def clear(base: str) -> None:
    """End what still runs of this user's folders there that nobody holds any more, and delete them."""
    for mark in Path(base).glob(f"{PREFIX}*/{HELD}"):
        with suppress(OSError):  # another command clears it away at this moment, or it is somebody else's
            if mark.lstat().st_uid == os.geteuid() and not mark.parent.is_symlink():
                _clear(mark)


def _clear(mark: Path) -> None:
    with mark.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if _lives_in(process, mark.parent):
                    process.kill()
        shutil.rmtree(mark.parent, ignore_errors=True)


def _lives_in(process: psutil.Process, folder: Path) -> bool:
    """Whether it was told to put its files there, or is one of Ray's with some open: those write their titles over what they were told."""
    if process.environ().get("TMPDIR") == str(folder):
        return True
    return process.name().startswith("ray::") and any(folder in Path(file.path).parents for file in process.open_files())
