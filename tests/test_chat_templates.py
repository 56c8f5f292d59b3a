"""Chat templates of ten families and more: what is learnt is exact to the token, and decoding begins where training did."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.model.chat_text import chat_text
from ulpt_search.workers.model.rendering import prompt_of, render
from ulpt_search.workers.tasks import Conversation, Turn

from .chat_templates import CHATS, MARKED, THINKS
from .chats import shown, talk, tokenizer

TALK = talk("a", "b", "c", "d", system="S")


@pytest.mark.parametrize("family", CHATS)
def test_what_is_learnt_is_exact_to_the_token(family: str) -> None:
    chat = CHATS[family]
    row = render(chat.tokenizer, "decoder", TALK, "auto")
    assert shown(chat.tokenizer, row) == chat.shown
    assert row.skipped == 0


@pytest.mark.parametrize("family", CHATS)
def test_the_tokens_are_those_of_the_tokenizers_own_call(family: str) -> None:
    """Of a row that the template takes as it is; GLM's gets an end that it lacks."""
    tokens, said = CHATS[family].tokenizer, talk("a", "b", "c", "d")
    messages = [turn.message for turn in said.turns]
    whole = tokens.apply_chat_template(messages, return_dict=False)
    asked = tokens.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
    row = render(tokens, "decoder", said, "auto")
    assert list(row.ids) == [*whole, *([tokens.eos_token_id] * (family == "glm"))]
    assert list(prompt_of(tokens, "decoder", said, "auto")) == asked == list(row.ids)[: len(asked)]
    assert list(prompt_of(tokens, "decoder", talk("a", "b", "c"), "auto")) == asked


@pytest.mark.parametrize("template", ["auto", "plain", "raw", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"])
@pytest.mark.parametrize("family", [family for family, chat in CHATS.items() if chat.adds_bos])
def test_the_beginning_is_never_doubled(family: str, template: str) -> None:
    """Written by the template, or put in front by the tokenizer; Zephyr's own template writes none, and so its own call has none."""
    tokens = CHATS[family].tokenizer
    ids = render(tokens, "decoder", talk("a", "b"), template).ids
    begun = [place for place, token in enumerate(ids) if token == tokens.bos_token_id]
    assert begun == ([] if (family, template) == ("zephyr", "auto") else [0])


def test_answers_that_look_like_questions_are_found_where_they_stand() -> None:
    tokens = CHATS["chatml"].tokenizer
    text = shown(tokens, render(tokens, "decoder", talk("say b", "b", "", "say b"), "auto"))
    assert text.count("⟦") == 2
    assert "user\nsay b<|im_end|>\n<|im_start|>assistant\n⟦b¦<|im_end|>⟧" in text
    assert text.endswith("⟦s¦a¦y¦ ¦b¦<|im_end|>⟧\n")


def test_a_conversation_may_begin_with_the_assistant() -> None:
    tokens = CHATS["chatml"].tokenizer
    said = Conversation((Turn("assistant", "A"), Turn("user", "q"), Turn("assistant", "B")))
    assert "assistant\n⟦A¦<|im_end|>⟧\n<|im_start|>user\nq" in shown(tokens, render(tokens, "decoder", said, "auto"))


def test_an_answer_that_the_template_rewrites_later_is_not_learnt_and_counted() -> None:
    tokens = tokenizer(("<|im_start|>", "<|im_end|>", "</s>"), template=THINKS)
    row = render(tokens, "decoder", talk("q", "<think>t</think>a", "r", "<think>u</think>b"), "auto")
    text = shown(tokens, row)
    assert row.skipped == 1
    assert "assistant\na<|im_end|>\n" in text
    assert text.endswith("assistant\n⟦<¦t¦h¦i¦n¦k¦>¦u¦<¦/¦t¦h¦i¦n¦k¦>¦b¦<|im_end|>⟧\n")
    assert render(tokens, "decoder", talk("q", "a", "r", "b"), "auto").skipped == 0


def test_what_generation_marks_say_agrees() -> None:
    tokens = tokenizer(("<|im_start|>", "<|im_end|>", "</s>"), template=MARKED)
    messages = [turn.message for turn in TALK.turns]
    told: Any = tokens.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    row = render(tokens, "decoder", TALK, "auto")
    assert list(row.ids) == told["input_ids"]
    assert list(row.trained) == [bool(one) for one in told["assistant_masks"]]


def test_same_roles_in_a_row_are_joined_where_they_must() -> None:
    twice = Conversation((Turn("user", "a"), Turn("user", "b"), Turn("assistant", "c")))
    assert "user\na\n\nb<end_of_turn>" in shown(CHATS["gemma"].tokenizer, render(CHATS["gemma"].tokenizer, "decoder", twice, "auto"))
    assert "user\na<|im_end|>" in shown(CHATS["chatml"].tokenizer, render(CHATS["chatml"].tokenizer, "decoder", twice, "auto"))


SILENT = (
    "{% for m in messages %}{% if m.role != 'system' %}{{ '<' + m.role + '>' + m.content + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
TOOLS = (
    "{% if tools %}{{ 'T' + tools | tojson + '\n' }}{% endif %}{% for m in messages %}{{ '<' + m.role + '>' + m.content }}"
    "{% for c in m.tool_calls or [] %}{{ '[call ' + c.name + ' ' + c.arguments | tojson + ']' }}{% endfor %}{{ '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def test_a_system_turn_that_a_template_would_drop_is_kept() -> None:
    tokens = tokenizer(template=SILENT)
    assert shown(tokens, render(tokens, "decoder", talk("a", "b", system="S"), "auto")).startswith("<user>S\n\na</s>")
    assert shown(tokens, render(tokens, "decoder", talk("S a", "b", system="S"), "auto")).startswith("<user>S\n\nS a</s>")
    middle = Conversation((Turn("user", "a"), Turn("assistant", "b"), Turn("system", "M"), Turn("user", "c"), Turn("assistant", "d")))
    assert "<user>M\n\nc</s>" in shown(tokens, render(tokens, "decoder", middle, "auto"))


def test_a_turn_that_nothing_can_say_is_an_error() -> None:
    tokens = tokenizer(template="{% for m in messages %}{% if m.role in ('user', 'assistant') %}{{ m.content }}</s>{% endif %}{% endfor %}")
    said = Conversation((Turn("user", "a"), Turn("tool", "t"), Turn("assistant", "b")))
    with pytest.raises(WrongInput, match="the chat template leaves out what tool says; change the row, or give task"):
        render(tokens, "decoder", said, "auto")
    with pytest.raises(WrongInput, match="leaves out what tool says"):
        render(tokenizer(), "decoder", said, "plain")
    called = Conversation((Turn("user", "a"), Turn("assistant", "", json.dumps({"tool_calls": [{"name": "f"}]}))))
    with pytest.raises(WrongInput, match="the chat template has no place for tools"):
        render(tokenizer(), "decoder", called, "auto")


def test_a_template_that_refuses_a_beginning_is_told_in_a_line() -> None:
    """The whole is fine, what stands before its first answer is not."""
    asks = "{% if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}{{ raise_exception('no question') }}{% endif %}"
    tokens = tokenizer(template=asks + CHATS["zephyr"].template)
    said = Conversation((Turn("assistant", "A"), Turn("user", "q"), Turn("assistant", "B")))
    with pytest.raises(WrongInput, match="the chat template refuses these turns: no question; change the row, or give task"):
        render(tokens, "decoder", said, "auto")


def test_a_tokenizer_of_several_templates_needs_one_by_default() -> None:
    tokens = tokenizer()
    tokens.chat_template = {"rag": "{{ messages }}"}
    with pytest.raises(WrongInput, match="the tokenizer has several chat templates, and none for this"):
        render(tokens, "decoder", talk("a", "b"), "auto")
    tokens.chat_template = {"default": CHATS["zephyr"].template, "rag": "{{ messages }}"}
    assert shown(tokens, render(tokens, "decoder", talk("a", "b"), "auto")) == "<|user|>\na</s>\n<|assistant|>\n⟦b¦</s>⟧\n"


def test_a_call_is_learnt_as_the_template_writes_it() -> None:
    tokens = tokenizer(template=TOOLS)
    call = json.dumps({"tool_calls": [{"name": "f", "arguments": {"x": None}}]})
    said = Conversation((Turn("user", "a"), Turn("assistant", "", call), Turn("tool", "r"), Turn("assistant", "ok")), '[{"name": "f"}]')
    text = shown(tokens, render(tokens, "decoder", said, "auto"))
    learnt = [part.partition("⟧")[0].replace("¦", "") for part in text.split("⟦")[1:]]
    assert learnt == ['[call f {"x": null}]</s>', "ok</s>"]
    assert text.startswith('T[{"name": "f"}]\n<user>a</s>\n')


def test_what_a_tool_answers_may_be_written_as_json() -> None:
    """As Llama 3.1's template does: quotes and line feeds of the answer are escaped, and nothing is left out."""
    tokens = tokenizer(template="{% for m in messages %}{{ (m.content | tojson if m.role == 'tool' else m.content) + '</s>' }}{% endfor %}")
    turns = (Turn("user", "a"), Turn("assistant", "call tool"), Turn("tool", '{"x": "é\n"}'), Turn("assistant", "b"))
    said = Conversation(turns)
    assert '"{\\"x\\": \\"' in chat_text(tokens, "auto")(chat_text(tokens, "auto").settled(said))


def test_today_is_the_same_day_every_day() -> None:
    dated = "{{ 'Today: ' + strftime_now('%d %b %Y') + '\n' }}" + CHATS["zephyr"].template
    tokens = tokenizer(template=dated)
    before = render(tokens, "decoder", talk("a", "b"), "auto")
    assert f"{tokens.decode(list(before.ids))}".startswith("Today: 26 Jul 2024\n")
    stock = tokens.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
    assert "26 Jul 2024" not in stock


@pytest.mark.parametrize("adds_eos", [False, True])
@pytest.mark.parametrize("written", ["b", "b</s>"])
def test_an_answer_ends_once_whatever_tokenizer_and_file_do(adds_eos: bool, written: str) -> None:
    tokens = tokenizer(adds_eos=adds_eos)
    for template in ("plain", "raw"):
        row = render(tokens, "decoder", talk("a", written), template)
        assert [token for token, trained in zip(row.ids, row.trained, strict=True) if trained].count(tokens.eos_token_id) == 1
        assert tokens.eos_token_id not in prompt_of(tokens, "decoder", talk("a"), template)
    both = render(tokens, "encoder-decoder", talk("a", written), "auto")
    assert tokens.decode(list(both.answer)) == "b</s>"


def test_padding_and_end_may_be_one_token() -> None:
    tokens = tokenizer()
    assert tokens.pad_token_id == tokens.eos_token_id
    assert render(tokens, "decoder", talk("a", "b"), "auto").trained[-1]


def test_a_template_that_is_none_and_a_tokenizer_that_has_none_are_refused() -> None:
    with pytest.raises(WrongInput, match=r"task\.template: chat, but this tokenizer has no chat template"):
        render(tokenizer(), "decoder", talk("a", "b"), "chat")
    with pytest.raises(WrongInput, match=r"task\.template: 'plian' is no template; wanted auto, chat, plain, raw"):
        render(tokenizer(), "decoder", talk("a", "b"), "plian")
    with pytest.raises(WrongInput, match=r"task\.template: plain ends an answer with the end token, and this tokenizer has none"):
        render(tokenizer(("</s>",), eos=None), "decoder", talk("a", "b"), "auto")


SIGNS = st.text(alphabet="ab \n.:é<", min_size=1, max_size=6)
SAID = SIGNS.filter(lambda text: bool(text.strip()))
MERGES = (("Ċ", "Ċ"), (":", "Ċ"), ("Ġ", "a"), ("a", "b"), (".", "Ċ"), ("Ġ", "Ġ"), ("Ċ", "a"))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*CHATS, "plain", "raw"]), st.lists(st.tuples(SAID, SAID), min_size=1, max_size=3))
def test_whatever_is_said_the_prompt_is_decodings_and_the_text_is_the_templates(name: str, pairs: list[tuple[str, str]]) -> None:
    chat = CHATS.get(name)
    special = () if chat is None else tuple(dict.fromkeys((*chat.special, chat.eos, *([chat.bos] if chat.bos else []))))
    tokens = tokenizer((*special, "</s>"), eos=chat.eos if chat else "</s>", bos=chat.bos if chat else None, merges=MERGES)
    tokens.chat_template = chat.template if chat else None
    said = talk(*(text for pair in pairs for text in pair))
    template = name if chat is None else "auto"
    row, prompt = render(tokens, "decoder", said, template), prompt_of(tokens, "decoder", said, template)
    assert row.ids[: len(prompt)] == prompt
    learnt = [place for place, trained in enumerate(row.trained) if trained]
    assert learnt[-1] >= len(prompt)
    assert row.trained[len(prompt)]
    text = chat_text(tokens, template)(said)
    assert tokens.decode(list(row.ids), skip_special_tokens=False) == text + "<|endoftext|>" * (name == "glm")
    answer = f"{tokens.decode([token for token, trained in zip(row.ids, row.trained, strict=True) if trained], skip_special_tokens=False)}"
    assert all(reply.strip() in answer for _, reply in pairs)
    assert row.skipped == 0
