"""Tasks on real data: the shared folder of published data sets, and the docstrings of this Python."""

import ast
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from ulpt_search.spaces import metrics
from ulpt_search.spaces.document import TaskSection
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.metrics import Metric
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import BUILT_IN, METRICS, Rows, Task, load_task
from ulpt_search.workers.tasks.labels import infer_kind

from .task_files import folder, records

REAL = {
    # task: training rows, validation rows, test rows, labels, metric
    "agnews_testsplit": (6000, 800, 800, 4, "accuracy"),
    "banking77": (8999, 997, 3080, 77, "accuracy"),
    "boolq_devsplit": (2616, 327, 327, 2, "accuracy"),
    "cb": (250, 28, 28, 3, "accuracy"),
    "cola": (8535, 522, 521, 2, "matthews"),
    "mnli_devsplit": (7999, 908, 908, 3, "accuracy"),
    "mrpc": (3668, 204, 204, 2, "accuracy"),
    "openbookqa": (4957, 250, 250, 4, "accuracy"),
    "rte": (2490, 139, 138, 2, "accuracy"),
    "sms_spam": (4169, 500, 500, 2, "accuracy"),
    "sst2": (19000, 1000, 872, 2, "accuracy"),
    "stsb": (5743, 750, 750, 0, "pearson"),
    "subj": (8000, 1000, 1000, 2, "accuracy"),
    "trec": (5442, 250, 250, 6, "accuracy"),
    "wic": (5428, 319, 319, 2, "accuracy"),
    "wsc": (554, 52, 52, 2, "accuracy"),
}


def splits(task: Task) -> tuple[Rows, Rows, Rows]:
    return task.train, task.validation, task.test


def texts(rows: Rows) -> set[tuple[str, str]]:
    return {(" ".join(a.split()), " ".join((b or "").split())) for a, b in zip(rows.texts_a, rows.texts_b, strict=True)}


@pytest.mark.parametrize("name", REAL)
def test_a_published_task_is_read_and_split_as_the_papers_do(shared: Path, name: str) -> None:
    task = load_task(TaskSpec(name=name, path=str(shared / name)))
    assert (*map(len, splits(task)), len(task.labels), task.metric) == REAL[name]
    train, validation, test = map(texts, splits(task))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(set(task.descriptions)) == len(task.labels)
    if task.labels:
        assert {label for rows in splits(task) for label in rows.labels} == set(range(len(task.labels)))


def test_rows_dropped_for_a_shared_text_are_counted(shared: Path) -> None:
    assert (
        load_task(TaskSpec(path=str(shared / "cola"))).notes[-1] == "dropped from training, since their text is in validation or test: 16"
    )
    notes = load_task(TaskSpec(path=str(shared / "banking77"))).notes
    assert notes[0] == "1,000 training rows became validation, the validation split became test"
    assert notes[1:] == (
        "dropped from validation, since their text is in test: 3",
        "dropped from training, since their text is in validation or test: 4",
    )


def test_halves_of_a_small_validation_split_keep_the_shares_of_the_labels(shared: Path) -> None:
    task = load_task(TaskSpec(path=str(shared / "cb")))
    validation, test = Counter(task.validation.labels), Counter(task.test.labels)
    assert all(abs(validation[label] - test[label]) <= 1 for label in range(3))


def test_regression_keeps_its_numbers_and_has_no_labels(shared: Path) -> None:
    task = load_task(TaskSpec(path=str(shared / "stsb")))
    assert (task.kind, task.labels, task.descriptions) == ("regression", (), ())
    assert (min(task.train.labels), max(task.train.labels)) == (0.0, 5.0)
    assert load_task(TaskSpec(path=str(shared / "stsb"), metric="spearman")).metric == "spearman"
    with pytest.raises(WrongInput, match=r"stsb: task\.metric is f1, but a regression task is measured by pearson or spearman"):
        load_task(TaskSpec(name="stsb", path=str(shared / "stsb"), metric="f1"))
    with pytest.raises(WrongInput, match=r"task\.labels\.low: unknown label; stsb is a regression task and has none"):
        load_task(TaskSpec(name="stsb", path=str(shared / "stsb"), labels={"low": "far apart"}))


def test_a_metric_of_labels_and_numbers_leaves_the_kind_to_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Metric("both", ("regression", "classification"), lambda y, p, w, _: 0.0)
    monkeypatch.setattr("ulpt_search.workers.tasks.labels.metric_called", lambda name: both)
    assert [infer_kind(values, "both") for values in (["a", "b"], [1, 2], [1.5, 2])] == ["classification", "classification", "regression"]


def test_multiple_choice_answers_with_the_number_of_an_option(shared: Path) -> None:
    task = load_task(TaskSpec(path=str(shared / "openbookqa")))
    assert (task.kind, task.descriptions) == ("multiple_choice", ("1", "2", "3", "4"))
    assert all(f"({int(label) + 1}) " in str(b) for b, label in zip(task.test.texts_b, task.test.labels, strict=True))


def test_labels_read_by_number_and_by_name_agree(shared: Path) -> None:
    path = str(shared / "trec")
    assert load_task(TaskSpec(path=path)).digest == load_task(TaskSpec(path=path, label="label_name")).digest


def test_well_known_labels_have_readable_descriptions(shared: Path) -> None:
    assert load_task(TaskSpec(path=str(shared / "rte"))).descriptions == ("yes, it follows", "no, it does not follow")
    assert load_task(TaskSpec(path=str(shared / "agnews_testsplit"))).descriptions[3] == "science, technology and the internet"
    banking = load_task(TaskSpec(path=str(shared / "banking77")))
    assert banking.descriptions[:2] == ("Refund not showing up", "activate my card")
    assert banking.descriptions[banking.labels.index("reverted_card_payment?")] == "reverted card payment"


def test_a_limit_keeps_the_shares_of_the_labels_and_leaves_the_other_splits_alone(shared: Path) -> None:
    whole, part = (load_task(TaskSpec(path=str(shared / "sms_spam"), limit=limit)) for limit in (None, 200))
    spam = sum(whole.train.labels) / len(whole.train)
    assert len(part.train) == 200
    assert abs(sum(part.train.labels) / 200 - spam) < 1 / 200
    assert texts(part.train) < texts(whole.train)
    assert (part.validation, part.test) == (whole.validation, whole.test)
    assert part.notes[-1] == "200 of 4,169 training rows are used"
    with pytest.raises(WrongInput, match=r"banking77: task\.limit is 5, fewer than the 77 labels; set it to 77 or more"):
        load_task(TaskSpec(name="banking77", path=str(shared / "banking77"), limit=5))


@pytest.fixture(scope="module")
def docs() -> Task:
    return load_task(TaskSpec())


def test_pydocs_is_large_enough_to_learn_from_and_balanced(docs: Task) -> None:
    assert docs.labels == ("asyncio", "email", "http", "importlib", "logging", "multiprocessing", "unittest", "xml")
    assert 1000 <= len(docs.train) <= 1300
    assert 300 <= len(docs.validation) <= 400
    assert 300 <= len(docs.test) <= 400
    assert all(max(counts) <= 1.6 * min(counts) for counts in (Counter(rows.labels).values() for rows in splits(docs)))


def test_pydocs_sentences_do_not_give_their_package_away(docs: Task) -> None:
    everything = [row for rows in splits(docs) for row in zip(rows.texts_a, rows.labels, strict=True)]
    assert not [text for text, label in everything if docs.labels[int(label)] in text.lower()]
    assert len({text for text, _ in everything}) == len(everything)
    assert min(len(text.split()) for text, _ in everything) >= 5


def test_pydocs_sentences_stand_in_the_package_they_are_labelled_with(docs: Task) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for number, package in enumerate(docs.labels):
        sentences = [text for text, label in zip(docs.test.texts_a, docs.test.labels, strict=True) if label == number]
        trees = [ast.parse(path.read_bytes()) for path in (library / package).rglob("*.py")]
        strings = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
        source = "\n".join(" ".join(value.split()) for value in strings if isinstance(value, str))
        assert sentences
        assert not [text for text in sentences if text not in source]


def test_pydocs_is_the_same_in_every_process_and_imports_nothing_it_reads(docs: Task) -> None:
    code = (
        "import sys; from ulpt_search.workers.tasks import load_task; from ulpt_search.spaces.space import TaskSpec; "
        "print(load_task(TaskSpec()).digest, *({'unittest.mock', 'xml.sax', 'multiprocessing.pool', 'torch'} & set(sys.modules)))"
    )
    for hashing in ("1", "2"):
        environment = {"PYTHONHASHSEED": hashing, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.split() == [docs.digest]


def test_pydocs_takes_the_users_descriptions_metric_and_limit(docs: Task) -> None:
    task = load_task(TaskSpec(labels={"xml": "angle brackets"}, metric="f1", limit=128))
    assert (task.descriptions[-1], task.metric, len(task.train)) == ("angle brackets", "f1", 128)
    assert min(Counter(task.train.labels).values()) >= 12
    assert task.test == docs.test
    with pytest.raises(WrongInput, match=r"task\.labels\.xlm: unknown label; pydocs has asyncio, .*, xml\. Did you mean xml\?"):
        load_task(TaskSpec(labels={"xlm": "angle brackets"}))


def test_pydocs_without_source_files_fails_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(Failure, match=r"task pydocs: .*asyncio has no source files in this Python; give task\.path or task\.hub"):
        load_task(TaskSpec())


def test_an_unknown_task_names_the_nearest_and_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(
        WrongInput,
        match=r"task pydoc: no task of this name \(pydocs, sst2, .*\); give data .*\. Did you mean pydocs",
    ):
        load_task(TaskSpec(name="pydoc"))
    with pytest.raises(WrongInput, match=r"task: both path \(.*\) and hub \(a/b\); keep the one that holds the data"):
        load_task(TaskSpec(path=str(tmp_path), hub="a/b"))


def test_the_digest_names_content_and_split_and_nothing_else(tmp_path: Path) -> None:
    rows = records(40)
    one = load_task(TaskSpec(path=str(folder(tmp_path / "one", train=rows[:20], validation=rows[20:30], test=rows[30:]))))
    # Pinned: a study names its task by this, so it must not change with the machine or the version.
    assert one.digest == "d5e147c6a9401098e07ed4986cba90b3537a7c392d4044e44b4298f4fd240a90"
    carved = load_task(TaskSpec(path=str(folder(tmp_path / "carved", train=rows)), limit=12))
    assert carved.digest == "9f2df998794f17dfbc1b926dc9a81ea0ca3db67af15a0a44d798e46efd89c341"
    copy = folder(tmp_path / "two", train=rows[:20], validation=rows[20:30], test=rows[30:])
    assert load_task(TaskSpec(name="other", path=str(copy))).digest == one.digest
    others = {
        load_task(TaskSpec(path=str(copy), metric="f1")).digest,
        load_task(TaskSpec(path=str(copy), limit=10)).digest,
        load_task(TaskSpec(path=str(copy), labels={"bad": "awful"})).digest,
        load_task(TaskSpec(path=str(folder(tmp_path / "three", train=rows[:20], validation=rows[30:], test=rows[20:30])))).digest,
    }
    assert len(others | {one.digest}) == 5


def test_rows_of_different_lengths_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match=r"as many first texts as second texts and labels, got \(1, 1, 2\)"):
        Rows(("a",), (None,), (0, 1))


def test_every_kind_has_metrics_and_every_built_in_a_loader() -> None:
    listed = TaskSection.model_json_schema()["properties"]["metric"]["anyOf"][0]["enum"]
    assert {name for names in METRICS.values() for name in names} == set(listed) == set(metrics.METRICS)
    assert TaskSpec.name in BUILT_IN
