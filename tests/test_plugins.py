"""The project of `docs/plugins.md` is installed and used as it stands; a broken one is one line, and in nobody's way."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import ulpt_search
from ulpt_search.search.ledger.study_record import StudyRecord, compare
from ulpt_search.spaces.errors import WrongInput

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
        "pyproject.toml": FILES["pyproject.toml"].replace("gain", "torn").replace("traffic", "snow").replace("crashes", "frost"),
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


def test_a_metric_decides_or_is_reported_and_a_near_name_is_told(target: Path) -> None:
    program = """
import numpy as np
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.metrics import metric
from ulpt_search.workers.catalogue import load_space
from ulpt_search.workers.tasks import load_task
from ulpt_search.workers.training.scoring import measured
space = load_space("smoke", overrides=("task=traffic", "task.metric=crashes", "task.metrics=[accuracy]"))
task = load_task(space.task)
print(task.metric, task.metrics, metric("crashes").title, metric("crashes").ends)
scores = np.eye(2)[[0, 1, 1, 0]]
for names in (("crashes", "accuracy"), ("accuracy", "crashes")):
    found = measured(names, scores, [0, 1, 0, 1], classes=2)
    print(found.value, dict(found.others), found.variance > 0)
for wrong in ("task.metric=crash", "task.metrics=[f1, crashs]"):
    try:
        load_space("smoke", overrides=(wrong,))
    except WrongInput as error:
        print(error)
"""
    told = run(target, program).splitlines()
    assert told[0] == "crashes ('accuracy',) neg_crashes (-5, 0)"
    assert told[1:3] == ["-1.5 {'accuracy': 0.5} True", "0.5 {'crashes': 1.5} True"]
    for line, at in zip(told[3:], ("--set task.metric=crash: ", "--set task.metrics=[f1, crashs]: "), strict=True):
        assert line.startswith(at)
        assert "; there are accuracy, f1," in line
        assert line.endswith("crashes, frost. Did you mean crashes?")


def test_methods_lists_them_with_their_distribution_and_says_which_are_broken(target: Path) -> None:
    program = """
import sys
from click.testing import CliRunner
from ulpt_search.search.cli import main
done = CliRunner().invoke(main, ["methods", "--json"])
import json
print([(one["name"], one["source"]) for one in json.loads(done.stdout) if one["source"]])
print(done.stderr.strip())
"""
    listed, broken = run(target, program).splitlines()
    assert listed == "[('gain', 'gain-for-ulpt-search 0.1')]"
    assert broken.startswith("ulpt_search.methods torn: torn-for-ulpt-search 0.1 cannot be loaded")


def test_a_study_is_not_continued_with_another_version_of_what_it_rests_on() -> None:
    began = {"method gain": "gain 0.1", "metric crashes": "gain 0.1", "task traffic": "gain 0.1"}
    study = StudyRecord("demo", {"plugins": began}, 100, 0, "w", "t", "now")
    now = replace(study, space={"plugins": dict.fromkeys(began, "gain 0.2")})
    with pytest.raises(WrongInput, match=r"^--study demo: was begun with method gain of gain 0\.1, not gain 0\.2; metric crashes of"):
        compare(study, now, model=(), task=())
    data_is_compared_itself = replace(study, space={"plugins": {**began, "task traffic": "gain 0.2"}})
    compare(study, data_is_compared_itself, model=(), task=())
    compare(study, replace(study, space={}), model=(), task=())


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
