"""What stands for each label, whose words these are, and that `plan` says so."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from ulpt_search.search.cli.printing import LABELS_SHOWN, label_lines
from ulpt_search.search.running.cost_estimate import labels_of
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import Task, load_task

from . import task_files, tiny
from .door import call, inside, values


def sentiments(folder: Path, **options: object) -> Task:
    """A task of a set of labels that we have descriptions for."""
    chance = random.Random(0)
    rows = [{"text_a": f"row {n} {chance.random()}", "label": ("negative", "positive")[n % 2]} for n in range(40)]
    return load_task(replace(TaskSpec(path=str(task_files.folder(folder, train=rows))), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "texts", "origins"),
    [
        ({}, ("terrible, a negative opinion", "great, a positive opinion"), ("ours", "ours")),
        ({"label_texts": "names"}, ("negative", "positive"), ("name", "name")),
        ({"labels": {"negative": "bad"}}, ("bad", "great, a positive opinion"), ("task.labels", "ours")),
        ({"labels": {"negative": "bad"}, "label_texts": "names"}, ("bad", "positive"), ("task.labels", "name")),
    ],
)
def test_texts_and_where_they_come_from(
    tmp_path: Path, options: dict[str, object], texts: tuple[str, ...], origins: tuple[str, ...]
) -> None:
    task = sentiments(tmp_path, **options)
    assert (task.descriptions, task.origins) == (texts, origins)


def test_a_study_with_other_texts_is_another(tmp_path: Path) -> None:
    assert sentiments(tmp_path).digest != sentiments(tmp_path, label_texts="names").digest


def test_lines_name_the_hand_that_wrote_a_text(tmp_path: Path) -> None:
    ours, *_ = label_lines(labels_of(sentiments(tmp_path)))
    assert ours == "  negative: 'terrible, a negative opinion' (written by hand for this set of labels; label_texts: names goes without)"
    assert list(label_lines(labels_of(sentiments(tmp_path, label_texts="names")))) == [
        "label texts are the labels' names: negative, positive"
    ]


def test_of_many_labels_the_first_are_shown(tmp_path: Path) -> None:
    task = sentiments(tmp_path)
    many = tuple(f"label {n}" for n in range(LABELS_SHOWN + 5))
    crowded = replace(task, labels=many, descriptions=many, origins=("task.labels",) * len(many))
    assert list(label_lines(labels_of(crowded)))[-1] == "  and 5 more"


def test_plan_says_how_labels_are_read_and_what_stands_for_them(tmp_path: Path) -> None:
    tiny.prepare(tmp_path)
    with inside(tmp_path):
        told, planned = call("plan", *tiny.OPTIONS).stdout, values("plan", *tiny.OPTIONS)
    assert "label texts are the labels' names: blue, green, red" in told
    assert planned["labels"] == [{"label": name, "text": name, "origin": "name"} for name in ("blue", "green", "red")]
    assert planned["readout"] in told
