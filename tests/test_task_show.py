"""`tasks show`: rows exactly as a model gets them, with what is learnt, and what was cut."""

import io
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ulpt_search.search.cli import main
from ulpt_search.search.cli.task_rows import Stretch
from ulpt_search.search.cli.token_view import marked
from ulpt_search.spaces.space import ModelSpec, TaskSpec
from ulpt_search.workers.model.backbone import tokenizer_of
from ulpt_search.workers.model.rendering import render
from ulpt_search.workers.tasks import load_task

from . import zoo
from .door import call, values
from .task_files import records, write

ASKED = [{"question": f"w{i} w{i}", "context": "w1 " * (200 if i == 3 else 2), "answer": f"w{i + 1}"} for i in range(20)]


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_tokens_are_those_that_a_model_is_trained_on(tmp_path: Path, family: str) -> None:
    path, folder = str(write(tmp_path / "qa.jsonl", ASKED)), zoo.saved(family)
    found = values("tasks", "show", path, "--model", folder, "--rows", "2", "--set", "task.max_tokens=32")
    talks, tokens = load_task(TaskSpec(path=path)).train.conversations, tokenizer_of(ModelSpec(folder))
    for row, talk in zip(found["rows"], talks, strict=False):
        wanted = render(tokens, family, talk, "auto")  # type: ignore[arg-type]
        assert [one["id"] for one in row["tokens"]] == [*wanted.ids, *wanted.answer]
        assert [one["trained"] for one in row["tokens"]] == [*wanted.trained, *([True] * len(wanted.answer))]
    assert (found["kind"], len(found["rows"]), sum(found["sizes"].values())) == ("generation", 2, 20)
    assert found["notes"][0] == "rows are read as question_answer (question, answer, context); task.format reads them in another way"
    assert any("the end of the passage is cut in 1" in note for note in found["notes"])


def test_what_is_learnt_stands_in_brackets_where_there_is_no_terminal(tmp_path: Path) -> None:
    path = str(write(tmp_path / "qa.jsonl", [{"prompt": f"w{i}", "completion": "red"} for i in range(20)]))
    shown = call("tasks", "show", path, "--model", zoo.saved("decoder"), "--rows", "1")
    assert shown.exit_code == 0
    assert "qa: generation, measured by perplexity; rows: 12 train, 4 validation, 4 test\n" in shown.stdout
    assert "3 tokens, of which 2 are learnt (in [[ ]])\n" in shown.stdout
    assert "[[red" in shown.stdout.replace("[[ ", "[[")


def test_texts_with_labels_are_shown_too(tmp_path: Path) -> None:
    path = str(write(tmp_path / "rows.jsonl", [*records(40), {"text_a": "w1 " * 90, "label": "bad"}]))
    shown = call("tasks", "show", path, "--model", zoo.saved("encoder"), "--set", "task.max_tokens=12")
    assert "label: bad, 'bad'" in shown.stdout
    assert "% of training texts are longer than 12 tokens: their end is cut; task.max_tokens says how long they may be" in shown.stdout


def test_an_encoder_writes_no_answers(tmp_path: Path) -> None:
    refused = call("tasks", "show", str(write(tmp_path / "qa.jsonl", ASKED)), "--model", zoo.saved("encoder"))
    assert (refused.exit_code, refused.stderr) == (
        2,
        "error: task qa: an encoder writes no answers; give a decoder or an encoder-decoder\n",
    )


def test_a_wrong_key_is_one_line() -> None:
    refused = CliRunner().invoke(main, ["tasks", "show", "pydocs", "--set", "task.templat=x"])
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "Did you mean template?" in refused.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("plain", "begins"), [("", "\x1b[32m\x1b[4m"), ("1", "\x1b[1m\x1b[4m")])
def test_colours_or_bold_and_nothing_that_steers_a_terminal(monkeypatch: pytest.MonkeyPatch, plain: str, begins: str) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", plain)
    assert marked(Stretch("a\x1b[2Jb\n", trained=True)) == f"{begins}a\\x1b[2Jb\n\x1b[0m"
    assert marked(Stretch("a", trained=False)) == "a"
