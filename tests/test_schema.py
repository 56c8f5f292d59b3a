"""A space file becomes a `Space`, or one line that says what to change."""

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulpt_search.spaces import document
from ulpt_search.spaces.axes import Axis, Choice, Float, Int, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.schema import load_space, shipped_spaces
from ulpt_search.spaces.shape import Linear, Shape
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.validation_errors import Section
from ulpt_search.workers.catalogue import axes_of, count

from .space_files import AXES, catalogue, error, load


def test_a_space_with_nothing_but_methods_takes_every_default() -> None:
    space = load("methods:\n  lora:\n")
    assert space == Space("s", ModelSpec(), TaskSpec(), Training(), {"lora": AXES["lora"]})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "stpes: 3",
            "stpes: unknown key; a space has model, task, methods, steps, rungs, batch, warmup, clip, schedule, "
            "weight_decay, beta1, beta2, epsilon, class_weights, trials, seeds, finalists, "
            "objectives. Did you mean steps?",
        ),
        ("steps: 0", "steps: wanted a number above 0, got 0"),
        ("steps: 1e3", "steps: wanted a whole number, got 1000.0; write 1000"),
        ("steps: '8'", 'steps: wanted a whole number, got "8"'),
        ("batch: -1", "batch: wanted a number above 0, got -1"),
        ("trials: 0", "trials: wanted a number above 0, got 0"),
        ("seeds: True", "seeds: wanted a whole number, got true"),
        ("finalists: no", 'finalists: wanted a whole number, got "no"'),
        ("warmup: 2", "warmup: wanted 1 or less, got 2"),
        ("warmup: -0.1", "warmup: wanted 0 or more, got -0.1"),
        ("clip: 0", "clip: wanted a number above 0, got 0"),
        ("clip: .inf", "clip: wanted a finite number, got inf"),
        ("rungs: [2, 2]", "rungs.1: 2 comes after 2; rungs must increase"),
        ("rungs: [0, 2]", "rungs.0: wanted a number above 0, got 0"),
        ("rungs: []", "rungs: wanted 1 or more entries, got []"),
        ("rungs: [2, 4]\nsteps: 8", "rungs: the last rung is 4 but steps is 8; end the rungs at 8, or leave one of the two out"),
        ("rungs: {first: 300}", "rungs.first: the first rung is 300 but steps is 200; start at 25"),
        ("rungs: {first: 0}", "rungs.first: wanted a number above 0, got 0"),
        ("rungs: {first: 2, factor: 1}", "rungs.factor: wanted a number above 1, got 1"),
        ("rungs: {frist: 2}", "rungs.frist: unknown key; rungs has first, factor. Did you mean first?"),
        ("rungs: {factor: 2}", "rungs.first: missing; rungs needs it, such as first: 25"),
        ("objectives: [score, params]", "objectives.1: wanted 'score', 'parameters' or 'bytes', got \"params\". Did you mean parameters?"),
        ("objectives: [bytes]", 'objectives: score must be among them, got ["bytes"]; write [score, bytes]'),
        ("objectives: [score, score]", 'objectives: ["score", "score"] names one twice; keep each once'),
        ("model: 5", "model: wanted a name, or a mapping of name, dtype and device, got 5"),
        ("model: {naem: x}", "model.naem: unknown key; model has name, dtype, device, checkpointing, quantization. Did you mean name?"),
        ("model: {dtype: flaot32}", "model.dtype: wanted 'auto', 'float32' or 'bfloat16', got \"flaot32\". Did you mean float32?"),
        ("task: {limit: 0}", "task.limit: wanted a number above 0, got 0"),
        ("task: {labels: {a: true}}", 'task.labels.a: wanted text, got true; put it in quotes: "true"'),
        ("task: {path: ., hub: a/b}", "task.hub: both path and hub; keep the one that holds the data"),
        ("methods: {ia3: }", "methods: given twice, first on line 1; keep one"),
        ("trials: *x", "not valid YAML: found undefined alias 'x'"),
        ("\ttrials: 3", "not valid YAML: found character '\\t' that cannot start any token; indent with spaces, not tabs"),
        ("---\ntrials: 3", "not valid YAML: a second document starts here; write one space per file"),
        (
            "trials: !!python/object:os.system 3",
            "trials: the tag tag:yaml.org,2002:python/object:os.system is not supported; write a plain value",
        ),
        ("trials: 1\a", "not valid YAML: a control character stands here; delete it"),
        ("? [a]\n: 3", "a key must be a name, got a list or a mapping"),
        ("model: &a [*a]", "model.0: refers to itself; write the value out"),
    ],
)
def test_a_wrong_key_is_one_line_with_a_way_out(line: str, message: str) -> None:
    assert error(f"methods: {{lora: }}\n{line}\n") == f"s.yaml:2: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml: the file is empty; it needs at least `methods:` with one method, such as `methods: {ulpt: }`"),
        ("# nothing yet\n", "s.yaml: the file is empty; it needs at least `methods:` with one method, such as `methods: {ulpt: }`"),
        ("steps: 3", "s.yaml:1: methods: missing; a space needs it, such as methods: {ulpt: }"),
        ("- lora", 's.yaml:1: wanted keys such as `methods:`, got ["lora"]'),
        ("methods: {}", "s.yaml:1: methods: wanted 1 or more entries, got {}"),
        ("methods: [lora]", 's.yaml:1: methods: wanted a mapping of keys to values, got ["lora"]'),
        ("methods:\n  lora: 4", "s.yaml:2: methods.lora: wanted a mapping of keys to values, got 4"),
        ("methods:\n  lroa:", "s.yaml:2: methods.lroa: unknown method; there are lora, ia3, mask."),
        ("methods:\n  lora+iaa3:", "s.yaml:2: methods.lora+iaa3: unknown method; there are lora, ia3, mask."),
        ("methods:\n  lora:\n    rank: 1\n    lr: 1\n    rank: 2", "s.yaml:5: methods.lora.rank: given twice, first on line 3; keep one"),
        ("[" * 5000, "s.yaml:1: nested too deeply; a space has about five levels"),
    ],
)
def test_a_file_that_is_no_space(text: str, message: str) -> None:
    assert error(text) == message


@pytest.mark.parametrize("text", ["methods: {lora: }\nbatch:\nmodel:\ntask: ~\nsteps: null\n", "\ufeffmethods: {lora: }\n"])
def test_empty_keys_and_a_byte_order_mark_change_nothing(text: str) -> None:
    assert load(text) == load("methods: {lora: }")


def test_a_file_that_is_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_bytes(b"methods:\n  \xff\xfe")
    with pytest.raises(WrongInput, match=r"^s.yaml: not UTF-8 text \(byte 11\); save it as UTF-8$"):
        load_space("s.yaml", catalogue=catalogue)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ulptt", "ulptt: no such file; the shipped spaces are paper-llama, paper-t5, smoke, ulpt. Did you mean ulpt?"),
        (
            "elsewhere/smoek.yaml",
            "elsewhere/smoek.yaml: no such file; the shipped spaces are paper-llama, paper-t5, smoke, ulpt. Did you mean smoke?",
        ),
        ("mine.yml", "mine.yml: no such file; the shipped spaces are paper-llama, paper-t5, smoke, ulpt. Did you mean mine.yaml?"),
        (".", ".: a folder, not a space; name a file in it such as space.yaml"),
    ],
)
def test_a_missing_file_names_the_nearest(source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").touch()
    with pytest.raises(WrongInput) as caught:
        load_space(source, catalogue=catalogue)
    assert str(caught.value) == message


SECTIONS: list[tuple[type[Section], type]] = [(document.ModelSection, ModelSpec), (document.TaskSection, TaskSpec)]


@pytest.mark.parametrize(("section", "spec"), SECTIONS)
def test_the_file_has_the_keys_of_the_values_it_becomes(section: type[Section], spec: type) -> None:
    follows = {"mask"} if spec is ModelSpec else set()  # from the task's keys
    assert list(section.keys()) == [field.name for field in dataclasses.fields(spec) if field.name not in follows]


def test_a_task_that_is_read_by_a_mask_tells_the_model_so(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("methods: {lora: }\n", encoding="utf8")
    source = str(tmp_path / "space.yaml")
    assert load_space(source, catalogue=catalogue).model.mask is None
    masked = ["task.readout=mask", "task.mask_text=It was {mask}."]
    assert load_space(source, catalogue=catalogue, overrides=masked[:1]).model.mask == " Answer: {mask}."
    assert load_space(source, catalogue=catalogue, overrides=masked).model.mask == " It was {mask}."
    with pytest.raises(
        WrongInput, match=r"^--set task.mask_text=It was.: wanted a text with \{mask\} in it, once and no other braces, got \"It was.\"$"
    ):
        load_space(source, catalogue=catalogue, overrides=["task.mask_text=It was."])


def test_a_space_file_has_every_training_key_and_every_other_field() -> None:
    fields = {field.name for kind in (Space, Training) for field in dataclasses.fields(kind)}
    assert set(document.SpaceDocument.keys()) == fields - {"name", "training"}
    dtypes = [typing.get_type_hints(kind)["dtype"] for kind in (document.ModelSection, ModelSpec)]
    assert dtypes[0] == dtypes[1]


@given(st.text(max_size=60) | st.tuples(st.integers(0, 900), st.integers(0, 9), st.text(max_size=4)))
@settings(max_examples=200)
def test_whatever_is_written_gives_a_space_or_one_line(edit: str | tuple[int, int, str]) -> None:
    text = shipped_spaces()["smoke"].read_text(encoding="utf-8")
    text = edit if isinstance(edit, str) else text[: edit[0]] + edit[2] + text[edit[0] + edit[1] :]
    try:
        load(text, methods=axes_of)
    except WrongInput as problem:
        message = str(problem)
    else:
        return
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", shipped_spaces())
def test_a_shipped_space_loads_by_name_and_by_path(name: str) -> None:
    space = load_space(name, catalogue=axes_of)
    assert space == load_space(str(shipped_spaces()[name]), catalogue=axes_of)
    for method, axes in space.methods.items():
        own = axes_of(method)
        assert [name for name in own if name in axes] == list(axes), "in the method's own order"
        assert set(_loud(own)) <= axes.keys()
    from_the_hub = name.startswith("paper-")
    assert from_the_hub or (space.model.name, space.task.name) == ("minilm", "pydocs"), "shipped spaces need no download"


def _loud(axes: Mapping[str, Axis]) -> list[str]:
    """What a space has though it does not name it."""
    return [name for name, axis in axes.items() if not (isinstance(axis, Choice) and axis.quiet)]


MINILM = Shape(
    family="encoder",
    width=384,
    layers=6,
    vocabulary=30522,
    embedding_rms=0.05,
    linears=tuple(
        Linear(f"{layer}.{role}", layer, role, 1536 if role == "down" else 384, 1536 if role == "up" else 384, True)
        for layer in range(6)
        for role in ("q", "k", "v", "o", "up", "down")
    ),
    norms=(),
    attentions=(),
    labels=2,
)


@pytest.mark.parametrize(("name", "budget"), [("ulpt", 1000), ("ulpt", 10_000), ("smoke", 10_000)])
def test_every_method_of_a_shipped_space_fits_the_budgets_it_is_meant_for(name: str, budget: int) -> None:
    for method, axes in load_space(name, catalogue=axes_of).methods.items():
        assert _smallest(method, axes) <= budget, f"{method} never fits under {budget}"


def _smallest(method: str, axes: Mapping[str, Axis | Value]) -> int:
    configurations: list[dict[str, Value]] = [{}]
    for name, axis in axes.items():
        corners = axis.corners() if isinstance(axis, Int | Float | Choice) else (axis,)
        configurations = [{**configuration, name: corner} for configuration in configurations for corner in corners]
    return min(size for configuration in configurations if (size := _size(method, configuration)) is not None)


def _size(method: str, configuration: dict[str, Value]) -> int | None:
    """None where a configuration is no choice on this model: a head of more directions than there are labels."""
    try:
        return count(method, configuration, MINILM)
    except WrongInput:
        return None
