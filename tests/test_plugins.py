"""The project of `docs/plugins.md` is installed and used as it stands; a broken one is one line, and in nobody's way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ulpt_search

PAGE = (Path(ulpt_search.__file__).parent / "docs" / "plugins.md").read_text(encoding="utf8")
FILES = dict(re.findall(r"`([\w.]+)`\n\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL))


def install(folder: Path, files: dict[str, str], target: Path) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf8")
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target), str(folder)]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(target: Path, program: str) -> str:
    paths = os.pathsep.join([str(target), str(Path(ulpt_search.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("plugins")
    install(folder / "whole", FILES, folder / "target")
    broken = {
        "pyproject.toml": FILES["pyproject.toml"].replace("gain", "torn").replace("traffic", "snow"),
        "torn.py": "import no_such_thing\n",
    }
    install(folder / "torn", broken, folder / "target")
    return folder / "target"


def test_the_project_is_small() -> None:
    assert sum(len([line for line in text.splitlines() if line.strip()]) for text in FILES.values()) <= 45


def test_a_method_and_a_task_are_found_by_their_names(target: Path) -> None:
    program = """
from ulpt_search.workers.catalogue import axes_of, catalogue, method
from ulpt_search.workers.tasks import load_task
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.spaces.plugins import METHODS, sources
print(method("gain").__name__, sorted(axes_of("gain")), "gain.lr" in axes_of("gain+bitfit"), "gain" in catalogue())
print(load_task(TaskSpec("traffic")).labels, sources(METHODS)["gain"])
"""
    first, second = run(target, program).splitlines()
    assert first.startswith("Gain [")
    assert first.endswith("True False")
    assert second == "('stop', 'go') gain-for-ulpt-search 0.1"


def test_a_broken_one_is_one_line_that_names_its_distribution(target: Path) -> None:
    program = """
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import method
try:
    method("torn")
except WrongInput as error:
    print(error)
print(method("gain").__name__, method("lora").__name__)
"""
    told, others = run(target, program).splitlines()
    assert told == (
        "ulpt_search.methods torn: torn-for-ulpt-search 0.1 cannot be loaded: No module named 'no_such_thing'; upgrade it or uninstall it"
    )
    assert others == "Gain Lora"
