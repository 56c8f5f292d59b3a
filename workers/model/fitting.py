"""A task's conversations as they fit a model: a passage loses its end, a row whose answer would be cut is left out, both are counted.

Nothing else is ever cut: no question, no system's text, no answer.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from ...spaces.errors import WrongInput
from ...spaces.shape import Family
from ..tasks import Conversation, Rows, Task
from ..tasks.task import digest_of
from .backbone import Backbone
from .chat_text import about
from .cutting import shortened
from .rendering import Rendered, render

CUT, DROPPED, SKIPPED = "cut", "dropped", "skipped"


@dataclass(frozen=True)
class Fit:
    """How conversations become tokens, and how many a row may have."""

    tokenizer: PreTrainedTokenizerBase
    family: Family
    template: str
    limit: int

    def rendered(self, talk: Conversation) -> Rendered:
        """Return a conversation as tokens; `WrongInput` names it where the template cannot say it."""
        try:
            return render(self.tokenizer, self.family, talk, self.template)
        except WrongInput as error:
            raise WrongInput(f"the row that asks {talk.question[:40]!r}: {error}") from error

    def excess(self, row: Rendered) -> int:
        """How many tokens a row has too many; those of an encoder-decoder's answer count for themselves."""
        return max(len(row.ids), len(row.answer)) - self.limit

    def fitted(self, talk: Conversation, counts: Counter[str]) -> Conversation | None:
        """Return the conversation with as much of its passage as there is room for; None where that does not help."""
        row = self.rendered(talk)
        counts[SKIPPED] += row.skipped
        if self.excess(row) <= 0:
            return talk
        shorter = self._shorter(talk, self.excess(row)) if len(row.answer) <= self.limit else None
        counts[DROPPED if shorter is None else CUT] += 1
        return shorter

    def _shorter(self, talk: Conversation, excess: int) -> Conversation | None:
        def of(passage: str) -> int:
            return self.excess(self.rendered(with_passage(talk, passage)))

        passage = shortened(self.tokenizer, talk.passage, of, over=excess)
        return None if passage is None else with_passage(talk, passage)


def with_passage(talk: Conversation, passage: str) -> Conversation:
    """Return the conversation with another passage in its last question."""
    number = max(number for number, turn in enumerate(talk.turns) if turn.role == "user")
    before, _, behind = talk.turns[number].text.rpartition(talk.passage)
    turns = (*talk.turns[:number], replace(talk.turns[number], text=f"{before}{passage}{behind}"), *talk.turns[number + 1 :])
    return replace(talk, turns=turns, passage=passage)


def fit_task(task: Task, backbone: Backbone, *, max_tokens: int) -> Task:
    """Return `fitted` for a loaded model."""
    return fitted(task, backbone.tokenizer, backbone.family, max_tokens=max_tokens, positions=backbone.shape.positions)


def fitted(task: Task, tokenizer: PreTrainedTokenizerBase, family: Family, *, max_tokens: int, positions: int | None) -> Task:
    """Return a task of conversations as a model with so many positions gets it, with notes of what that took; others as they are.

    Raises `WrongInput` where no row of a split is left.
    """
    if not task.train.conversations or family == "encoder":
        return task
    limit = max_tokens if positions is None else min(max_tokens, positions)
    fit, notes = Fit(tokenizer, family, task.template, limit), [about(tokenizer, task.template)]
    parts: dict[str, Rows] = {}
    for split, rows in (("training", task.train), ("validation", task.validation), ("test", task.test)):
        counts = Counter[str]()
        parts[split] = _of_split(fit, rows, counts)
        if not len(parts[split]):
            raise WrongInput(
                f"{task.name}: none of {len(rows):,} {split} rows fits into {limit} tokens with its answer; raise task.max_tokens"
            )
        notes += said(split, len(rows), counts, limit)
    train, validation, test = parts.values()
    if len(notes) == 1:
        return replace(task, notes=(*task.notes, *notes))
    digest = digest_of(kind=task.kind, labels=(), descriptions=(), metric=task.metric, splits=(train, validation, test))
    return replace(task, train=train, validation=validation, test=test, digest=digest, notes=(*task.notes, *notes))


def _of_split(fit: Fit, rows: Rows, counts: Counter[str]) -> Rows:
    found = {number: fit.fitted(talk, counts) for number, talk in enumerate(rows.conversations)}
    kept = {number: talk for number, talk in found.items() if talk is not None}
    chosen = rows.take(kept)
    texts = tuple(talk.question for talk in kept.values())
    return replace(chosen, texts_a=texts, conversations=tuple(kept.values()))


def said(split: str, rows: int, counts: Counter[str], limit: int) -> Iterator[str]:
    """Say what was cut and left out of a split, a sentence each."""
    if counts[CUT] + counts[DROPPED]:
        share = (counts[CUT] + counts[DROPPED]) / rows
        shown = f"{share:.0%}" if share >= 0.01 else "under 1%"
        what = [f"the end of the passage is cut in {counts[CUT]:,}, the question never"] * bool(counts[CUT])
        what += [f"{counts[DROPPED]:,} are left out, since their answers would be cut"] * bool(counts[DROPPED])
        yield f"{shown} of {rows:,} {split} rows are longer than {limit} tokens: {'; '.join(what)}"
    if counts[SKIPPED]:
        yield f"answers in {split} rows that are not learnt, since the template rewrites them as the talk goes on: {counts[SKIPPED]:,}"
