"""What a user gets: a wheel that adds one name to site-packages, brings the spaces along, and opens."""

import shutil
import site
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

import ulpt_search

ROOT = Path(ulpt_search.__file__).parent
_LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "build", "dist", "__pycache__", ".*_cache", "ulpt-search-home")


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel, and what the wheel added to it."""

    bin: Path
    packages: Path
    added: frozenset[str]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([str(self.bin / words[0]), *words[1:]], cwd=self.bin, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=_LEFT_BEHIND)
    _call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source")
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "clean")
    python = folder / "clean" / "bin" / "python"
    packages = Path(_call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # The dependencies are lent by the running environment; its .pth files, the editable install among them, are not followed.
    (packages / "lent.pth").write_text("\n".join(site.getsitepackages()), encoding="utf8")
    before = set(packages.iterdir())
    _call(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    return Installed(python.parent, packages, frozenset(path.name for path in set(packages.iterdir()) - before))


def _call(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_adds_one_package(installed: Installed) -> None:
    assert installed.added == {"ulpt_search", f"ulpt_search-{ulpt_search.__version__}.dist-info"}


def test_carries_every_module_and_space(installed: Installed) -> None:
    def contents(folder: Path) -> set[str]:
        rooms = [folder / room for room in ("spaces", "workers", "search", "dashboards")]
        found = {path.relative_to(folder).as_posix() for room in rooms for path in room.rglob("*") if path.is_file()}
        return {path for path in found if "__pycache__" not in path and not path.endswith(".pyc")}

    assert contents(installed.packages / "ulpt_search") == contents(ROOT)
    assert {"spaces/ulpt.yaml", "spaces/smoke.yaml"} <= contents(installed.packages / "ulpt_search")


def test_leaves_the_workshop_at_home(installed: Installed) -> None:
    found = {path.name for path in (installed.packages / "ulpt_search").iterdir()} - {"__pycache__"}
    assert found == {"__init__.py", "py.typed", "dashboards", "search", "spaces", "workers"}


def test_opens(installed: Installed) -> None:
    done = installed.run("ulpt-search", "--help")
    assert done.returncode == 0
    assert "ulpt-search run --space ulpt" in done.stdout


def test_runs_from_the_wheel(installed: Installed) -> None:
    """Not from the checkout that the tests run in."""
    done = installed.run("python", "-c", "import ulpt_search.search.cli as cli; print(cli.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(installed.packages)


def test_finds_its_spaces(installed: Installed) -> None:
    done = installed.run("ulpt-search", "spaces")
    assert done.returncode == 0, done.stderr
    assert str(installed.packages / "ulpt_search" / "spaces" / "ulpt.yaml") in done.stdout
