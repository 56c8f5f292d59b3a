"""An exported adapter's own answers: by our decoding where it runs on our side, by stock `generate` where PEFT holds it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import nn

from ...spaces.errors import WrongInput
from ...spaces.metrics import Metric
from ..catalogue import parts
from ..method import KeysValues, SoftPrompt
from ..model.backbone import Backbone
from ..model.chat_text import chat_text
from ..model.decoding import Decoder
from ..model.pack import Pack
from ..model.readouts.written_rows import prompts_of
from ..model.written_text import text_of
from ..tasks import Conversation, Rows, Turn
from ..training.answer_scoring import likely, right_of
from ..training.trainer import bound_values
from .card import Card
from .stock_process import written

Asked = str | tuple[str, str] | Conversation


def conversations_of(texts: Sequence[Asked], where: object) -> tuple[Conversation, ...]:
    """Return texts as what a user says; `WrongInput` for a pair of texts, to which nothing was ever answered."""
    if any(isinstance(text, tuple) for text in texts):
        raise WrongInput(f"{where}: got a pair of texts, wanted questions, each one text, or a conversation")
    return tuple(text if isinstance(text, Conversation) else Conversation((Turn("user", str(text)),)) for text in texts)


def answers(backbone: Backbone, card: Card, model: nn.Module | None, pack: Pack | None, asked: Sequence[Conversation]) -> Iterator[str]:
    """Yield the answer to each conversation; `model` is a stock PEFT model, `pack` a native adapter, neither a merged model."""
    prompts = prompts_of(backbone, asked, card.template)
    _require_room(backbone, card, asked, prompts)
    if model is None:
        own = Pack([[]], device=backbone.device) if pack is None else pack
        found = Decoder(backbone).write(own, bound_values(own), prompts, card.limits)[0]
    else:
        found = _stock(backbone, card, model, prompts)
    return (text_of(backbone.tokenizer, ids, card.limits) for ids in found)


def _require_room(backbone: Backbone, card: Card, asked: Sequence[Conversation], prompts: Sequence[Sequence[int]]) -> None:
    """Raise `WrongInput` for a question that leaves no room for an answer as long as the adapter may write."""
    methods = () if card.format == "merged" else parts(card.method, card.hyperparameters)
    front = sum(method.length for method in methods if isinstance(method, SoftPrompt | KeysValues))
    for talk, ids in zip(asked, prompts, strict=True):
        longest, answer, room = len(ids) + front, card.limits.tokens, backbone.conventions.room
        needed = longest + answer if backbone.family == "decoder" else max(longest, answer)
        if needed > room:
            raise WrongInput(
                f"predict: the row that asks {talk.question[:40]!r}: {longest} tokens, virtual ones included, and an answer of up to "
                f"{answer} do not fit the model's {room} positions; shorten the row, or leave it out"
            )


def _stock(backbone: Backbone, card: Card, model: nn.Module, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """One prompt at a time by PEFT and `generate`: it pads no rows behind a prompt of its own."""
    from .stock import quiet

    filler = int(backbone.tokenizer.pad_token_id or 0)
    settings: dict[str, Any] = {"tokens": card.limits.tokens, "stops": list(card.stops), "pad": filler}
    with quiet():
        return [written(model, list(prompt), card.family, **settings) for prompt in prompts]


def measured(metric: Metric, rows: Rows, texts: Sequence[str], losses: np.ndarray) -> float:
    """A metric of written answers, or of the right ones' losses (rows, 2), as it is."""
    found = right_of(metric, rows, texts) if metric.decodes else likely(metric, rows, losses)
    return metric.turned(found.value)


def asking_lines(backbone: Backbone, card: Card) -> list[str]:
    """Lines of Python that make `ids`, (1, tokens), of the last probe's conversation up to its answer."""
    assert card.evidence is not None, "taken before anything is written"
    talk = card.evidence.conversations[-1]
    text = chat_text(backbone.tokenizer, card.template, tools=bool(talk.tools))
    said = text.settled(talk)
    turns = said.turns[:-1] if said.turns[-1].role == "assistant" else said.turns
    encodes = card.family == "encoder-decoder"
    given = ["tokenize=False", *(["add_generation_prompt=True"] * (text.own or not encodes))]
    given += [f"tools={json.loads(talk.tools)!r}"] if talk.tools else []
    given += ["chat_template=template"] * (not text.own or text.template != backbone.tokenizer.get_chat_template())
    plain = ["ids = torch.tensor([tokenizer(text)['input_ids']])"]
    if not encodes:
        (prompt,) = prompts_of(backbone, [talk], card.template)
        inside = backbone.tokenizer(text(said, len(turns), asks=True), add_special_tokens=False)["input_ids"]
        start = list(prompt[: len(prompt) - len(inside)])
        before = f"*{start}, " if start else ""
        plain = [f"ids = torch.tensor([[{before}*tokenizer(text, add_special_tokens=False)['input_ids']]])"]
    return [
        f"messages = {[turn.message for turn in turns]!r}",
        *([f"template = {text.template!r}"] * given.count("chat_template=template")),
        f"text = tokenizer.apply_chat_template(messages, {', '.join(given)})",
        *plain,
    ]


def writing_lines(backbone: Backbone, card: Card, *, start: int | None) -> list[str]:
    """Lines of Python that write the answer to `ids` and print it; what PEFT's prompts and prefixes need, `stock_process.written` says."""
    encodes, filler = card.family == "encoder-decoder", int(backbone.tokenizer.pad_token_id or 0)
    methods = parts(card.method, card.hyperparameters) if card.format == "peft" else ()
    prompted = any(isinstance(method, SoftPrompt) for method in methods)
    prefix = next((method.length for method in methods if isinstance(method, KeysValues)), 0)
    settings = [f"max_new_tokens={card.new_tokens}", f"eos_token_id={list(card.stops)}", f"pad_token_id={filler}"]
    settings += [f"decoder_start_token_id={start}"] * encodes + ["use_cache=False"] * prompted
    base, given = "model.get_base_model()" if card.format == "peft" else "model", ["attention_mask=torch.ones_like(ids)"]
    if prefix:
        given = [f"attention_mask=torch.ones(1, {prefix} + ids.shape[1], dtype=torch.long)"]
        given += ["past_key_values=model.get_prompt(batch_size=1)"]
    given += [f"stop_strings={list(card.stop_texts)}", "tokenizer=tokenizer"] if card.stop_texts else []
    return [
        f"greedy = GenerationConfig(do_sample=False, {', '.join(settings)})",
        f"{base}.generation_config = greedy  # nothing of the model's own settings",
        f"found = {base if prefix else 'model'}.generate(input_ids=ids, {', '.join(given)}, generation_config=greedy)",
        f"answer = tokenizer.decode(found[0{'' if encodes else ', ids.shape[1] :'}], skip_special_tokens=True)",
        *(f"answer = answer.partition({stop!r})[0]" for stop in card.stop_texts),
        "print(answer.strip())",
    ]
