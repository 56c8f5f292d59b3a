"""A task's conversations as they fit a model: a passage loses its end, a row whose answer would be cut is left out, both are counted.

Nothing else is ever cut: no question, no system's text, no answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from ...spaces.errors import WrongInput
from ...spaces.hashing import sha256_of_json
from ...spaces.shape import Family
from ..tasks import Conversation, Rows, Task
from ..tasks.task import digest_of
from .backbone import Backbone
from .chat_text import about
from .cutting import shortened
from .node_cache import Tensors, once
from .rendering import Rendered, render

WHOLE, LEFT_OUT = -2, -1
REWRITTEN, ONE_ANSWER = "the template rewrites them as the talk goes on", "an encoder-decoder learns a row's last answer alone"
RULE = "1: passages lose their end, rows whose answers would be cut are left out"
"""Counted up whenever the same rows come to others."""


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

    def decided(self, rows: Rows) -> Tensors:
        """Return how many characters of each row's passage stay, `WHOLE` or `LEFT_OUT`, and how many answers are not learnt; (rows,)."""
        found = [self._decided(talk) for talk in rows.conversations]
        return {name: torch.tensor(values) for name, values in zip(("kept", "skipped"), zip(*found, strict=True), strict=True)}

    def _decided(self, talk: Conversation) -> tuple[int, int]:
        row = self.rendered(talk)
        if self.excess(row) <= 0:
            return WHOLE, row.skipped
        passage = self._shorter(talk, self.excess(row)) if len(row.answer) <= self.limit else None
        return (LEFT_OUT if passage is None else len(passage)), row.skipped

    def _shorter(self, talk: Conversation, excess: int) -> str | None:
        def of(passage: str) -> int:
            return self.excess(self.rendered(with_passage(talk, passage)))

        return shortened(self.tokenizer, talk.passage, of, over=excess)


def with_passage(talk: Conversation, passage: str) -> Conversation:
    """Return the conversation with another passage in its last question."""
    number = max(number for number, turn in enumerate(talk.turns) if turn.role == "user")
    before, _, behind = talk.turns[number].text.rpartition(talk.passage)
    turns = (*talk.turns[:number], replace(talk.turns[number], text=f"{before}{passage}{behind}"), *talk.turns[number + 1 :])
    return replace(talk, turns=turns, passage=passage)


def fit_task(task: Task, backbone: Backbone, *, max_tokens: int, folder: Path | None = None) -> Task:
    """Return `fitted` for a loaded model; a `folder` remembers what came of it for other workers."""
    own = str(backbone.tokenizer.chat_template or "")
    about_it = [RULE, task.digest, task.template, own, max_tokens, backbone.shape.positions, backbone.frozen.tokenizer.loaded]

    def remember(split: str, make: Callable[[], Tensors]) -> Tensors:
        key = sha256_of_json([*about_it, backbone.family])
        return make() if folder is None else once(folder / "tokens" / f"{key}-{split}.safetensors", make)

    positions = backbone.shape.positions
    return fitted(task, backbone.tokenizer, backbone.family, max_tokens=max_tokens, positions=positions, remember=remember)


def _at_once(split: str, make: Callable[[], Tensors]) -> Tensors:
    return make()


def fitted(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    family: Family,
    *,
    max_tokens: int,
    positions: int | None,
    remember: Callable[[str, Callable[[], Tensors]], Tensors] = _at_once,
) -> Task:
    """Return a task of conversations as a model with so many positions gets it, with notes of what that took; others as they are.

    Raises `WrongInput` where no row of a split is left.
    """
    if not task.train.conversations or family == "encoder":
        return task
    limit = max_tokens if positions is None else min(max_tokens, positions)
    fit, notes = Fit(tokenizer, family, task.template, limit), [about(tokenizer, task.template)]
    parts: dict[str, Rows] = {}
    for split, rows in (("training", task.train), ("validation", task.validation), ("test", task.test)):
        decided = remember(split, partial(fit.decided, rows))
        parts[split] = _kept(rows, decided["kept"].tolist())
        if not len(parts[split]):
            raise WrongInput(
                f"{task.name}: none of {len(rows):,} {split} rows fits into {limit} tokens with its answer; raise task.max_tokens"
            )
        notes += said(split, decided, limit, REWRITTEN if family == "decoder" else ONE_ANSWER)
    train, validation, test = parts.values()
    digest = digest_of(kind=task.kind, labels=(), descriptions=(), metric=task.metric, splits=(train, validation, test))
    return replace(task, train=train, validation=validation, test=test, digest=digest, notes=(*task.notes, *notes))


def _kept(rows: Rows, kept: Sequence[int]) -> Rows:
    if all(one == WHOLE for one in kept):
        return rows
    numbers = [number for number, one in enumerate(kept) if one != LEFT_OUT]
    talks = tuple(_cut(rows.conversations[number], kept[number]) for number in numbers)
    return replace(rows.take(numbers), texts_a=tuple(talk.question for talk in talks), conversations=talks)


def _cut(talk: Conversation, kept: int) -> Conversation:
    return talk if kept == WHOLE else with_passage(talk, talk.passage[:kept])


def said(split: str, decided: Tensors, limit: int, why: str) -> Iterator[str]:
    """Say what was cut and left out of a split, a sentence each."""
    kept, rows = decided["kept"], len(decided["kept"])
    dropped, cut = int((kept == LEFT_OUT).sum()), int((kept >= 0).sum())
    if dropped + cut:
        share = f"{(dropped + cut) / rows:.0%}" if dropped + cut >= rows / 100 else "under 1%"
        what = [f"the end of the passage is cut in {cut:,}, the question never"] * bool(cut)
        what += [f"{dropped:,} are left out, since their answers would be cut; task.max_tokens says how long they may be"] * bool(dropped)
        yield f"{share} of {rows:,} {split} rows are longer than {limit} tokens: {'; '.join(what)}"
    skipped = int(decided["skipped"].sum())
    if skipped:
        yield f"answers in {split} rows that are not learnt, since {why}: {skipped:,}"
