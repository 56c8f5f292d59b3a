"""Temporary folders that nobody holds any more, and those that somebody does."""

import fcntl
import os
import subprocess
from pathlib import Path

from ulpt_search.search.running.leftovers import HELD, PREFIX, clear, held_folder


def test_a_folder_is_cleared_away_once_nobody_holds_it(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}abandoned"
    left.mkdir()
    with (left / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        clear(str(tmp_path))
        assert left.is_dir()
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "TMPDIR": str(left)}) as process:
        clear(str(tmp_path))
        assert process.wait(10) == -9
    assert not left.exists()


def test_what_looks_alike_is_let_be(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}models").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / HELD).touch()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "other")
    clear(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", f"{PREFIX}link", f"{PREFIX}models"]
    assert (tmp_path / "other" / HELD).exists()


def test_a_folder_is_held_while_it_is_needed(tmp_path: Path) -> None:
    with held_folder(str(tmp_path)) as folder:
        assert Path(folder).name.startswith(PREFIX)
        with held_folder(str(tmp_path)) as other:
            assert Path(folder, HELD).exists()
            assert other != folder
    assert list(tmp_path.iterdir()) == []
