"""A split of conversations as tokens: what a model reads, what it is trained on, and what it is asked."""

from collections.abc import Sequence

from ....spaces.errors import WrongInput
from ...tasks import Conversation
from ..backbone import Backbone
from ..rendering import Rendered, prompt_of, render
from .answer_tokens import AnswerTokens, answer_tokens, told_by


def written_rows(backbone: Backbone, conversations: Sequence[Conversation], template: str) -> tuple[list[tuple[int, ...]], AnswerTokens]:
    """Return each row's tokens and its answer tokens; `WrongInput` names a row that has none."""
    rows = [render(backbone.tokenizer, backbone.family, one, template) for one in conversations]
    answers = answer_tokens([_answer(row) for row in rows])
    empty = next((number for number, count in enumerate(answers.counts) if not count), None)
    if empty is not None:
        raise WrongInput(f"task: the tokenizer makes nothing of the answer to {conversations[empty].question[:60]!r}; leave the row out")
    return [row.ids for row in rows], answers


def prompts_of(backbone: Backbone, conversations: Sequence[Conversation], template: str) -> list[tuple[int, ...]]:
    """Return the tokens behind which each conversation's last answer is written."""
    return [prompt_of(backbone.tokenizer, backbone.family, one, template) for one in conversations]


def _answer(row: Rendered) -> tuple[Sequence[int], Sequence[int]]:
    """Answer tokens and places."""
    return (row.answer, range(len(row.answer))) if row.answer else told_by(row.ids, row.trained)
