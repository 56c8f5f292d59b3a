"""Rows of conversations and answers, of whatever format, as one: turns that end with an answer."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ...spaces.errors import WrongInput
from ...spaces.space import Format, TaskSpec
from .composed import columns_of, is_template, parts_of
from .conversation import ASSISTANT, Conversation, Turn
from .formats import BESIDE, NEEDS, PASSAGES, TARGET
from .messages import is_blank, tools_of, turns_of, whole
from .table import Table, describe, groups_of
from .task import Rows

NO_ANSWER, EMPTY, BEYOND = "no answer of the assistant", "an answer without a text", "turns behind the last answer"


@dataclass(frozen=True)
class Read:
    """A split as rows, and how often which fault was put right on the way."""

    rows: Rows
    faults: Mapping[str, int]

    def notes(self, split: str) -> Iterator[str]:
        """Say what was left out, a sentence a fault."""
        for fault in (NO_ANSWER, EMPTY):
            if self.faults.get(fault):
                yield f"{split} rows left out, since they have {fault}: {self.faults[fault]:,}"
        if self.faults.get(BEYOND):
            yield f"{split} rows of which {BEYOND} were left out: {self.faults[BEYOND]:,}"


def rows_of(table: Table, spec: TaskSpec, chosen: Format) -> Read:
    """Return a split's rows. Raises `WrongInput` with file and line for a row that is none."""
    read, faults = _reader(table, spec, chosen), Counter[str]()
    kept: dict[int, Conversation] = {}
    for row in range(table.size):
        found = _answered(read(row), faults)
        if found is not None:
            kept[row] = found
    talks = tuple(kept.values())
    groups = groups_of(table, spec)
    own = tuple(groups[row] for row in kept) if groups else ()
    texts = tuple(talk.question for talk in talks)
    return Read(Rows(texts, (None,) * len(talks), (0.0,) * len(talks), own, (), talks), faults)


def answer_column(table: Table, spec: TaskSpec) -> str:
    """Return the column of answers of the format `columns`."""
    return spec.answer or (TARGET if TARGET in table.names else spec.label)


def is_raw(table: Table, chosen: Format) -> bool:
    """Whether texts are to stand as they are: a prompt and its completion are written for that, unless they are messages."""
    return chosen == "prompt_completion" and isinstance(next(iter(table.column("prompt", "format"))), str)


def asked_by(place: str, row: Mapping[str, object]) -> Conversation | None:
    """Return what one row asks, by whichever format has its keys; None where none has. An answer beside the question is not looked at.

    Raises `WrongInput` at `place` for a row that asks nothing.
    """
    table = Table(place.rpartition(":")[0], tuple(row), {name: (value,) for name, value in row.items()}, (int(place.rpartition(":")[2]),))
    for chosen, sides in NEEDS.items():
        if row.get(sides[0][0]) is None:
            continue
        if chosen in ("messages", "sharegpt"):
            return _chat(table, sides[0][0], chosen, 0)
        if chosen == "prompt_completion":
            return Conversation(_side(place, "prompt", "user", row["prompt"]), tools_of(place, "tools", row.get("tools")))
        turns, passage = _questioned(table, TaskSpec(), chosen, 0)
        return Conversation(turns, passage=passage)
    return None


def _reader(table: Table, spec: TaskSpec, chosen: Format) -> Callable[[int], Conversation]:
    if chosen in ("messages", "sharegpt"):
        return partial(_chat, table, NEEDS[chosen][0][0], chosen)
    if chosen == "prompt_completion":
        return partial(_completion, table)
    return partial(_exchange, table, spec, chosen)


def _value(table: Table, row: int, column: str) -> object:
    return table.values[column][row] if column in table.names else None


def _chat(table: Table, column: str, chosen: Format, row: int) -> Conversation:
    place = table.place(row)
    turns = turns_of(place, column, _value(table, row, column))
    system = _value(table, row, "system") if "system" in BESIDE[chosen] else None
    if isinstance(system, str) and system.strip() and turns[0].role != "system":
        turns = (Turn("system", whole(f"{place}: system", system)), *turns)
    return Conversation(turns, tools_of(place, "tools", _value(table, row, "tools")))


def _completion(table: Table, row: int) -> Conversation:
    place, sides = table.place(row), (("prompt", "user"), ("completion", ASSISTANT))
    turns = [turn for column, role in sides for turn in _side(place, column, role, _value(table, row, column))]
    return Conversation(tuple(turns), tools_of(place, "tools", _value(table, row, "tools")))


def _side(place: str, column: str, role: str, value: object) -> tuple[Turn, ...]:
    if isinstance(value, list):
        return turns_of(place, column, value)
    if value is not None and not isinstance(value, str):
        raise WrongInput(f"{place}: {column} is {describe(value)}, wanted text, or a list of messages")
    return (Turn(role, whole(f"{place}: {column}", value or "")),)


def _exchange(table: Table, spec: TaskSpec, chosen: Format, row: int) -> Conversation:
    """A question made of columns, and its answer."""
    turns, passage = _questioned(table, spec, chosen, row)
    answers = _answers(table, row, _answer_of(table, spec, chosen))
    return Conversation((*turns, Turn(ASSISTANT, answers[0] if answers else "")), passage=passage, accepted=answers[1:])


def _questioned(table: Table, spec: TaskSpec, chosen: Format, row: int) -> tuple[tuple[Turn, ...], str]:
    """The turns before the answer, and the part of the question that may lose its end."""
    asked, passage = _asked(table, spec, chosen, row)
    if not asked:
        raise WrongInput(f"{table.place(row)}: no text to answer; fill it in, or delete the row")
    system = _value(table, row, "system") if "system" in BESIDE.get(chosen, ()) else None
    first = (Turn("system", whole(f"{table.place(row)}: system", system)),) if isinstance(system, str) and system.strip() else ()
    return (*first, Turn("user", asked)), passage


def _asked(table: Table, spec: TaskSpec, chosen: Format, row: int) -> tuple[str, str]:
    """The user's text, and the part of it that may lose its end."""
    text = _layout(table, spec, chosen)
    names = columns_of(text, "text_a")
    if spec.passage and spec.passage not in names:
        raise WrongInput(f"task.passage: {spec.passage} is no column of the text {text!r}; name one of {', '.join(names)}")
    passage = spec.passage or PASSAGES.get(chosen)
    asked = "".join(literal + ("" if name is None else _said(table, row, name)) for literal, name in parts_of(text, "text_a")).strip()
    return asked, _said(table, row, passage) if passage in names else ""


def _layout(table: Table, spec: TaskSpec, chosen: Format) -> str:
    """What a question is made of: what the space says, else the known format's own columns, the passage first."""
    if chosen in NEEDS and spec.text_a == TaskSpec.text_a:
        first, passage = NEEDS[chosen][0][0], PASSAGES[chosen]
        both = f"{{{passage}}}\n\n{{{first}}}" if chosen == "question_answer" else f"{{{first}}}\n\n{{{passage}}}"
        return both if passage in table.names else f"{{{first}}}"
    given = [spec.text_a, *([spec.text_b] if spec.text_b and (spec.text_b != TaskSpec.text_b or spec.text_b in table.names) else [])]
    return "\n".join(text if is_template(text) else f"{{{text}}}" for text in given)


def _said(table: Table, row: int, column: str) -> str:
    """A column's text, nothing for null."""
    return _worded(table, row, column, table.column(column, "text_a")[row])


def _worded(table: Table, row: int, column: str, value: object) -> str:
    if isinstance(value, str):
        return whole(f"{table.place(row)}: {column}", value.strip())
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongInput(f"{table.place(row)}: {column} is {describe(value)}, wanted text or a number")
    if math.isnan(value):  # how tables of numbers say that there is none
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _answer_of(table: Table, spec: TaskSpec, chosen: Format) -> str:
    if spec.answer or chosen not in NEEDS:
        return answer_column(table, spec)
    sides = NEEDS[chosen]
    return next((side[1] for side in sides if side[1] in table.names), sides[0][1])


def has_answers(table: Table, spec: TaskSpec, chosen: Format) -> bool:
    """Whether a split has the column that its answers stand in; messages may hold none all the same."""
    if chosen == "prompt_completion":
        return NEEDS[chosen][0][1] in table.names
    return chosen in ("messages", "sharegpt") or _answer_of(table, spec, chosen) in table.names


def _answers(table: Table, row: int, column: str) -> tuple[str, ...]:
    """A row's answers, that which is learnt first; SQuAD's mapping with a list of texts, a list, or one."""
    value = table.column(column, "answer")[row]
    found = value.get("text") if isinstance(value, Mapping) else value
    each = found if isinstance(found, list) else [found]
    texts = [_worded(table, row, column, one) for one in each]
    return tuple(dict.fromkeys(text for text in texts if text))


def _answered(talk: Conversation, faults: Counter[str]) -> Conversation | None:
    """The conversation up to its last answer; None, and a fault counted, where there is nothing to learn."""
    if not talk.answers:
        faults[NO_ANSWER] += 1
        return None
    if any(is_blank(talk.turns[number]) for number in talk.answers):
        faults[EMPTY] += 1
        return None
    last = talk.answers[-1] + 1
    faults[BEYOND] += last < len(talk.turns)
    return Conversation(talk.turns[:last], talk.tools, talk.passage, talk.accepted)
