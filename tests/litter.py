"""Folders that live as long as the test process, for what is made once and used by many tests."""

import atexit
import shutil
import tempfile
from pathlib import Path


def folder(name: str) -> Path:
    """Return an empty folder of that name that is gone when the process ends."""
    root = Path(tempfile.mkdtemp(prefix="ulpt-tests-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    path = root / name
    path.mkdir()
    return path
