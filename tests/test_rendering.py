"""Conversations as tokens: what is learnt, where decoding starts, and what no tokenizer may do to either."""

from typing import Literal

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import Metaspace as MetaspaceDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Metaspace
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.model.rendering import prompt_of, render
from ulpt_search.workers.tasks import Conversation, Turn

from .chats import shown, talk, tokenizer

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHAT = tokenizer(("<|im_start|>", "<|im_end|>", "</s>"), template=CHATML)


def test_every_answer_is_learnt_with_what_ends_it() -> None:
    row = render(CHAT, "decoder", talk("a", "b", "c", "d", system="S"), "auto")
    marked = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b¦<|im_end|>⟧\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    assert shown(CHAT, row) == f"<|im_start|>system\nS<|im_end|>\n{marked}⟦d¦<|im_end|>⟧\n"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "S\n\na\nAnswer:⟦ ¦b¦</s>⟧\nc\nAnswer:⟦ ¦d¦</s>⟧"),
        ("raw", "Sa⟦b¦</s>⟧c⟦d¦</s>⟧"),
        ("{% for m in messages %}[{{ m.content }}]{% endfor %}{{ '[' if add_generation_prompt }}", "[S][a][⟦b¦]⟧[c][⟦d¦]¦</s>⟧"),
    ],
)
def test_without_a_chat_template_the_plain_ones_or_the_users_own(template: str, text: str) -> None:
    assert shown(CHAT, render(CHAT, "decoder", talk("a", "b", "c", "d", system="S"), template)) == text


def test_decoding_starts_with_the_tokens_that_training_began_with() -> None:
    for template in ("auto", "plain", "raw"):
        for said in (talk("a", "b"), talk("a", "b", "c", "d"), talk("a ", " b", "\n", "\n\n")):
            prompt = prompt_of(CHAT, "decoder", said, template)
            row = render(CHAT, "decoder", said, template)
            assert row.ids[: len(prompt)] == prompt
            assert row.trained[len(prompt) - 1 : len(prompt) + 1] == (False, True)
    assert prompt_of(CHAT, "decoder", talk("a"), "auto") == prompt_of(CHAT, "decoder", talk("a", "b"), "auto")


def test_a_tokenizer_that_joins_signs_across_the_border_leaves_both_sides_whole() -> None:
    joins = tokenizer(merges=[("Ċ", "Ċ"), (":", "Ċ")])
    said = Conversation((Turn("user", "q:\n"), Turn("assistant", "\nHi")))
    row, prompt = render(joins, "decoder", said, "raw"), prompt_of(joins, "decoder", said, "raw")
    assert tuple(joins("q:\n")["input_ids"]) == prompt == row.ids[: len(prompt)]
    assert shown(joins, row) == "q:\n⟦\n¦H¦i¦</s>⟧"


def test_an_encoder_decoder_reads_the_question_and_learns_one_answer() -> None:
    ends = tokenizer(adds_eos=True)
    row = render(ends, "encoder-decoder", talk("a", "b"), "auto")
    assert (ends.decode(list(row.ids)), ends.decode(list(row.answer)), any(row.trained)) == ("a</s>", "b</s>", False)
    assert row.ids == prompt_of(ends, "encoder-decoder", talk("a", "b"), "auto")


def test_a_conversation_without_an_answer_is_nothing_to_learn() -> None:
    with pytest.raises(WrongInput, match="must end with an answer"):
        render(CHAT, "decoder", talk("a"), "auto")


def test_a_tokenizer_written_in_python_tells_no_places_and_is_read_alike() -> None:
    signs = ByT5Tokenizer()
    assert not signs.is_fast
    said = talk("é a", "b", "c", "dé", system="S")
    row, prompt = render(signs, "decoder", said, "plain"), prompt_of(signs, "decoder", said, "plain")
    assert row.ids[: len(prompt)] == prompt
    learnt = [token for token, trained in zip(row.ids, row.trained, strict=True) if trained]
    assert signs.decode(learnt) == " b</s> dé</s>"
    assert render(signs, "encoder-decoder", talk("é", "b"), "auto").answer == (ord("b") + 3, 1)


def spaced(*merges: tuple[str, str], scheme: Literal["always", "first"]) -> PreTrainedTokenizerFast:
    """A tokenizer as of SentencePiece: a space is a sign of its own and one is put in front of a text, or of every piece of it."""
    signs = ["</s>", "▁", "\n", *"0123456789=+:abcdefghijklmnopqrstuvwxyzA", *(one + other for one, other in merges)]
    core = Tokenizer(BPE(vocab={sign: number for number, sign in enumerate(signs)}, merges=list(merges)))
    core.pre_tokenizer = Metaspace(prepend_scheme=scheme)
    core.decoder = MetaspaceDecoder(prepend_scheme=scheme)
    core.add_special_tokens([AddedToken("</s>", special=True, normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="</s>")


@pytest.mark.parametrize("scheme", ["always", "first"])
@pytest.mark.parametrize(
    ("template", "asked", "answered", "learnt"),
    [
        ("raw", "2+2= ", "4", ["4", "</s>"]),
        ("raw", "2+2=", " 4", ["▁4", "</s>"]),
        ("raw", "2+2=", "4", ["4", "</s>"]),
        ("plain", "2+2", "4", ["▁4", "</s>"]),
    ],
)
def test_no_space_comes_or_goes_at_the_border(
    scheme: Literal["always", "first"], template: str, asked: str, answered: str, learnt: list[str]
) -> None:
    tokens = spaced(("▁", "4"), scheme=scheme)
    row, prompt = render(tokens, "decoder", talk(asked, answered), template), prompt_of(tokens, "decoder", talk(asked), template)
    assert row.ids[: len(prompt)] == prompt
    if template == "raw":
        assert list(prompt) == tokens(asked)["input_ids"]
    assert tokens.convert_ids_to_tokens(list(row.ids[len(prompt) :])) == learnt
    assert all(row.trained[len(prompt) :])
