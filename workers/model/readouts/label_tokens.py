"""A label's text as the tokens that a language model would answer with."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from ....spaces.errors import WrongInput
from ....spaces.shape import Family
from .in_context import SUFFIX, behind
from .label_tree import Tokens, begins_another


def label_tokens(tokenizer: PreTrainedTokenizerBase, family: Family, texts: Sequence[str], *, special: bool = True) -> tuple[Tokens, ...]:
    """Return the tokens of every label's text as they stand behind `Answer:`, or as a whole decoder's answer.

    An encoder-decoder's answers are what its tokenizer makes of a target, with its own special tokens unless not `special`.
    Raises `WrongInput` for a text without tokens.
    """
    if family == "encoder-decoder":
        found = [tokenizer(text_target=text, add_special_tokens=special)["input_ids"] for text in texts]
    else:
        found = [behind(tokenizer, SUFFIX, text) for text in texts]
    empty = next((text for text, tokens in zip(texts, found, strict=True) if not tokens), None)
    if empty is not None:
        raise WrongInput(f"task.labels: the tokenizer makes nothing of {empty!r}; write it with other words")
    return tuple(map(tuple, found))


def first_differ(labels: Sequence[Tokens]) -> bool:
    """Whether labels are told apart by their first token."""
    return len({label[0] for label in labels}) == len(labels)


def ended(tokenizer: PreTrainedTokenizerBase, labels: Sequence[Tokens], texts: Sequence[str]) -> tuple[Tokens, ...]:
    """Return the labels, each with the tokenizer's end token where one of them begins another: then no label is part of another.

    Raises `WrongInput` for two labels of the same tokens, and where there is no end token.
    """
    pairs = list(begins_another(labels))
    same = next(((i, j) for i, j in pairs if labels[i] == labels[j]), None)
    if same is not None:
        raise WrongInput(f"task.labels: {texts[same[0]]!r} and {texts[same[1]]!r} are the same tokens to this model; give them other words")
    if not pairs:
        return tuple(labels)
    end = tokenizer.eos_token_id
    if end is None:
        i, j = pairs[0]
        raise WrongInput(f"task.labels: {texts[j]!r} begins with {texts[i]!r} and this tokenizer has no end token; give other words")
    return tuple((*label, int(end)) for label in labels)
