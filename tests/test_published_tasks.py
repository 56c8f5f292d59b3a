"""The tasks of the papers by name: their tables' names, the hub's columns, and real rows read by the same definitions."""

from pathlib import Path
from typing import Any

import pytest

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import Rows, load_task
from ulpt_search.workers.tasks.published import Definition, definition, definitions, suites

from . import task_files

datasets = pytest.importorskip("datasets")

FOLDERS = {"boolq": "boolq_devsplit", "mnli": "mnli_devsplit"}
"""Real rows that go by another name, since their split is not the official one."""
COMPOSED = {
    "multirc": ("question 3 answer 3", "paragraph 3"),
    "wic": ("word 3: sentence1 3", "sentence2 3"),
    "wsc": ("text 3", 'Does "span2_text 3" refer to "span1_text 3"?'),
    "winogrande": ("sentence 3", "1: option1 3 2: option2 3"),
    "sst2": ("sentence 3", None),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def rows(one: Definition, count: int, start: int) -> dict[str, list[Any]]:
    """Rows with the hub's columns, each text the column's name and the row's number."""
    texts: dict[str, list[Any]] = {
        column: [f"{column} {start + row}" for row in range(count)] for column in one.columns if column != one.label
    }
    if one.kind == "generation":
        listed = one.answer == "answers"
        return texts | {str(one.answer): [[f"a {row}", f"or b {row}"] if listed else f"a {row}" for row in range(count)]}
    return texts | {one.label: [_label(one, row) for row in range(count)]}


def _label(one: Definition, row: int) -> object:
    if one.kind == "regression":
        return row / 3
    return one.labels[row % len(one.labels)] if one.name in ("scitail", "winogrande") else row % len(one.labels)


def hub_folder(one: Definition, root: Path) -> Path:
    """A data set as the hub has it: numbered labels with other names."""
    folder = root / "data set"
    folder.mkdir()
    for split, count, start in (("train", 40, 0), ("validation", 12, 100)):
        made = datasets.Dataset.from_dict(rows(one, count, start))
        if one.kind == "classification" and one.name not in ("scitail", "winogrande"):
            made = made.cast_column(one.label, datasets.ClassLabel(names=[f"hub {number}" for number in range(len(one.labels))]))
        made.to_parquet(folder / f"{split}.parquet")
    return folder


def test_the_paper_has_eight_five_and_eight_others_and_one_of_reasoning() -> None:
    assert {suite: len(tasks) for suite, tasks in suites().items()} == {"glue": 8, "superglue": 5, "others": 4, "mrqa": 4, "reasoning": 1}


@pytest.mark.parametrize("name", list(definitions()))
def test_the_hubs_rows_are_read_by_its_columns(name: str, tmp_path: Path) -> None:
    one = definition(name)
    task = load_task(TaskSpec(name=name, hub=str(hub_folder(one, tmp_path)), definition=name))
    assert (task.name, task.kind, task.labels, task.metric, task.metrics) == (name, one.kind, one.labels, one.metric, one.metrics)
    first = next(row for row, text in enumerate(task.train.texts_a) if text.endswith(" 3"))
    if one.kind == "generation":
        _is_answered(one, task.train, first)
        return
    assert task.train.labels[first] == (1.0 if one.kind == "regression" else 3 % len(one.labels))
    if name in COMPOSED:
        assert (task.train.texts_a[first], task.train.texts_b[first]) == COMPOSED[name]
    assert bool(task.train.groups) == (one.group is not None)


def _is_answered(one: Definition, train: Rows, row: int) -> None:
    reading = one.suite == "mrqa"
    talk = train.conversations[row]
    assert talk.question == ("question: question 3 context: context 3" if reading else "question 3")
    assert (talk.reference, talk.passage, talk.accepted) == ("a 3", "context 3" if reading else "", ("or b 3",) if reading else ())


@pytest.mark.parametrize("name", list(definitions()))
def test_real_rows_are_read_by_the_same_definitions(name: str, shared: Path) -> None:
    folder = shared / FOLDERS.get(name, name)
    if not folder.is_dir():
        pytest.skip(f"no rows of {name}: {folder} is absent")
    one, task = definition(name), load_task(TaskSpec(name=name, path=str(folder), definition=name))
    said = ("exact_match", one.metrics) if name == "gsm8k" else (one.metric, one.metrics)  # as its meta.json says
    assert (task.kind, task.metric, task.metrics) == (one.kind, *said)
    assert set(task.labels) == set(one.labels)
    assert all("####" in talk.reference for talk in task.train.conversations)
    assert (task.train.texts_b[0] is None) == (one.text_b is None)


def test_rows_of_a_folder_are_read_by_the_definitions_columns_or_by_their_own(tmp_path: Path) -> None:
    hubs = [{"sentence1": f"a {i}", "sentence2": f"b {i}", "label": i % 2, "text_a": "other"} for i in range(24)]
    own = [{"text_a": f"a {i}", "text_b": f"b {i}", "label": i % 2, "sentence1": "other"} for i in range(24)]
    for name, rows in (("hubs", hubs), ("own", own)):
        path = task_files.write(tmp_path / f"{name}.jsonl", rows)
        task = load_task(TaskSpec(name="rte", definition="rte", path=str(path)))
        assert (task.train.texts_a[0][0], str(task.train.texts_b[0])[0]) == ("a", "b")
        assert set(task.labels) == {"entailment", "not_entailment"}


def test_a_bare_name_stands_for_the_hubs_data_set() -> None:
    filled = definition("rte").filled(TaskSpec(name="rte", label="answer"))
    assert (filled.hub, filled.text_a, filled.text_b, filled.label) == ("nyu-mll/glue:rte", "sentence1", "sentence2", "answer")


def test_a_users_own_metric_and_columns_go_first(tmp_path: Path) -> None:
    folder = hub_folder(definition("cola"), tmp_path)
    task = load_task(TaskSpec(name="cola", hub=str(folder), definition="cola", metric="accuracy", text_a="{sentence}!"))
    assert task.metric == "accuracy"
    assert task.train.texts_a[0].endswith("!")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "definition": ({"definition": "colla"}, "task.definition: no colla; there are sst2, cola"),
    "empty field": ({"text_a": "{}"}, "task.text_a: '{}' has a field that is no column's name"),
    "conversion": ({"text_a": "{sentence!r}"}, "has a field that is no column's name"),
    "open brace": ({"text_a": "{sentence"}, "task.text_a: '{sentence' is no template"),
    "no column": ({"text_a": "{{sentence}}"}, "names no column; write one in braces"),
    "attribute": ({"text_a": "{sentence.__class__}"}, "no column sentence.__class__"),
    "unknown column": ({"text_b": "{sentense}"}, "no column sentense; it has sentence, label; name the right one as task.text_b."),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_definition_or_template_is_told_in_a_line(case: str, tmp_path: Path) -> None:
    change, told = WRONG[case]
    spec: dict[str, Any] = {"name": "cola", "hub": str(hub_folder(definition("cola"), tmp_path)), "definition": "cola", **change}
    with pytest.raises(WrongInput) as refused:
        load_task(TaskSpec(**spec))
    assert told in str(refused.value)
