"""Where written answers end, and their text."""

from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

from ...spaces.space import Decoding
from .backbone import Backbone
from .decoding import Limits
from .readouts.encoding import Encoded


def limits_of(backbone: Backbone, asked: Decoding, trained: Encoded) -> Limits:
    """Return where answers end, given the training rows: their last answer tokens are what the template ends answers with.

    Without a limit of its own an answer is as long as the longest last one of theirs, for only a conversation's last is written.
    """
    assert trained.answers is not None, "every split of such a task has answers"
    ends = {int(token) for token in trained.answers.tokens[trained.answers.offsets[1:] - 1]}
    longest = asked.max_new_tokens or int(trained.answers.last.max())
    return Limits(longest, frozenset(ends | stop_tokens(backbone)), asked.stop)


def stop_tokens(backbone: Backbone) -> set[int]:
    """The tokens that end a text by the model's configurations or its tokenizer: all of them."""
    model, found = backbone.model, set[int]()
    for named in (getattr(model, "generation_config", None), model.config, backbone.tokenizer):
        own = getattr(named, "eos_token_id", None)
        found |= {int(own)} if isinstance(own, int) else {int(token) for token in own or ()}
    return found


def text_of(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], limits: Limits) -> str:
    """Return the text of new tokens: up to a stop, without what begins, ends and fills texts, no space around it.

    Other special tokens, as those of thinking or of a tool's call, are text.
    """
    silent = {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, *limits.stops}
    end = next((place for place, token in enumerate(ids) if token in limits.stops), len(ids))
    text = tokenizer.decode([token for token in ids[:end] if token not in silent], clean_up_tokenization_spaces=False)
    return _before(str(text), limits.texts).strip()


def _before(text: str, marks: Iterable[str]) -> str:
    """A text up to the first of some marks."""
    places = [place for mark in marks if (place := text.find(mark)) >= 0]
    return text[: min(places, default=len(text))]
