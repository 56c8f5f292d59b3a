"""`predict`: from arguments, stdin and files, in batches, as text and as JSONL; what cannot be asked is one line with its place."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ulpt_search.search.cli import main
from ulpt_search.workers import exports
from ulpt_search.workers.tasks import Conversation

SEEN: list[tuple[list[Any], list[Any]]] = []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], list[Any]]]:
    """What an adapter that answers every text with its length was asked, batch by batch."""

    def predict(texts: Sequence[Any], choices: Sequence[Any] = ()) -> list[dict[str, Any]]:
        SEEN.append((list(texts), list(choices)))
        questions = [text.question if isinstance(text, Conversation) else text for text in texts]
        return [{"text": text, "answer": str(len(text))} for text in questions]

    SEEN.clear()
    monkeypatch.setattr(exports, "load_export", lambda folder, model=None: predict)
    return SEEN


def run(*arguments: str, typed: str | None = None) -> str:
    done = CliRunner().invoke(main, ["predict", "adapter", *arguments], input=typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_texts_come_from_arguments_lines_and_files_in_batches(asked: list[Any], tmp_path: Path) -> None:
    assert run("one", "three") == "3\n5\n"
    assert run(typed="one\n\nfour\n") == "3\n4\n"
    assert run("-", typed="one\n") == "3\n"
    (tmp_path / "lines.txt").write_text("one\nfour\nthree\n", encoding="utf8")
    asked.clear()
    assert run("--file", str(tmp_path / "lines.txt"), "--batch", "2") == "3\n4\n5\n"
    assert [texts for texts, _ in asked] == [["one", "four"], ["three"]]


def test_json_lines_hold_texts_pairs_choices_and_conversations(asked: list[Any], tmp_path: Path) -> None:
    talk = {"messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "why?"}]}
    rows = [{"question": "one"}, {"text_a": "a", "text_b": "b"}, talk, "bare", {"text": "pick", "choices": ["x", "y"]}]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    lines = run("--file", str(file), "--jsonl").splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["3", "2", "4", "4", "4"]
    ((texts, choices),) = asked
    assert texts[:2] == ["one", ("a", "b")]
    assert texts[2].turns[0].text == "be short"
    assert choices[-1] == ("x", "y")


def test_rows_are_asked_whole_by_the_formats_of_training(asked: list[Any], tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}
    rows = [
        {"question": "q", "context": "passage", "answer": "not looked at"},
        {"instruction": "do", "input": "this", "system": "S"},
        {"messages": [{"role": "user", "content": "a"}, call, {"role": "tool", "content": "r"}], "tools": [{"name": "f"}]},
        {"conversations": [{"from": "human", "value": "hi"}], "system": "S"},
        {"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "b"}]},
        {"prompt": "as it stands ", "completion": "c"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    run("--file", str(file))
    (((first, second, third, fourth, fifth, last), _),) = asked
    assert (first, last) == ("passage\n\nq", "as it stands ")
    assert [(turn.role, turn.text) for turn in second.turns] == [("system", "S"), ("user", "do\n\nthis")]
    assert [turn.text for turn in third.turns] == ["a", "", "r"]
    assert third.turns[1].message["tool_calls"] == [{"name": "f"}]
    assert json.loads(third.tools) == [{"name": "f"}]
    assert [[turn.role for turn in talk.turns] for talk in (fourth, fifth)] == [["system", "user"]] * 2


def test_a_file_of_another_encoding_is_one_line(asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes('{"text": "é"}\n'.encode("latin-1"))
    done = CliRunner().invoke(main, ["predict", "adapter", "--file", str(file)])
    assert "rows.jsonl: not UTF-8 (byte 0xe9); save it as UTF-8" in str(done.exception) + done.output
    assert not asked
    file.write_text('{"text": "four"}\n', encoding="utf-8-sig")
    assert run("--file", str(file)) == "4\n"


def test_pairs_are_texts_in_turn_and_json_is_one_list(asked: list[Any]) -> None:
    assert [row["text"] for row in json.loads(run("--pairs", "--json", "a", "b", "c", "d"))] == [["a", "b"], ["c", "d"]]
    assert json.loads(run("--json", typed="")) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "rows.jsonl:2: not valid JSON"),
        ("[1]", "rows.jsonl:2: wanted a text or an object"),
        ('{"txt": "a"}', "rows.jsonl:2: no text under text, text_a, prompt, question, instruction, messages, conversations; it has txt"),
        ('{"messages": []}', "rows.jsonl:2: messages is an empty list, wanted a list of messages"),
        ('{"messages": [{"content": "a"}]}', "rows.jsonl:2: message 1 has content, wanted role and content"),
        ('{"question": " ", "answer": "a"}', "rows.jsonl:2: no text to answer"),
        ('{"text": "a", "choices": "b"}', "rows.jsonl:2: choices must be a list of texts"),
    ],
)
def test_a_line_that_cannot_be_asked_is_named(line: str, message: str, asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"text": "fine"}}\n{line}\n', encoding="utf8")
    done = CliRunner().invoke(main, ["predict", "adapter", "--file", str(file)])
    assert done.exit_code != 0
    assert message in str(done.exception) + done.output
    assert not asked


def test_texts_or_a_file_and_pairs_must_be_whole(asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("one\n", encoding="utf8")
    for arguments, message in (
        (["one", "--file", str(file)], f"got texts and --file {file}; give one of them"),
        (["--pairs", "a", "b", "c"], "got 3 texts; give an even number, a first and its second in turn"),
    ):
        done = CliRunner().invoke(main, ["predict", "adapter", *arguments])
        assert done.exit_code != 0
        assert message in str(done.exception) + done.output
