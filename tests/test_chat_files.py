"""Conversations and answers in the ways that people write them down, and one line for everything that can be wrong with a file."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import Conversation, Task, Turn, load_task

from .task_files import Record, folder, write

ASKED, ANSWERED = "user", "assistant"


def said(*turns: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": text} for role, text in turns]


def value(number: int) -> dict[str, str]:
    return {"from": ("human", "gpt")[number % 2], "value": f"v{number}"}


def many(make: Mapping[str, Any], count: int = 10) -> list[Record]:
    """Rows that differ in the number behind every `#`."""
    return [json.loads(json.dumps(make).replace("#", f"{number}")) for number in range(count)]


def load(path: Path, rows: Sequence[Record], **spec: Any) -> Task:
    return load_task(TaskSpec(path=str(write(path, rows)), **spec))


def one(task: Task) -> Conversation:
    """The row of the highest number in training."""
    return max(task.train.conversations, key=lambda talk: talk.question)


CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": None}}}]}
PLAIN = (Turn(ASKED, "q"), Turn(ANSWERED, "a"))
FORMATS: Mapping[str, tuple[Mapping[str, Any], tuple[Turn, ...]]] = {
    "messages": ({"messages": said(("system", "S"), (ASKED, "q#"), (ANSWERED, "a"))}, (Turn("system", "S"), *PLAIN)),
    "messages, as text": ({"messages": json.dumps(said((ASKED, "q#"), (ANSWERED, "a")))}, PLAIN),
    "sharegpt": ({"conversations": [{"from": "human", "value": "q#"}, {"from": "gpt", "value": "a"}]}, PLAIN),
    "prompt_completion": ({"prompt": "q#", "completion": " a"}, (Turn(ASKED, "q"), Turn(ANSWERED, " a"))),
    "prompt_completion, of messages": ({"prompt": said((ASKED, "q#")), "completion": said((ANSWERED, "a"))}, PLAIN),
    "instruction": ({"instruction": "q#", "input": "", "output": "a"}, PLAIN),
    "question_answer": ({"question": "q#", "answer": "a"}, PLAIN),
    "question_answer, of SQuAD": ({"question": "q#", "answers": {"text": ["a", "b", "a"]}}, PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "json"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_told_from_its_columns(tmp_path: Path, name: str, ending: str) -> None:
    record, turns = FORMATS[name]
    path = tmp_path / f"rows.{ending}"
    rows = many(record)
    if ending == "json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf8")
        task = load_task(TaskSpec(path=str(path)))
    else:
        task = load(path, rows)
    found = one(task)
    assert (task.kind, task.metric, task.labels) == ("generation", "perplexity", ())
    assert tuple((turn.role, turn.text.rstrip("0123456789")) for turn in found.turns) == tuple((turn.role, turn.text) for turn in turns)
    assert task.notes[0].startswith(f"rows are read as {name.partition(',')[0]} (")
    assert task.template == ("raw" if name == "prompt_completion" else "auto")
    assert found.accepted == (("b",) if "SQuAD" in name else ())
    assert all(row.texts_a[0] == row.conversations[0].question for row in (task.train, task.validation, task.test))


def test_text_and_label_stay_a_classification_whatever_else_there_is(tmp_path: Path) -> None:
    rows = [{"text_a": f"t {i}", "label": i % 2, "question": "q", "answer": "a", "messages": []} for i in range(20)]
    assert load(tmp_path / "rows.jsonl", rows).kind == "classification"
    assert load(
        tmp_path / "rows.jsonl", [{"question": f"q {i}", "answer": i % 2} for i in range(20)], text_a="question", label="answer"
    ).labels == ("0", "1")


def test_what_the_space_says_goes_first(tmp_path: Path) -> None:
    rows = many({"messages": said((ASKED, "m#"), (ANSWERED, "a")), "question": "q#", "answer": "b", "text": "t", "note": "n#"})
    assert one(load(tmp_path / "rows.jsonl", rows)).question[0] == "m"
    chosen = load(tmp_path / "rows.jsonl", rows, format="question_answer", text_a="{{{text}}} asks: {question}", template="plain")
    assert (one(chosen).question[:-1], one(chosen).reference, chosen.template) == ("{t} asks: q", "b", "plain")
    assert one(load(tmp_path / "rows.jsonl", rows, text_a="question", answer="note")).reference.startswith("n")


def test_a_folder_that_says_generation_answers_with_its_target_or_its_label(tmp_path: Path) -> None:
    rows = many({"text_a": "q#", "text_b": None, "label": "4"})
    own = [{**row, "target": "2 + 2 = 4"} for row in rows]
    assert one(load_task(TaskSpec(path=str(folder(tmp_path / "a", meta={"kind": "generation"}, train=rows))))).reference == "4"
    whole = load_task(TaskSpec(path=str(folder(tmp_path / "b", meta={"kind": "generation"}, train=own))))
    assert one(whole).reference == "2 + 2 = 4"
    assert whole.notes[0] == "rows are read as columns (text_a, text_b, target); task.format reads them in another way"


def test_a_passage_is_the_column_that_may_lose_its_end(tmp_path: Path) -> None:
    rows = many({"question": "q#", "context": " long ", "answer": "a"})
    assert one(load(tmp_path / "rows.jsonl", rows)).passage == "long"
    assert one(load(tmp_path / "rows.jsonl", rows, text_a="question")).passage == ""
    with pytest.raises(WrongInput, match=r"task\.passage: answer is no column of the text .*; name one of context, question"):
        load(tmp_path / "rows.jsonl", rows, passage="answer")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_keys_that_only_other_rows_have_are_not_there(tmp_path: Path, ending: str) -> None:
    plain = many({"messages": said((ASKED, "q#"), (ANSWERED, "a"))}, 9)
    named = {"messages": [{"role": ASKED, "content": "z", "name": "Ann"}, {"role": ANSWERED, "content": "a"}]}
    task = load(tmp_path / f"rows.{ending}", [*plain, named])
    every = [talk for rows in (task.train, task.validation, task.test) for talk in rows.conversations]
    assert sorted(turn.more for talk in every for turn in talk.turns if turn.more) == ['{"name": "Ann"}']


def test_a_call_keeps_its_nulls_and_no_text_is_not_the_word_none(tmp_path: Path) -> None:
    rows = many({"messages": [*said((ASKED, "q#")), CALL, *said(("tool", "r"), (ANSWERED, "a"))], "tools": [{"name": "f"}]})
    talk = one(load(tmp_path / "rows.jsonl", rows))
    assert talk.turns[1].message == {**CALL, "content": ""}
    assert json.loads(talk.tools) == [{"name": "f"}]


def test_rows_without_a_word_to_learn_are_left_out_and_counted(tmp_path: Path) -> None:
    bad = [
        said((ASKED, "x")),
        said((ASKED, "y"), (ANSWERED, None)),
        said((ASKED, "z"), (ANSWERED, "  ")),
        said((ASKED, ""), (ANSWERED, "ok"), (ASKED, "more")),
    ]
    task = load(
        tmp_path / "rows.jsonl", [*many({"messages": said((ASKED, "q#"), (ANSWERED, "a"))}), *({"messages": turns} for turns in bad)]
    )
    assert sum(map(len, (task.train, task.validation, task.test))) == 11
    assert task.notes[1:4] == (
        "train rows left out, since they have no answer of the assistant: 1",
        "train rows left out, since they have an answer without a text: 2",
        "train rows of which turns behind the last answer were left out: 1",
    )


def test_rows_of_changing_keys_and_sizes_are_read(tmp_path: Path) -> None:
    rows = many({"instruction": "q#", "input": None, "output": "a"})
    rows += [
        {"instruction": "x", "input": "I", "output": "b", "extra": 1, "time": "now"},
        {"instruction": "y", "output": "z" * 3_000_000, "time": 3},
    ]
    task = load(tmp_path / "rows.jsonl", rows)
    every = {talk.question: talk for split in (task.train, task.validation, task.test) for talk in split.conversations}
    assert (len(every), every["x\n\nI"].passage, every["q0"].passage, len(every["y"].reference)) == (12, "I", "", 3_000_000)


def test_rows_of_one_conversation_never_stand_on_two_sides(tmp_path: Path) -> None:
    grown = [
        said(*[turn for step in range(steps) for turn in ((ASKED, f"Q {start}" if not step else f"and {step}?"), (ANSWERED, "a"))])
        for start in range(12)
        for steps in (1, 2, 3)
    ]
    task = load(tmp_path / "rows.jsonl", [{"messages": turns} for turns in grown])
    sides = [{talk.opening for talk in rows.conversations} for rows in (task.train, task.validation, task.test)]
    assert sum(map(len, sides)) == 12
    again = folder(
        tmp_path / "t",
        train=many({"question": "Who  is q#?", "answer": "a"}),
        validation=many({"question": "who is Q#?", "answer": "a"}, 4),
    )
    assert "dropped from training, since their text is in validation or test: 4" in load_task(TaskSpec(path=str(again))).notes


def test_equal_rows_are_an_equal_task_and_another_answer_is_another(tmp_path: Path) -> None:
    rows = many({"question": "q#", "answer": "a"})
    digest = load(tmp_path / "a.jsonl", rows).digest
    assert digest == load(tmp_path / "b.parquet", rows).digest
    assert digest != load(tmp_path / "c.jsonl", [*rows[:-1], {**rows[-1], "answer": "b"}]).digest


def test_numbers_are_written_out_and_none_is_no_text(tmp_path: Path) -> None:
    rows = [{"question": f"q{number}", "answer": answer} for number, answer in enumerate([1234567.0, 0.1234567891, 42, 1e16, math.nan] * 4)]
    task = load(tmp_path / "rows.jsonl", rows)
    every = {talk.reference for split in (task.train, task.validation, task.test) for talk in split.conversations}
    assert every == {"1234567", "0.1234567891", "42", "10000000000000000"}
    assert "train rows left out, since they have an answer without a text: 4" in task.notes


@pytest.mark.parametrize(
    ("good", "bare"),
    [({"question": "q#", "answer": "a"}, {"question": "t#"}), ({"prompt": "q#", "completion": "a"}, {"prompt": "t#"}),
     ({"instruction": "q#", "output": "a"}, {"instruction": "t#"}), ({"question": "q#", "answers": ["a"]}, {"question": "t#"})],
)  # fmt: skip
def test_a_file_without_the_column_of_answers(tmp_path: Path, good: Record, bare: Record) -> None:
    hidden = load_task(TaskSpec(path=str(folder(tmp_path / "a", train=many(good), validation=many(good, 4), test=many(bare, 3)))))
    assert "the test split has no answers and was left aside" in hidden.notes
    with pytest.raises(WrongInput, match=r"validation.jsonl: no (column|row is left)"):
        load_task(TaskSpec(path=str(folder(tmp_path / "b", train=many(good), validation=many(bare, 4)))))


@pytest.mark.parametrize("spec", [{"label": "anwser"}, {"choices": "options"}, {"labels": {"a": "yes"}}, {"separator": ","}])
def test_a_task_of_labels_with_a_slip_never_turns_into_another(tmp_path: Path, spec: dict[str, Any]) -> None:
    rows = many({"question": "q#", "context": "p", "answer": "a", "options": ["x", "y"]})
    with pytest.raises(WrongInput, match=r"no column (anwser.*Did you mean answer|label;)"):
        load(tmp_path / "rows.jsonl", rows, text_a="question", **spec)


def test_a_hidden_test_split_is_left_aside(tmp_path: Path) -> None:
    rows = many({"question": "q#", "answer": "a"})
    hidden = [{"question": "t", "answer": ""}]
    assert (
        "the test split has no answers and was left aside"
        in load_task(TaskSpec(path=str(folder(tmp_path / "t", train=rows, test=hidden)))).notes
    )


MESSAGES, SHAREGPT = json.dumps({"messages": said((ASKED, "q"), (ANSWERED, "a"))}), json.dumps({"conversations": [value(0), value(1)]})


def m(content: str) -> str:
    return f'{{"messages": {content}}}'


def s(content: str) -> str:
    return f'{{"conversations": {content}}}'


QUESTION, ORDER, PROMPT = '{"question": "q", "answer": "a"}', '{"instruction": "q", "output": "a"}', '{"prompt": "q", "completion": "a"}'
MALFORMED: Sequence[tuple[str, str, str]] = [
    (MESSAGES, m("3"), "2: messages is the number 3, wanted a list of messages"),
    (MESSAGES, m("null"), "2: messages is nothing, wanted a list of messages"),
    (MESSAGES, "{}", "2: messages is nothing, wanted a list of messages"),
    (MESSAGES, m("[]"), "2: messages is an empty list, wanted a list of messages"),
    (MESSAGES, m("{}"), "2: messages is a mapping, wanted a list of messages"),
    (MESSAGES, m('"no list"'), "2: messages is the text 'no list', wanted a list, or one as JSON text"),
    (MESSAGES, m('"3"'), "2: messages is the number 3, wanted a list of messages"),
    (MESSAGES, m("[null]"), "2: message 1 is nothing, wanted a mapping with role and content"),
    (MESSAGES, m('["hi"]'), "2: message 1 is the text 'hi', wanted a mapping with role and content"),
    (MESSAGES, m("[[]]"), "2: message 1 is an empty list, wanted a mapping with role and content"),
    (MESSAGES, m("[{}]"), "2: message 1 has nothing, wanted role and content, or from and value"),
    (MESSAGES, m('[{"text": "x"}]'), "2: message 1 has text, wanted role and content, or from and value"),
    (MESSAGES, m('[{"role": null, "content": "x"}]'), "2: message 1: role is nothing, wanted one of system,"),
    (MESSAGES, m('[{"role": 1, "content": "x"}]'), "2: message 1: role is the number 1, wanted one of system,"),
    (MESSAGES, m('[{"role": "asistant", "content": "x"}]'), "2: message 1: role is the text 'asistant', wanted one of"),
    (MESSAGES, m('[{"role": "User", "content": "x"}]'), "2: message 1: role is the text 'User', wanted one of"),
    (MESSAGES, m('[{"role": "user", "content": 3}]'), "2: message 1: content is the number 3, wanted text; put it in quotes"),
    (MESSAGES, m('[{"role": "user", "content": {}}]'), "2: message 1: content is a mapping, wanted text; put it in quotes"),
    (MESSAGES, m('[{"role": "user", "content": ["x"]}]'), "2: message 1: content has a part that is no text"),
    (MESSAGES, m('[{"role": "user", "content": [{"type": "image"}]}]'), "2: message 1: content has a part that is no text"),
    (MESSAGES, m('[{"role": "user", "content": "\\ud83d"}]'), "2: message 1: content holds half of a surrogate pair"),
    (MESSAGES, m('[{"role": "user", "content": [{"text": "\\ud83d"}]}]'), "2: message 1: content holds half of a surrogate pair"),
    (MESSAGES, '{"messages": [{"role": "user", "content": "x"}, 4]}', "2: message 2 is the number 4, wanted a mapping"),
    (MESSAGES, MESSAGES[:-1] + ', "tools": 3}', "2: tools is the number 3, wanted a list of tools"),
    (MESSAGES, MESSAGES[:-1] + ', "tools": ["f"]}', "2: tools is a list, wanted a list of tools, each a mapping"),
    (MESSAGES, MESSAGES[:-1] + ', "tools": "{"}', "2: tools is the text '{', wanted a list, or one as JSON text"),
    (MESSAGES, "[1]", "2: a list, wanted one JSON object a line (JSONL)"),
    (MESSAGES, MESSAGES[:-9], "2: not valid JSON: "),
    (MESSAGES, m("[" * 100_000), "2: not usable JSON: "),
    (SHAREGPT, s("null"), "2: conversations is nothing, wanted a list of messages"),
    (SHAREGPT, s('[{"from": "robot", "value": "x"}]'), "2: message 1: from is the text 'robot', wanted one of"),
    (SHAREGPT, s('[{"from": "human", "value": 4}]'), "2: message 1: value is the number 4, wanted text; put it in quotes"),
    (SHAREGPT, s('[{"from": "human"}, 7]'), "2: message 2 is the number 7, wanted a mapping"),
    (SHAREGPT, SHAREGPT[:-1] + ', "system": "\\udc00"}', "2: system holds half of a surrogate pair"),
    (QUESTION, '{"question": "", "answer": "a"}', "2: no text to answer; fill it in, or delete the row"),
    (QUESTION, '{"question": null, "answer": "a"}', "2: no text to answer; fill it in, or delete the row"),
    (QUESTION, '{"answer": "a"}', "2: no text to answer; fill it in, or delete the row"),
    (QUESTION, '{"question": ["q"], "answer": "a"}', "2: question is a list, wanted text or a number"),
    (QUESTION, '{"question": "q", "answer": [["a"]]}', "2: answer is a list, wanted text or a number"),
    (QUESTION, '{"question": "q", "answer": true}', "2: answer is true, wanted text or a number"),
    (QUESTION, '{"question": "q", "answer": "\\ud83d"}', "2: answer holds half of a surrogate pair"),
    (ORDER, '{"instruction": {}, "output": "a"}', "2: instruction is a mapping, wanted text or a number"),
    (ORDER, '{"instruction": "q", "input": [], "output": "a"}', "2: input is a list, wanted text or a number"),
    (ORDER, '{"instruction": "q", "output": {"text": [{}]}}', "2: output is a mapping, wanted text or a number"),
    (ORDER, '{"output": "a"}', "2: no text to answer; fill it in, or delete the row"),
    (PROMPT, '{"prompt": 3, "completion": "a"}', "2: prompt is the number 3, wanted text, or a list of messages"),
    (PROMPT, '{"prompt": "q", "completion": {}}', "2: completion is a mapping, wanted text, or a list of messages"),
    (PROMPT, '{"prompt": [{}], "completion": "a"}', "2: message 1 has nothing, wanted role and content"),
    (PROMPT, '{"prompt": "\\ud83d", "completion": "a"}', "2: prompt holds half of a surrogate pair"),
    (PROMPT, '{"prompt": [], "completion": "a"}', "2: prompt is an empty list, wanted a list of messages"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_a_malformed_row_is_one_line_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    good, bad, message = MALFORMED[number]
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text(f"{good}\n{bad}\n", encoding="utf8")
    with pytest.raises(WrongInput) as caught:
        load_task(TaskSpec(path="a.jsonl"))
    assert str(caught.value).startswith(f"a.jsonl:{message}")
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5) | st.sampled_from([ASKED, ANSWERED, "human", "gpt"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "text", "tool_calls", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
KEYS = [
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "question",
    "answer",
    "context",
    "tools",
    "system",
]


def tried(path: Path) -> Task | str:
    try:
        return load_task(TaskSpec(path=str(path)))
    except WrongInput as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), min_size=1, max_size=6), st.sampled_from([".jsonl", ".json"]))
def test_whatever_a_file_holds_it_is_a_task_or_one_line(tmp_path_factory: pytest.TempPathFactory, rows: list[Record], ending: str) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{ending}"
    path.write_text(json.dumps(rows) if ending == ".json" else "".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    found = tried(path)
    if isinstance(found, str):
        assert found.count("\n") == 0 < len(found)
        return
    for talk in (talk for split in (found.train, found.validation, found.test) for talk in split.conversations):
        assert talk.turns[-1].role == ANSWERED
        assert all(turn.text.strip() or "tool_calls" in turn.message for turn in talk.turns if turn.role == ANSWERED)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=9), st.text(min_size=1, max_size=9).filter(str.strip)), min_size=1, max_size=3))
def test_texts_come_out_of_a_file_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    turns = [turn for asked, answered in pairs for turn in ((ASKED, asked), (ANSWERED, answered))]
    rows: list[Record] = [{"messages": said((ASKED, f"{row} {turns[0][1]}"), *turns[1:])} for row in range(10)]
    task = load(tmp_path_factory.mktemp("any") / "a.jsonl", rows)
    assert [(turn.role, turn.text) for turn in task.train.conversations[0].turns[1:]] == turns[1:]
