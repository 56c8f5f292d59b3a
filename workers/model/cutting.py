"""A text that loses its end, token by token, until what it stands in fits."""

from collections.abc import Callable

from transformers import PreTrainedTokenizerBase

TRIES = 8
"""Cuts after which tokens must add up: those at a text's new end may join otherwise than before."""
PAIRS = "of a pair too long the longer text loses its end"


def shortened(tokenizer: PreTrainedTokenizerBase, text: str, excess: Callable[[str], int], *, over: int) -> str | None:
    """Return a beginning of `text` of which `excess`, the number of tokens too many, is none; None where only nothing would do.

    `over` is that of the whole text.
    """
    ends = _ends(tokenizer, text)
    kept = len(ends)
    for _ in range(TRIES):
        kept -= over
        if kept <= 0:
            return None
        tried = text[: ends[kept - 1]].rstrip()
        over = excess(tried)
        if over <= 0:
            return tried
    return None


def pair_ids(tokenizer: PreTrainedTokenizerBase, first: str, second: str | None, glue: str, *, room: int) -> list[int]:
    """Return at most `room` tokens of a text, or of a pair with `glue` between, of which the longer text loses its end.

    A question would be lost with the end of both; where even that is not enough, their end is cut.
    """
    ids = list(tokenizer(first if second is None else f"{first}{glue}{second}", verbose=False)["input_ids"])
    if len(ids) <= room:
        return ids
    if second is None:
        return list(tokenizer(first, truncation=True, max_length=room)["input_ids"])

    def joined(passage: str) -> str:
        return f"{passage}{glue}{second}" if len(first) >= len(second) else f"{first}{glue}{passage}"

    def excess(passage: str) -> int:
        return len(tokenizer(joined(passage), verbose=False)["input_ids"]) - room

    passage = shortened(tokenizer, max(first, second, key=len), excess, over=len(ids) - room)
    text = f"{first}{glue}{second}" if passage is None else joined(passage)
    return list(tokenizer(text, truncation=True, max_length=room)["input_ids"])


def _ends(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Where each token of a text ends, in characters."""
    if not text:
        return []
    if tokenizer.is_fast:
        told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        return [stop for _, stop in told]
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return [min(len(text), len(str(tokenizer.decode(ids[: count + 1])))) for count in range(len(ids))]
