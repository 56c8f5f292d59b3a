"""A conversation as tokens, with the ones marked that are learnt: every answer, and the token that ends it.

Three texts are rendered: the whole, the prompt before the last answer, and a stand-in for the answer, which shows what closes it. The
prompt's tokens are those that decoding will see. Where they are not the beginning of the whole's, since the tokenizer joins signs
across the border, the answer is tokenised behind them. Earlier answers are found by the places of characters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ...spaces.errors import WrongInput
from ...spaces.shape import Family
from ..tasks.conversation import ASSISTANT, Conversation
from .chat_text import ChatText, chat_text

ANCHORS = (":", "\n", ".", "a")
"""Behind one of these a text has the tokens that it has inside a longer one."""


@dataclass(frozen=True)
class Rendered:
    """One row as a model gets it."""

    ids: tuple[int, ...]
    """A decoder's whole conversation; of an encoder-decoder what stands before the last answer."""
    trained: tuple[bool, ...]
    """Which of `ids` the loss is on; none of an encoder-decoder's."""
    answer: tuple[int, ...] = ()
    """What an encoder-decoder's decoder learns, the end token included."""
    skipped: int = 0
    """Answers that are not learnt: the template writes them in another way once the conversation has gone on."""


@dataclass(frozen=True)
class _Answer:
    """Where an answer stands in a text: from its first character to behind what ends it."""

    start: int
    stop: int
    ended: bool
    """Whether a special token ends it."""


def render(tokenizer: PreTrainedTokenizerBase, family: Family, conversation: Conversation, template: str) -> Rendered:
    """Return a conversation that ends with an answer as tokens; `WrongInput` where the template cannot say it."""
    text = chat_text(tokenizer, template, tools=bool(conversation.tools))
    said = text.settled(conversation)
    if not said.turns or said.turns[-1].role != ASSISTANT:
        raise WrongInput("a conversation must end with an answer of the assistant")
    if family != "encoder-decoder":
        return _decoded(text, said)
    asked = _asked(text, said)
    return Rendered(asked, (False,) * len(asked), _target(tokenizer, said.turns[-1].text), skipped=len(said.answers) - 1)


def prompt_of(tokenizer: PreTrainedTokenizerBase, family: Family, conversation: Conversation, template: str) -> tuple[int, ...]:
    """Return the tokens of everything before the last answer, and of what the template has an answer follow: where decoding starts.

    A conversation that ends with no answer is taken whole. For one that `render` takes, they are the beginning of what it returns.
    """
    text = chat_text(tokenizer, template, tools=bool(conversation.tools))
    said = text.settled(conversation)
    return _asked(text, said) if family == "encoder-decoder" else _before(text, _prompt(text, said))


def _decoded(text: ChatText, said: Conversation) -> Rendered:
    whole, prompt = text(said), _prompt(text, said)
    _, close = text.around(said, len(said.turns) - 1)
    answer = whole[len(prompt) :] if whole.startswith(prompt) else said.turns[-1].text + close
    last = _found(text.tokenizer, answer, close)
    head = _before(text, prompt)
    tail = _tail(text, prompt, head, answer[: last.stop])
    rest = () if last.ended else (_end(text.tokenizer),)
    behind = answer[last.stop :] if last.ended else ""
    after = _behind(text.tokenizer, answer[: last.stop], behind) if behind else ()
    earlier = [one for one in _earlier(text, said, whole) if one is not None]
    skipped = len(said.answers) - 1 - len(earlier)
    marks = _marks(text, prompt, head, earlier)
    ids = (*head, *tail, *rest, *after)
    return Rendered(ids, (*marks, *(True,) * len((*tail, *rest)), *(False,) * len(after)), skipped=skipped)


def _prompt(text: ChatText, said: Conversation) -> str:
    answered = said.turns[-1].role == ASSISTANT
    return text(said, len(said.turns) - answered, asks=True)


def _found(tokenizer: PreTrainedTokenizerBase, answer: str, close: str) -> _Answer:
    """Where an answer at the end of a text ends: with the first special token of what closes it, else with its last sign."""
    if not close:
        return _Answer(0, len(answer), False)
    if not answer.endswith(close):
        kept = answer.rstrip()
        return _Answer(0, len(kept), any(kept.endswith(mark) for mark in tokenizer.get_added_vocab()))
    marks = [(close.find(mark), len(mark)) for mark in tokenizer.get_added_vocab() if mark in close]
    place, size = min(marks, key=lambda one: (one[0], -one[1])) if marks else (len(close.rstrip()), 0)
    return _Answer(0, len(answer) - len(close) + place + size, bool(marks))


def _earlier(text: ChatText, said: Conversation, whole: str) -> Iterator[_Answer | None]:
    """The answers before the last, None for one that the whole text does not have as it was said."""
    for number in said.answers[:-1]:
        prompt, alone = text(said, number, asks=True), text(said, number + 1)
        found = _found(text.tokenizer, alone[len(prompt) :], text.around(said, number)[1])
        stop = len(prompt) + found.stop
        if not (alone.startswith(prompt) and whole.startswith(alone[:stop])):
            yield None
        elif found.ended:
            yield _Answer(len(prompt), stop, True)
        else:  # then what ends it is the mark of who speaks next, if anything is
            marks = [mark for mark in text.tokenizer.get_added_vocab() if whole.startswith(mark, stop)]
            yield _Answer(len(prompt), stop + max(map(len, marks), default=0), bool(marks))


def _marks(text: ChatText, prompt: str, head: Sequence[int], earlier: Sequence[_Answer]) -> tuple[bool, ...]:
    """Which tokens of the prompt are of earlier answers; one that reaches over a border is of the answer."""
    if not earlier:
        return (False,) * len(head)
    started = len(head) - len(_plain(text.tokenizer, prompt))
    ranges = _ranges(text.tokenizer, prompt)
    inside = tuple(any(start < one.stop and stop > one.start for one in earlier) for start, stop in ranges)
    return (*(False,) * started, *inside)


def _ranges(tokenizer: PreTrainedTokenizerBase, text: str) -> list[tuple[int, int]]:
    """The characters that each token stands for."""
    if not tokenizer.is_fast:
        ends = [len(tokenizer.decode(_plain(tokenizer, text)[:count])) for count in range(1, len(_plain(tokenizer, text)) + 1)]
        return list(zip([0, *ends], ends, strict=False))
    told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    following = [start for start, _ in told[1:]] + [len(text)]
    return [(start, stop if stop > start else after) for (start, stop), after in zip(told, following, strict=True)]


def _before(text: ChatText, prompt: str) -> tuple[int, ...]:
    """A decoder's prompt: behind what its tokenizer puts in front of any text, unless the template writes that."""
    ids = _plain(text.tokenizer, prompt)
    start = () if text.own else _start(text.tokenizer)
    return tuple(ids) if tuple(ids[: len(start)]) == start else (*start, *ids)


def _start(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What the tokenizer puts in front of a text: its BOS, or nothing."""
    first = tokenizer("a")["input_ids"][:1]
    return tuple(first) if first and first[0] == tokenizer.bos_token_id else ()


def _tail(text: ChatText, prompt: str, head: Sequence[int], answer: str) -> tuple[int, ...]:
    """The answer's tokens as they follow the prompt's."""
    whole = _before(text, prompt + answer)
    if whole[: len(head)] == tuple(head) and len(whole) > len(head):
        return whole[len(head) :]
    return _behind(text.tokenizer, "", answer)


def _behind(tokenizer: PreTrainedTokenizerBase, before: str, text: str) -> tuple[int, ...]:
    """The tokens of a text inside a longer one."""
    for anchor in (before, *ANCHORS):
        first, both = _plain(tokenizer, anchor), _plain(tokenizer, anchor + text)
        if first and both[: len(first)] == first:
            return tuple(both[len(first) :])
    return tuple(_plain(tokenizer, text))


def _plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []


def _end(tokenizer: PreTrainedTokenizerBase) -> int:
    if tokenizer.eos_token_id is None:
        raise WrongInput("this tokenizer has no end token, so no answer could be learnt to end; give one with an eos_token")
    return int(tokenizer.eos_token_id)


def _asked(text: ChatText, said: Conversation) -> tuple[int, ...]:
    """What an encoder reads: an own template's prompt, else the texts without a word that asks for an answer."""
    count = len(said.turns) - (said.turns[-1].role == ASSISTANT)
    ids = tuple(text.tokenizer(text(said, count, asks=text.own), verbose=False)["input_ids"])
    start = _start(text.tokenizer)
    return ids[1:] if start and ids[:2] == start * 2 else ids


def _target(tokenizer: PreTrainedTokenizerBase, answer: str) -> tuple[int, ...]:
    """An encoder-decoder's answer, with one end token behind it."""
    ids = list(tokenizer(text_target=answer, verbose=False)["input_ids"])
    return tuple(ids) if ids and ids[-1] == tokenizer.eos_token_id else (*ids, _end(tokenizer))
