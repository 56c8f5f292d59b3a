"""A word's tokens where it follows a text."""

from transformers import PreTrainedTokenizerBase

SUFFIX = "\nAnswer:"
"""Stands behind a decoder's text: what follows is the answer."""


def behind(tokenizer: PreTrainedTokenizerBase, before: str, word: str) -> list[int]:
    """Tokens of `word` as it follows `before` after a space.

    Read off both together, since some tokenizers begin every text with a token of their own, and some join a space to what follows
    it; where a token would span the border, the word's own with the space in front of it.
    """
    first, both = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, f"{before} {word}"))
    if both[: len(first)] == first and len(both) > len(first):
        return list(both[len(first) :])
    return list(tokenizer(f" {word}", add_special_tokens=False)["input_ids"])
