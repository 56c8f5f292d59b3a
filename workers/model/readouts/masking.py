"""A gap behind the text: its tokens, where it is, and what is cut so that it is never cut off."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ....spaces.errors import WrongInput
from .in_context import behind
from .label_tree import Tokens

GAP = "{mask}"


@dataclass(frozen=True)
class Gap:
    """What stands behind a text and before the tokenizer's own end of it."""

    tokens: Tokens
    """Of the ending, the mask among them."""
    after: int
    """How many tokens of the row stand behind the mask, the tokenizer's own end among them."""
    closing: int
    """How many of those are the tokenizer's own."""


def gap_of(tokenizer: PreTrainedTokenizerBase, text: str) -> Gap:
    """Return the gap that `text` makes of its `{mask}`; `WrongInput` where the tokenizer has no mask."""
    if tokenizer.mask_token is None:
        raise WrongInput("task.readout: mask, but the tokenizer has no mask token; give a masked language model, or readout: auto")
    tokens = tokenizer(text.replace(GAP, tokenizer.mask_token), add_special_tokens=False)["input_ids"]
    if list(tokens).count(tokenizer.mask_token_id) != 1:
        raise WrongInput(f"task.mask_text: {text!r} makes {list(tokens).count(tokenizer.mask_token_id)} masks, wanted one")
    closing = _closing(tokenizer)
    return Gap(tuple(tokens), len(tokens) - 1 - tokens.index(tokenizer.mask_token_id) + closing, closing)


def _closing(tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens a tokenizer puts behind a text."""
    special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    return next(count for count, mark in enumerate(reversed(special)) if not mark)


def word_tokens(tokenizer: PreTrainedTokenizerBase, text: str, words: Sequence[str]) -> tuple[Tokens, ...]:
    """Return the tokens of every word in the place of the gap."""
    before = text.partition(GAP)[0].rstrip()
    return tuple(tuple(behind(tokenizer, before, word)) for word in words)


def unmasked(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A text in which nothing is read as a mask."""
    mask = str(tokenizer.mask_token)
    return text.replace(mask, mask.strip("[]<>")) if mask in text else text


def with_gap(row: Sequence[int], filling: Sequence[int], gap: Gap) -> list[int]:
    """A tokenised text, or the types of its tokens, with `filling` in front of its closing tokens."""
    cut = len(row) - gap.closing
    return [*row[:cut], *filling, *row[cut:]]
