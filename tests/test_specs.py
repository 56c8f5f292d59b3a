"""Steps and rungs, model and task: what the sections of a space file become."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulpt_search.spaces.schema import load_space
from ulpt_search.spaces.space import TaskSpec

from .space_files import catalogue, error, load


@pytest.mark.parametrize(
    ("given", "steps", "rungs"),
    [
        ("", 200, (25, 50, 100, 200)),
        ("steps: 8", 8, (1, 2, 4, 8)),
        ("steps: 3", 3, (1, 2, 3)),
        ("steps: 1", 1, (1,)),
        ("rungs: [5, 30]", 30, (5, 30)),
        ("steps: 30\nrungs: [5, 30]", 30, (5, 30)),
        ("rungs: {first: 25}", 200, (25, 50, 100, 200)),
        ("steps: 300\nrungs: {first: 25, factor: 3}", 300, (25, 75, 225, 300)),
        ("steps: 5\nrungs: {first: 1, factor: 1.1}", 5, (1, 2, 3, 4, 5)),
    ],
)
def test_steps_and_rungs_follow_from_each_other(given: str, steps: int, rungs: tuple[int, ...]) -> None:
    training = load(f"methods: {{lora: }}\n{given}\n").training
    assert (training.steps, training.rungs) == (steps, rungs)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(1, 4, exclude_min=True))
@settings(max_examples=50)
def test_geometric_rungs_increase_from_first_to_steps(first: int, steps: int, factor: float) -> None:
    first = min(first, steps)
    rungs = load(f"methods: {{lora: }}\nsteps: {steps}\nrungs: {{first: {first}, factor: {factor!r}}}\n").training.rungs
    assert rungs[0] == first
    assert rungs[-1] == steps
    assert list(rungs) == sorted(set(rungs))


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ("task: sst2", TaskSpec(name="sst2")),
        ("task: owner/name:config", TaskSpec(name="name", hub="owner/name:config")),
        ("task: {hub: owner/name, name: mine}", TaskSpec(name="mine", hub="owner/name")),
        ("task: {text_b: null, labels: {no: negative, 1: 'yes'}}", TaskSpec(text_b=None, labels={"no": "negative", "1": "yes"})),
        ("task: ./data/rows.jsonl", TaskSpec(name="rows", path="HERE/data/rows.jsonl")),
        ("task: data/rows.jsonl", TaskSpec(name="rows", path="HERE/data/rows.jsonl")),
        ("task: data", TaskSpec(name="data", path="HERE/data")),
        ("task: elsewhere", TaskSpec(name="elsewhere")),
        ("task: {path: data}", TaskSpec(name="data", path="HERE/data")),
        ("task: ./files/../data", TaskSpec(name="data", path="HERE/data")),
        ("task: ./data.v2", TaskSpec(name="data.v2", path="HERE/data.v2")),
        ("task: {path: beside, limit: 3}", TaskSpec(name="beside", path="HERE/files/beside", limit=3)),
    ],
)
def test_a_task_is_a_name_a_path_or_a_hub_id(given: str, task: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "data.v2", "files/beside"):
        Path(folder).mkdir(parents=True)
    Path("data/rows.jsonl").touch()
    Path("files/s.yaml").write_text(f"methods: {{lora: }}\n{given}\n", encoding="utf-8")
    here = str(tmp_path.resolve())
    wanted = dataclasses.replace(task, path=task.path and task.path.replace("HERE", here))
    assert load_space("files/s.yaml", catalogue=catalogue).task == wanted


@pytest.mark.parametrize(
    ("given", "name"), [("minilm", "minilm"), ("owner/name", "owner/name"), ("local", "HERE/local"), ("./local", "HERE/local")]
)
def test_a_model_folder_is_made_absolute(given: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("minilm", "local"):
        Path(folder).mkdir()
    Path("s.yaml").write_text(f"methods: {{lora: }}\nmodel: {given}\n", encoding="utf-8")
    assert load_space("s.yaml", catalogue=catalogue).model.name == name.replace("HERE", str(tmp_path.resolve()))


@pytest.mark.parametrize("key", ["model", "task"])
def test_a_missing_path_is_named(key: str) -> None:
    message = error(f"methods: {{lora: }}\n{key}: ./mising\n")
    assert message.startswith(f's.yaml:2: {key}: no such file or folder: "./mising", looked for in /')
