"""Small tokenizers in memory, for the tests of conversations: every sign is a token, and so is every special one."""

from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from ulpt_search.workers.model.rendering import Rendered
from ulpt_search.workers.tasks import Conversation, Turn


def tokenizer(
    special: Sequence[str] = ("</s>",),
    *,
    eos: str | None = "</s>",
    bos: str | None = None,
    adds_bos: bool = False,
    adds_eos: bool = False,
    template: str | None = None,
    merges: Sequence[tuple[str, str]] = (),
) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes, a few merges and special tokens."""
    vocab = {sign: number for number, sign in enumerate(sorted(ByteLevel.alphabet()))}
    for one, other in merges:
        vocab.setdefault(one + other, len(vocab))
    core = Tokenizer(BPE(vocab=vocab, merges=list(merges)))
    core.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in special])
    if adds_bos or adds_eos:
        begin, end = [bos] * adds_bos, [eos] * adds_eos
        marks = [(str(mark), core.token_to_id(str(mark))) for mark in (*begin, *end)]
        core.post_processor = TemplateProcessing(single=[*map(str, begin), "$A", *map(str, end)], special_tokens=marks)
    made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=eos, bos_token=bos, pad_token=eos)
    made.chat_template = template
    return made


def talk(*texts: str, system: str | None = None) -> Conversation:
    """User and assistant by turns."""
    said = [Turn(("user", "assistant")[number % 2], text) for number, text in enumerate(texts)]
    return Conversation((*([] if system is None else [Turn("system", system)]), *said))


def shown(tokens: PreTrainedTokenizerFast, row: Rendered) -> str:
    """The row's text with trained stretches in ⟦ ⟧, and ¦ between the tokens of these."""
    parts, inside = list[str](), False
    for token, trained in zip(row.ids, row.trained, strict=True):
        border = ("⟦" if trained else "⟧") if trained != inside else "¦" if trained else ""
        parts.append(f"{border}{tokens.decode([token])}")
        inside = trained
    return "".join(parts) + "⟧" * inside
