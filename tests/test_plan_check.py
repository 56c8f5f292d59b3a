"""`plan --check`: whether a run would take the model, before one is begun; without it a plan stays on paper and says so."""

from pathlib import Path

import pytest

from . import families, pairs
from .door import call

SPACE = "methods:\n  lora:\n    rank: 1\nsteps: 8\nrungs: [8]\n"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(str(pairs.setup(tmp_path_factory.mktemp("plan")).task.path))


def plan(model: str, task: Path, folder: Path, *more: str) -> tuple[int, str]:
    (folder / "space.yaml").write_text(SPACE, encoding="utf8")
    inputs = ["--space", str(folder / "space.yaml"), "--model", model, "--task", str(task), "--budget", "9000"]
    result = call("plan", *inputs, "--set", "task.max_tokens=24", "--home", str(folder / "home"), *more)
    return result.exit_code, " ".join((result.stdout + result.stderr).split())


def test_it_says_that_the_model_is_as_it_reads_itself(task: Path, tmp_path: Path) -> None:
    code, said = plan(str(families.folder("bert")), task, tmp_path, "--check")
    assert code == 0
    assert "frozen scores: those of the plain model, but for" in said
    assert not (tmp_path / "home").exists()


def test_it_says_why_a_run_would_refuse_the_model(task: Path, tmp_path: Path) -> None:
    code, said = plan(str(families.folder("convbert")), task, tmp_path, "--check")
    assert code == 2
    assert "model: frozen scores of a convbert" in said
    assert "give another model" in said
    assert "trial-steps in all" in said


def test_on_paper_it_does_not_load_and_says_so(task: Path, tmp_path: Path) -> None:
    """The refused model's weights are not even there."""
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (model / name).write_bytes((families.folder("convbert") / name).read_bytes())
    code, said = plan(str(model), task, tmp_path)
    assert code == 0
    assert "frozen scores: not compared with the plain model's, for the model was not loaded: plan --check does it, run always" in said
    assert plan(str(model), task, tmp_path, "--check")[0] == 2
