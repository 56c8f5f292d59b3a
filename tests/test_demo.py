"""`make demo`, command by command as the Makefile has them, with fewer and shorter trials."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import ulpt_search

ROOT = Path(ulpt_search.__file__).parent


def commands(home: Path) -> list[list[str]]:
    """The arguments of every `ulpt-search` of the demo."""
    asked = ["make", "--dry-run", "--always-make", "demo", f"HOME_DIR={home}", "TRIALS=4", "STEPS=15"]
    printed = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout.replace("\\\n", " ")
    words = [shlex.split(line) for line in printed.splitlines()]
    return [rest for first, *rest in filter(None, words) if first.endswith("/ulpt-search")]


@pytest.mark.slow
def test_it_runs_to_its_end(tmp_path: Path) -> None:
    told = [command[0] for command in commands(tmp_path / "home")]
    assert told == ["run", "frontier", "export", "predict"]
    for command in commands(tmp_path / "home"):
        asked = [sys.executable, "-m", "ulpt_search.search.cli", *command]
        done = subprocess.run(asked, check=False, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    assert done.stdout.strip()
    assert (tmp_path / "home" / "best" / "README.md").is_file()
