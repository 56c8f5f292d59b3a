"""Rows that belong together are one draw: intervals and paired differences then count groups."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ulpt_search.dashboards.crossed import compare, over_table
from ulpt_search.search.cli.listings import read_task
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import Task, load_task
from ulpt_search.workers.tasks.identity import task_side
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.row_scores import of_file
from ulpt_search.workers.training.scoring import score

from . import task_files
from .exporting import setup, trial
from .toy import LABELS

STUDIES = 400


def answers(chance: np.random.Generator, *, groups: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of groups that are hard or easy as a whole, and the groups' names; a row is right in half of the cases on average."""
    names, ease = np.repeat(np.arange(groups), size), chance.beta(0.5, 0.5, groups)
    return (chance.random(groups * size) < ease[names]).astype(np.int64), names.astype(np.float64)


def held(*, grouped: bool) -> float:
    """How often the 95 % interval of an accuracy over 30 groups of 20 rows holds the truth, 1/2."""
    chance, hits = np.random.default_rng(0), 0
    for _ in range(STUDIES):
        right, names = answers(chance, groups=30, size=20)
        rows = score("accuracy", right.tolist(), [1] * len(right), groups=[str(name) for name in names] if grouped else ()).rows
        interval = over_table(rows[None])
        hits += interval.low <= 0.5 <= interval.high
    return hits / STUDIES


def test_rows_of_one_document_are_not_independent() -> None:
    assert held(grouped=False) < 0.5, "or this data would show nothing"
    assert 0.9 <= held(grouped=True) <= 0.985


def test_a_difference_is_paired_over_groups() -> None:
    """Two adapters that are equal on average over passages, one better on half of them: told apart far more often than once in twenty."""
    chance, told = np.random.default_rng(1), {True: 0, False: 0}
    for _ in range(STUDIES):
        names = np.repeat(np.arange(20), 15)
        favours = chance.integers(0, 2, 20)[names]
        a, b = ((chance.random(300) < np.where(favours == side, 0.9, 0.3)).astype(int) for side in (0, 1))
        for grouped in told:
            groups = [str(name) for name in names] if grouped else ()
            tables = [score("accuracy", one.tolist(), [1] * 300, groups=groups).rows[None] for one in (a, b)]
            told[grouped] += compare(*tables).interval.excludes_zero
    assert told[False] / STUDIES > 0.3
    assert told[True] / STUDIES < 0.1


def test_by_hand() -> None:
    """Groups of 1, 2 and 3 rows with 1, 0 and 3 right: 4/6; without each 3/5, 4/4, 1/3."""
    found = score("accuracy", [1, 0, 0, 1, 1, 1], [1] * 6, groups=["a", "b", "b", "c", "c", "c"])
    without = np.array([3 / 5, 4 / 4, 1 / 3])
    assert found.value == pytest.approx(4 / 6)
    assert found.rows == pytest.approx(3 * 4 / 6 - 2 * without)
    assert found.variance == pytest.approx(2 / 3 * ((without - without.mean()) ** 2).sum())


@pytest.mark.parametrize("metric", ["accuracy", "f1", "f1_macro", "f1_micro", "matthews"])
def test_groups_of_one_row_change_nothing_but_the_estimator(metric: str) -> None:
    chance = np.random.default_rng(2)
    wanted = chance.integers(0, 2, 60)
    predicted = np.where(chance.random(60) < 0.8, wanted, 1 - wanted)
    alone = score(metric, predicted.tolist(), wanted.tolist())
    grouped = score(metric, predicted.tolist(), wanted.tolist(), groups=[f"{i:02}" for i in range(60)])
    assert grouped.value == alone.value
    assert grouped.variance == pytest.approx(alone.variance, rel=0.05)
    assert np.sort(grouped.rows) == pytest.approx(np.sort(alone.rows))


def test_all_right_in_few_groups_is_not_certain() -> None:
    found = score("accuracy", [1] * 100, [1] * 100, groups=[str(i // 25) for i in range(100)])
    assert set(found.rows) == {1.0}
    assert len(found.rows) == 4
    assert over_table(found.rows[None]).low < 0.6


def rows(groups: int, *, start: int = 0) -> list[dict[str, object]]:
    numbers = range(start, start + groups)
    return [{"text_a": f"w{i} w{j}", "label": LABELS[(i + j) % 3], "passage": f"p{i}"} for i in numbers for j in range(4)]


def folder(path: Path, *, meta: object = None) -> Path:
    return task_files.folder(path, train=rows(20), validation=rows(6, start=30), test=rows(5, start=40), meta=meta)


def grouped(path: Path, **more: str) -> Task:
    return load_task(TaskSpec("toy", path=str(path), group="passage", **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("by_meta", [True, False])
def test_a_task_names_its_column(by_meta: bool, tmp_path: Path) -> None:
    path = folder(tmp_path / "toy", meta={"group": "passage"} if by_meta else None)
    task = load_task(TaskSpec("toy", path=str(path))) if by_meta else grouped(path)
    assert len(set(task.test.groups)) == 5
    assert "intervals count groups of passage, not rows: 6 in validation, 5 in test" in task.notes
    plain = load_task(TaskSpec("toy", path=str(folder(tmp_path / "plain"))))
    assert plain.test.groups == ()
    sides = [task_side(each, template="t", max_tokens=8) for each in (plain, task)]
    assert [str(one.part) for one in sides[0].differences(sides[1])] == ["training rows", "validation rows", "test rows"]


def test_a_column_that_is_not_there_is_said_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"no column pasage; it has .*; name the right one as task\.group\. Did you mean passage"):
        load_task(TaskSpec("toy", path=str(folder(tmp_path / "toy")), group="pasage"))


def test_what_is_wrong_about_it_is_said(tmp_path: Path) -> None:
    path = folder(tmp_path / "toy", meta={"group": 3})
    with pytest.raises(WrongInput, match=r"meta\.json: group is the number 3, wanted the name of the column"):
        load_task(read_task(str(path)))
    (path / "meta.json").write_text(json.dumps({"group": "document"}))
    with pytest.raises(WrongInput, match=r"no column document; it has .*; name the right one as task\.group"):
        load_task(read_task(str(path)))
    one = [{**row, "passage": "p"} for row in rows(5, start=40)]
    with pytest.raises(WrongInput, match=r"task\.group is passage, but all test rows are of one group"):
        grouped(task_files.folder(tmp_path / "one", train=rows(20), validation=rows(6, start=30), test=one))


def test_carved_splits_share_no_group(tmp_path: Path) -> None:
    task = grouped(task_files.folder(tmp_path / "toy", train=rows(40)))
    train, validation, test = (set(split.groups) for split in (task.train, task.validation, task.test))
    assert not train & validation
    assert not (train | validation) & test
    assert len(task.train) + len(task.validation) + len(task.test) == 160
    assert min(len(validation), len(test)) >= 2
    both = grouped(task_files.folder(tmp_path / "both", train=rows(20), validation=rows(6, start=18), test=rows(5, start=40)))
    assert any(note.startswith("groups of passage that stand in more than one split: ") for note in both.notes) == bool(
        set(both.train.groups) & set(both.validation.groups)
    )


def test_a_worker_keeps_scores_of_groups(tmp_path: Path) -> None:
    """What a final stores is a number for each passage, and its variance is that of passages."""
    from dataclasses import replace

    from safetensors.numpy import load

    made = setup("encoder", folder(tmp_path / "toy"))
    study = replace(made, task=replace(made.task, group="passage"), store=str(tmp_path / "store"))
    config = trial("encoder", "lora")
    final = Trial(0, config.method, config.hyperparameters, seed=3, parameters=config.parameters, purpose="final", finalist=0)
    outcome = worker.run_job(study, Job(0, (Assignment(final),), stop=8, splits=("validation", "test")))
    assert not outcome.problems
    for result in outcome.results:
        kept = of_file(load(worker.session(study).store.read(result.adapter)))
        count = {"validation": 6, "test": 5}[result.split]
        assert kept[result.split].shape == (count,)
        assert result.variance > 0
