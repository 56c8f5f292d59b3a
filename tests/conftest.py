"""Fixtures of all tests."""

from pathlib import Path

import pytest

import ulpt_search


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real tasks beside the repository; tests on it are skipped where it is absent."""
    folder = Path(ulpt_search.__file__).resolve().parents[1] / "shared" / "tasks"
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real tasks: {folder} is absent")
    return folder
