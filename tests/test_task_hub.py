"""Hub data sets, read by the datasets library from repositories on disk; nothing here touches a network."""

import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import load_task

from .task_files import folder, records, write

FEATURES = datasets.Features({"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["negative", "positive"])})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as the hub serves it: Parquet shards, typed labels, and a test split whose labels are withheld (-1)."""
    for split, start, count in (("train", 0, 40), ("validation", 100, 20), ("test", 200, 6)):
        rows = [{"sentence": f"text {i}", "label": -1 if split == "test" else i % 2} for i in range(start, start + count)]
        (tmp_path / "sst2" / "data").mkdir(parents=True, exist_ok=True)
        table = datasets.Dataset.from_list(rows, features=FEATURES)
        table.to_parquet(str(tmp_path / "sst2" / "data" / f"{split}-00000-of-00001.parquet"))
    return tmp_path / "sst2"


def test_typed_labels_are_named_and_withheld_ones_are_carved_anew(repository: Path) -> None:
    task = load_task(TaskSpec(hub=str(repository), text_a="sentence"))
    assert (task.name, task.labels) == ("sst2", ("negative", "positive"))
    assert task.descriptions == ("terrible, a negative opinion", "great, a positive opinion")
    assert (len(task.train), len(task.validation), len(task.test)) == (40, 10, 10)
    assert task.notes[0] == "the test split has no labels and was left aside"
    assert all(int(text.split()[1]) % 2 == label for text, label in zip(task.test.texts_a, task.test.labels, strict=True))


def test_typed_lists_are_any_number_of_named_labels(tmp_path: Path) -> None:
    features = datasets.Features({"text_a": datasets.Value("string"), "label": datasets.List(datasets.ClassLabel(names=["joy", "anger"]))})
    rows = [{"text_a": f"text {i}", "label": [[0], [], [1, 0]][i % 3]} for i in range(60)]
    (tmp_path / "feelings").mkdir()
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "feelings" / "train-00000-of-00001.parquet"))
    task = load_task(TaskSpec(hub=str(tmp_path / "feelings")))
    assert (task.kind, task.labels, set(task.train.sets)) == ("multi_label", ("joy", "anger"), {(0,), (), (0, 1)})


def test_a_hub_data_set_and_the_same_rows_in_a_folder_are_the_same_task(repository: Path, tmp_path: Path) -> None:
    splits = {
        split: [{"text_a": f"text {i}", "label": i % 2} for i in range(a, b)]
        for split, a, b in (("train", 0, 40), ("validation", 100, 120))
    }
    local = folder(tmp_path / "local", meta={"labels": ["negative", "positive"]}, **splits)
    assert load_task(TaskSpec(hub=str(repository), text_a="sentence")).digest == load_task(TaskSpec(path=str(local))).digest


def test_plain_files_and_configs_are_read_too(tmp_path: Path) -> None:
    for config, labels in (("easy", ("bad", "good")), ("hard", ("bad", "good", "middling"))):
        write(tmp_path / "both" / config / "train.csv", records(30, labels=labels))
        write(tmp_path / "both" / config / "test.csv", records(9, labels=labels, start=50))
    configs = "\n".join(f"- config_name: {config}\n  data_dir: {config}" for config in ("easy", "hard"))
    (tmp_path / "both" / "README.md").write_text(f"---\nconfigs:\n{configs}\n---\n", encoding="utf8")
    task = load_task(TaskSpec(hub=f"{tmp_path / 'both'}:hard"))
    assert (task.labels, len(task.train), len(task.validation), len(task.test)) == (("bad", "good", "middling"), 24, 6, 9)
    with pytest.raises(WrongInput, match=r"both: cannot be read: .*Config name is missing.*easy.*hard"):
        load_task(TaskSpec(hub=str(tmp_path / "both")))
    with pytest.raises(WrongInput, match=r"both: cannot be read: BuilderConfig 'esay' not found.*easy"):
        load_task(TaskSpec(hub=f"{tmp_path / 'both'}:esay"))


def test_a_missing_column_lists_those_there_are(repository: Path) -> None:
    with pytest.raises(WrongInput, match=r"sst2 train: no column sentnce; it has sentence, label; .* Did you mean sentence\?"):
        load_task(TaskSpec(hub=str(repository), text_a="sentnce"))


def test_an_error_in_a_row_counts_rows(tmp_path: Path) -> None:
    write(tmp_path / "gaps" / "train.parquet", [*records(12), {"text_a": "x", "label": None}])
    with pytest.raises(WrongInput, match=r"gaps train: row 13: no label \(empty\); give it one, or delete the row"):
        load_task(TaskSpec(hub=str(tmp_path / "gaps")))


def test_a_data_set_without_training_rows_lists_its_splits(tmp_path: Path) -> None:
    write(tmp_path / "only" / "test.csv", records(9))
    with pytest.raises(WrongInput, match=r"only: no train split; it has test"):
        load_task(TaskSpec(hub=str(tmp_path / "only")))


def test_a_folder_without_data_and_a_damaged_file_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "train.parquet").write_bytes(b"PAR1 no")
    for name, message in (("bare", r"bare: .*"), ("torn", r"torn: cannot be read: Parquet .*")):
        with pytest.raises(WrongInput, match=message) as caught:
            load_task(TaskSpec(hub=str(tmp_path / name)))
        assert "\n" not in str(caught.value)


def test_nothing_is_drawn_on_the_terminal(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_task(TaskSpec(hub=str(repository), text_a="sentence"))
    assert capfd.readouterr() == ("", "")


def test_offline_is_a_failure_with_two_ways_out(tmp_path: Path) -> None:
    code = (
        "from ulpt_search.spaces.errors import Failure; from ulpt_search.spaces.space import TaskSpec\n"
        "from ulpt_search.workers.tasks import load_task\n"
        "try: load_task(TaskSpec(hub='nobody/nothing'))\n"
        "except Failure as error: print(error)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    ways_out = "HF_HUB_OFFLINE is set; unset it, or download the data and give its folder as task.path"
    assert (done.stdout, done.stderr) == (f"nobody/nothing: the hub cannot be reached: {ways_out}\n", "")


def test_conversations_of_the_hub_are_those_of_a_file(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"q {i}"}, {"role": "assistant", "content": "a", **({"name": "N"} if i == 3 else {})}]}
        for i in range(20)
    ]
    (tmp_path / "chats").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "chats" / "train-00000-of-00001.parquet"))
    task = load_task(TaskSpec(hub=str(tmp_path / "chats")))
    assert (task.kind, len(task.train.conversations)) == ("generation", 12)
    assert task.digest == load_task(TaskSpec(path=str(write(tmp_path / "rows.jsonl", rows)))).digest
