"""Rows that are too long: a passage loses its end, a row whose answer would be cut is left out, and both are counted."""

from pathlib import Path
from typing import Any

import pytest

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Family
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.model.cutting import pair_ids
from ulpt_search.workers.model.fitting import Fit, fit_task, fitted
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.rendering import render
from ulpt_search.workers.tasks import Rows, Task, load_task

from . import zoo
from .chats import tokenizer
from .task_files import Record, folder

SIGNS = tokenizer()
"""One token a sign; plain: context, two line feeds, question, `\\nAnswer: `, answer, end."""
SHORT = [{"question": f"q{i}?", "context": "abc", "answer": "a"} for i in range(10)]


def task(tmp_path: Path, *more: Record, **spec: Any) -> Task:
    train: list[Record] = [*SHORT, *more]
    return load_task(
        TaskSpec(
            path=str(
                folder(tmp_path / "t", train=train, validation=[{"question": f"v{i}?", "context": "", "answer": "b"} for i in range(4)])
            ),
            **spec,
        )
    )


def test_a_passage_loses_its_end_and_the_question_never(tmp_path: Path) -> None:
    made = fitted(
        task(tmp_path, {"question": "where?", "context": "long " * 20, "answer": "here"}), SIGNS, "decoder", max_tokens=40, positions=None
    )
    (talk,) = [talk for talk in made.train.conversations if "where" in talk.question]
    assert talk.question == "long long long lon\n\nwhere?"  # and 8 of Answer, 5 of here, 1 that ends: 18 + 8 + 14 = 40
    assert talk.passage == "long long long lon"
    assert len(render(SIGNS, "decoder", talk, "auto").ids) == 40
    assert made.notes[-1] == "9% of 11 training rows are longer than 40 tokens: the end of the passage is cut in 1, the question never"


def test_a_row_whose_answer_would_be_cut_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"question": "w" * 50, "context": "long", "answer": "x"}, {"question": "q", "context": "", "answer": "y" * 50}]
    before = task(tmp_path, *rows)
    made = fitted(before, SIGNS, "decoder", max_tokens=40, positions=100)
    assert (len(before.train), len(made.train), before.digest != made.digest) == (12, 10, True)
    told = "17% of 12 training rows are longer than 40 tokens: 2 are left out, since their answers would be cut"
    assert made.notes[-1] == f"{told}; task.max_tokens says how long they may be"
    assert made.train.texts_a == tuple(talk.question for talk in made.train.conversations)


def test_an_encoder_decoder_counts_both_sides_for_themselves(tmp_path: Path) -> None:
    rows = [{"question": "w" * 30, "context": "", "answer": "x" * 30}, {"question": "w" * 30 + "?", "context": "", "answer": "x" * 41}]
    made = fitted(task(tmp_path, *rows), SIGNS, "encoder-decoder", max_tokens=40, positions=None)
    assert [len(talk.reference) for talk in made.train.conversations[10:]] == [30]


def test_positions_are_a_limit_too_and_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"t: none of 10 training rows fits into 8 tokens with its answer; raise task\.max_tokens"):
        fitted(task(tmp_path), SIGNS, "decoder", max_tokens=40, positions=8)


def test_rows_that_fit_are_untouched_whatever_the_limit(tmp_path: Path) -> None:
    whole = task(tmp_path)
    for limit in (40, 8192):
        made = fitted(whole, SIGNS, "decoder", max_tokens=limit, positions=None)
        assert (made.train, made.digest) == (whole.train, whole.digest)
        assert made.notes[-1].startswith("the tokenizer has no chat template: conversations are written by task.template: plain")


@pytest.mark.parametrize(
    ("family", "why"), [("encoder-decoder", "an encoder-decoder learns a row's last answer alone: 6"), ("decoder", "plain")]
)
def test_answers_that_are_not_learnt_are_counted(tmp_path: Path, family: Family, why: str) -> None:
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant", "user", "assistant")]
    rows = [{"messages": [{"role": "user", "content": f"q{i}"}, *turns[1:]]} for i in range(10)]
    whole = load_task(TaskSpec(path=str(folder(tmp_path / "t", train=rows))))
    notes = fitted(whole, SIGNS, family, max_tokens=64, positions=None).notes
    assert any(why in note for note in notes)
    assert any("not learnt" in note for note in notes) == (family == "encoder-decoder")


def test_what_came_of_it_is_remembered_for_other_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"question": f"w{i}", "context": "w1 " * 40 * (i % 2), "answer": "w3 " * 40 * (i % 3 == 0) + "w2"} for i in range(40)]
    whole, model = load_task(TaskSpec(path=str(folder(tmp_path / "t", train=rows)))), zoo.backbone("decoder")
    first = fit_task(whole, model, max_tokens=24, folder=tmp_path / "cache")
    monkeypatch.setattr(Fit, "rendered", None)
    again = fit_task(whole, model, max_tokens=24, folder=tmp_path / "cache")
    assert (again, again.digest != whole.digest) == (first, True)
    assert "are longer than 24 tokens" in again.notes[-1]
    with pytest.raises(TypeError):
        fit_task(whole, model, max_tokens=25, folder=tmp_path / "cache")


def test_a_row_that_no_template_can_say_is_named(tmp_path: Path) -> None:
    picky = "{% for m in messages %}{{ raise_exception('no ' + m.content) if 'q3' in m.content else m.content }}{% endfor %}"
    with pytest.raises(WrongInput, match=r"the row that asks 'abc\\n\\nq3\?': the chat template refuses these turns: no abc"):
        fitted(task(tmp_path, template=picky), SIGNS, "decoder", max_tokens=40, positions=None)


@pytest.mark.parametrize(("first", "second", "text"), [
    ("p" * 30, "q?", "pppppppppppppp|q?"),
    ("q?", "p" * 30, "q?|pppppppppppppp"),
    ("short", "q?", "short|q?"),
    ("p" * 30, None, "p" * 17),
    ("p" * 30, "q" * 29, "p" * 17),
])  # fmt: skip
def test_of_a_pair_the_longer_text_loses_its_end(first: str, second: str | None, text: str) -> None:
    assert f"{SIGNS.decode(list(pair_ids(SIGNS, first, second, '|', room=17)))}" == text


def test_an_end_token_stays_behind_a_pair_that_was_cut() -> None:
    ends = tokenizer(adds_eos=True)
    assert f"{ends.decode(list(pair_ids(ends, 'p' * 30, 'q?', ' ', room=10)))}" == "pppppp q?</s>"


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_a_question_behind_a_long_passage_reaches_the_model(family: str) -> None:
    backbone = zoo.backbone(family)
    rows = Rows(("w1 " * 90, "w2"), ("w7 w8", "w9"), (0, 1))
    data = encode(backbone, rows, max_tokens=20)
    words = [str(backbone.tokenizer.decode(ids.tolist())) for ids in data.ids]
    assert "w7 w8" in words[0]
    assert len(data.ids[0]) == 20
    assert "w9" in words[1]
