"""Any number of labels a row: read from files, trained by a head in a pack as alone, measured as scikit-learn does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec, Setup, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.methods.maths.discriminant import discriminant
from ulpt_search.workers.methods.maths.several_labels import one_by_one
from ulpt_search.workers.model.frozen_scores import require_same_scores
from ulpt_search.workers.model.readouts.choice import about, for_task, readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Task, load_task
from ulpt_search.workers.tasks.splits import arrange
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.probes import MISSING, fit
from ulpt_search.workers.training.references import measure
from ulpt_search.workers.training.scoring import score, value

from . import asked, task_files, toy, zoo

HEADS: list[toy.Config] = [
    ("head", {"lr": 0.03}, 1),
    ("head", {"init": "zero", "lr": 0.1, "batch": 1}, 2),
    ("head", {"init": "descriptions", "rank": 2}, 3),
    ("lora+head", {"lora.rank": 2, "lora.lr": 0.01, "head.rank": 1}, 4),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asked.folder(tmp_path_factory.mktemp("labels"), "multi_label")


@pytest.fixture(scope="module")
def task(path: Path) -> Task:
    return load_task(asked.spec(path))


def marks(task: Task) -> np.ndarray:
    return np.asarray(task.train.targets(task.kind, len(task.labels)))


def read(tmp_path: Path, labels: Sequence[object], *, ending: str = "jsonl", **changes: Any) -> Task:
    rows = [{"text_a": f"text {number}", "label": labels[number % len(labels)]} for number in range(60)]
    return load_task(asked.spec(task_files.write(tmp_path / f"rows.{ending}", rows), **changes))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_are_any_number_of_labels(tmp_path: Path, ending: str) -> None:
    task = read(tmp_path, [["b", "a"], [], ["c"], ["a", "a"]], ending=ending)
    assert (task.kind, task.metric, task.labels) == ("multi_label", "f1_micro", ("a", "b", "c"))
    assert set(task.train.sets) == {(0, 1), (), (2,), (0,)}
    assert task.train.take([0]).sets == task.train.sets[:1]
    assert set(task.train.targets("multi_label", 3)) == {(1, 1, 0), (0, 0, 0), (0, 0, 1), (1, 0, 0)}


def test_a_separator_parts_the_labels_of_a_text(tmp_path: Path) -> None:
    parted, listed = read(tmp_path, ["b; a", "", "c"], ending="csv", separator=";"), read(tmp_path, [["b", "a"], [], ["c"]])
    assert (parted.train.sets, parted.labels) == (listed.train.sets, listed.labels)


def test_labels_of_a_list_may_be_numbers_of_names(tmp_path: Path) -> None:
    rows = [{"text_a": f"text {number}", "label": [[0, 2], [1], []][number % 3]} for number in range(60)]
    task = load_task(asked.spec(task_files.folder(tmp_path / "numbered", train=rows, meta={"labels": ["x", "y", "z"]})))
    assert (task.labels, set(task.train.sets)) == (("x", "y", "z"), {(0, 2), (1,), ()})


@pytest.mark.parametrize(
    ("labels", "changes", "told"),
    [
        ([["a"], None, ["b"]], {}, r"rows.jsonl:2: label is nothing, wanted a list of labels; write \[\] where there is none"),
        ([["a"], "b"], {}, r"rows.jsonl:1: label is a list, wanted a name or a number"),
        (["a", "", 3], {"separator": ";"}, r"rows.jsonl:3: label is the number 3, wanted a list of labels; write \[\] where there is none"),
        ([["a"], ["b", None]], {}, r"rows.jsonl:2: no label \(empty\); give it one"),
        ([["a"], ["b", 1]], {}, r"rows.jsonl:2: label is the number 1 but rows.jsonl:1 has text; write all labels alike"),
        ([["a"]], {}, "all 60 training rows have the same labels"),
        ([["a"], ["b"]], {"metric": "accuracy"}, "a multi-label task is measured by f1_micro or f1_macro or subset_accuracy"),
    ],
)
def test_what_is_no_list_of_labels_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: list[object], changes: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongInput, match=told):
        read(Path(), labels, **changes)


def test_a_rare_label_is_in_every_split(tmp_path: Path) -> None:
    """Beside common ones: rows are drawn by the label that fewest have."""
    rows = asked.records("multi_label", 200)
    for number in range(0, 200, 20):
        rows[number]["label"] = ["red", "rare"]
    rare = load_task(asked.spec(task_files.write(tmp_path / "rare.jsonl", rows)))
    have = [sum(rare.labels.index("rare") in own for own in split.sets) for split in (rare.train, rare.validation, rare.test)]
    assert have == [6, 2, 2]
    with pytest.raises(WrongInput, match=r"task\.limit is 3, fewer than the 5 labels"):
        arrange("rare", rare.train, rare.validation, rare.test, stratified=True, limit=3)


@pytest.mark.parametrize("metric", ["f1_micro", "f1_macro", "subset_accuracy"])
def test_metrics_are_scikit_learns_and_their_variance_the_jackknifes(metric: str) -> None:
    draw = np.random.default_rng(0)
    targets = (draw.random((30, 4)) < [0.5, 0.3, 0.2, 0.0]).astype(int)  # nobody has the last
    scores = 2 * targets - 1 + draw.normal(size=targets.shape)
    found = score(metric, (scores > 0).astype(int), targets.tolist())
    by_library = {"f1_micro": _f1("micro"), "f1_macro": _f1("macro"), "subset_accuracy": accuracy_score}[metric]
    assert (
        found.value == pytest.approx(by_library(targets, scores > 0)) == pytest.approx(value(metric, scores, targets.tolist(), classes=4))
    )
    without = [by_library(np.delete(targets, row, 0), np.delete(scores, row, 0) > 0) for row in range(30)]
    wanted = found.value * (1 - found.value) / 30 if metric == "subset_accuracy" else 29 * np.var(without)
    assert found.variance == pytest.approx(wanted)
    assert found.rows.mean() == pytest.approx(found.value, abs=0.02)
    assert score(metric, targets, targets.tolist()).value == pytest.approx(0.75 if metric == "f1_macro" else 1)


def _f1(average: str) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda targets, predicted: float(f1_score(targets, predicted, average=average, zero_division=0))


@pytest.mark.parametrize("family", ["encoder", "decoder", "encoder-decoder"])
def test_a_head_learns_them_in_a_pack_as_alone(task: Task, family: str) -> None:
    run = asked.trainer(family, task)
    _, together, scores = asked.train(run, task, HEADS, steps=6)
    for position, config in enumerate(HEADS):
        _, own, found = asked.train(run, task, [config], steps=6)
        torch.testing.assert_close(scores[position], found[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.losses[position], own.losses[0], rtol=1e-6, atol=1e-7)
    nobody = f1_score(marks(task), np.ones_like(marks(task)), average="micro")
    assert value("f1_micro", scores[0].numpy(), marks(task).tolist(), classes=3) > nobody
    single = for_task(zoo.backbone(family, "float32"), task)
    require_same_scores(single, readout_of(single, task), encode(single, task.validation, max_tokens=32))


def test_a_start_in_closed_form_asks_of_each_label_whether_it_is_there() -> None:
    draw = torch.Generator().manual_seed(0)
    h = torch.randn(200, 10, generator=draw)
    y = torch.stack([h[:, 0] > 0, h[:, 1] + h[:, 2] > 1, torch.zeros(200) > 1], 1).long()
    (w,), c = one_by_one(h, y)
    assert f1_score(y, h @ w.T + c > 0, average="micro") > 0.85
    assert not (h @ w.T + c > 0)[:, 2].any(), "nobody has it"
    (two,), both = discriminant(h, y[:, 0], labels=2)
    torch.testing.assert_close((w[0], c[0]), (two[1] - two[0], both[1] - both[0]))
    (u, v), _ = one_by_one(h, y, rank=2)
    torch.testing.assert_close(u @ v, w, rtol=0, atol=float(torch.linalg.svdvals(w)[2]) + 1e-5)


def test_the_probe_is_scikit_learns_one_against_the_rest() -> None:
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(90, 5)) * 7 + 2
    targets = (rows[:, :2] + draw.normal(size=(90, 2)) > 2).astype(int)
    found = fit("multi_label", rows, targets, penalty=0.1, rounds=200)
    wanted = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=200))).fit(rows, targets)
    np.testing.assert_allclose(found.scores(rows), wanted.decision_function(rows), rtol=1e-6)
    alike = fit("multi_label", rows, np.stack([targets[:, 0] * 0, targets[:, 1] * 0 + 1], 1), penalty=0.1, rounds=200)
    assert alike.scores(rows[:1]).tolist() == [[MISSING, -MISSING]]


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_the_references_of_such_a_task(kind: str, tmp_path: Path) -> None:
    spec = asked.spec(asked.folder(tmp_path, kind, pairs=kind == "regression"))
    setup = Setup(ModelSpec(zoo.saved("encoder"), dtype="float32", device="cpu"), spec, Training(), store=str(tmp_path / "store"))
    found = {one.kind: one for one in measure(worker.session(setup), ("frozen", "probe"))}
    if kind == "multi_label":
        assert (list(found), found["probe"].parameters) == (["probe"], 3 * 32 + 3)
        return
    assert (list(found), found["probe"].parameters) == (["frozen", "probe"], 2 * 32 + 1)
    assert found["frozen"].about.startswith("frozen model: cosine of the two texts of a pair")
    assert "|u - v| and u ⊙ v of the mean" in found["probe"].about


def test_nothing_but_a_head_reads_them(task: Task) -> None:
    shape = for_task(zoo.backbone("encoder"), task).shape
    with pytest.raises(WrongInput, match=r"^ulpt: any number of labels a row is read by a head; use head or ulpt\+head$"):
        count("ulpt", {}, shape)
    assert (count("head", {}, shape), count("head", {"rank": 2}, shape)) == (3 * 32 + 3, 2 * (3 + 32) + 3)
    assert about(zoo.tokenizer(), "decoder", task) == "by a head alone: any number of labels a row is read by a head"


def test_the_digest_tells_sets_apart(task: Task, tmp_path: Path) -> None:
    one, other = (read(tmp_path / name, labels) for name, labels in (("a", [["a"], ["b"]]), ("b", [["b"], ["a"]])))
    assert one.train.labels == other.train.labels
    assert one.digest != other.digest
    assert replace(task, notes=()).digest == task.digest
