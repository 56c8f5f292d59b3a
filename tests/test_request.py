"""What was asked for, and how errors speak of it."""

import os
from pathlib import Path

import pytest

from ulpt_search.search.request import Request
from ulpt_search.spaces.errors import WrongInput

SPACE = "methods:\n  prompt:\n    prompt_length: 2\nsteps: 4\nrungs: [2, 4]\ntrials: 3\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPACE, encoding="utf8")
    return "tiny.yaml"


def test_space_as_written(source: str) -> None:
    space = Request(source, 1000, "home").space()
    assert (space.name, space.task.name, space.model.name, space.trials) == ("tiny", "pydocs", "minilm", 3)


def test_options_override_the_space(source: str) -> None:
    Path("data.jsonl").write_text("", encoding="utf8")
    request = Request(source, 1000, "home", task="data.jsonl", trials=7, overrides=("steps=8", "rungs=[8]", "task.label=y"))
    space = request.space()
    assert (space.trials, space.training.steps, space.task.label, space.task.path) == (7, 8, "y", str(Path("data.jsonl").resolve()))


def test_model_may_be_a_folder_with_spaces(source: str) -> None:
    Path("my model: v2").mkdir()
    assert Request(source, 1000, "home", model="./my model: v2").space().model.name == str(Path("my model: v2").resolve())


def test_errors_name_the_option_that_was_typed(source: str) -> None:
    with pytest.raises(WrongInput, match=r"^--task ./nowhere.jsonl: .*no such file or folder"):
        Request(source, 1000, "home", task="./nowhere.jsonl").space()


def test_errors_of_overrides_stay(source: str) -> None:
    with pytest.raises(WrongInput, match=r"--set methods.promt.lr=1: methods.promt: unknown method.*Did you mean prompt"):
        Request(source, 1000, "home", overrides=("methods.promt.lr=1",)).space()


def test_names(source: str) -> None:
    request = Request(source, 10_000, "home")
    assert request.name(request.space()) == "tiny-pydocs-minilm-1e4"
    assert Request(source, 10_000, "home", study="mine").name(request.space()) == "mine"


def test_name_of_a_folder_model(source: str) -> None:
    Path("models/my model").mkdir(parents=True)
    request = Request(source, 12_500, "home", model="./models/my model")
    assert request.name(request.space()) == "tiny-pydocs-my_model-12500"


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a b", "x" * 101, ".."])
def test_bad_names(source: str, name: str) -> None:
    request = Request(source, 1000, "home", study=name)
    with pytest.raises(WrongInput, match=r"^--study .*: a name has up to 100 letters"):
        request.name(request.space())


def test_places_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = Request("x", 1, "here").places
    assert home.root == tmp_path / "here"
    assert home.ledger_url == f"sqlite:///{tmp_path}/here/ledger.sqlite"
    assert home.tracking_uri == f"sqlite:///{tmp_path}/here/mlflow.sqlite"
    assert (home.store, list(tmp_path.iterdir())) == (f"{tmp_path}/here/store", [])


def test_urls_take_the_place_of_files(tmp_path: Path) -> None:
    given = Request("x", 1, str(tmp_path), ledger="postgresql://h/db", store="s3://bucket/x", tracking_uri="http://h:5000").places
    assert (given.ledger_url, given.store, given.tracking_uri) == ("postgresql://h/db", "s3://bucket/x", "http://h:5000")
    assert given.has_ledger


def test_a_relative_store_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Request("x", 1, "h", store="adapters").places.store == str(tmp_path / "adapters")


def test_a_file_cannot_be_a_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf8")
    for home in ("file", "file/below"):
        with pytest.raises(WrongInput, match=rf"^--home {tmp_path}/{home}: {tmp_path}/file is a file; give a folder of yours with --home$"):
            Request("x", 1, str(tmp_path / home)).places.check()


def test_checking_a_home_creates_nothing(tmp_path: Path) -> None:
    places = Request("x", 1, str(tmp_path / "a" / "b")).places
    places.check()
    assert list(tmp_path.iterdir()) == []
    assert not places.has_ledger
    places.prepare()
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WrongInput, match="cannot be written to"):
        Request("x", 1, str(tmp_path / "h")).places.check()
