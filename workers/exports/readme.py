"""The README of an export: lines that run as they stand, by the libraries that its reader has."""

from pathlib import Path

from ..model.backbone import Backbone
from ..model.readouts.cosine import TEMPERATURE
from ..model.readouts.encoding import SUFFIX
from ..model.readouts.masking import GAP
from ..model.text_part import KEYS
from . import few_bits
from .card import LABELS, Card
from .stock_process import DENSE
from .writing import asking_lines, writing_lines

LOADERS = {
    "encoder": "AutoModel",
    "decoder": "AutoModelForCausalLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
    "masked": "AutoModelForMaskedLM",
}
HERE = 'HERE = "."  # edit: the folder of this README, unless you are in it'


def write(folder: Path, card: Card, backbone: Backbone | None = None, *, start: int | None = None) -> None:
    """Write the README; `start` is the token with which an encoder-decoder begins, `backbone` the frozen model of written answers."""
    stock = _written(card, backbone, start) if card.writes and backbone is not None else _stock(card, start)
    blocks = [_native(card) if card.format == "native" else stock]
    pairs = card.evidence is not None and card.evidence.texts[-1][1] is not None
    if card.format == "merged" and card.kind == "encoder" and not card.is_class and not (card.pooling and (pairs or _alone(card))):
        blocks.append(_sentences(card))
    lines = "\n".join(f"```python\n{block}\n```\n" for block in blocks)
    note = f"\nThis adapter {card.evidence.note}.\n" if card.evidence and card.evidence.note else ""
    (folder / "README.md").write_text(f"{_heading(card)}{note}\n{lines}\n{_FOOT}", encoding="utf8")


_FOOT = "`ulpt-search verify DIR` proves that this folder still does what the trained adapter did.\n"


def _heading(card: Card) -> str:
    return f"""# {card.method} for {card.task}: {card.trainable_parameters:,} trained parameters

Frozen model: `{card.base_name}`{few_bits.heading(card)}. Trial {card.trial}, seed {card.seed}, {_asked(card)}.
"""


def _asked(card: Card) -> str:
    if card.writes:
        return "answers in writing"
    if card.answers.kind == "regression":
        return f"a number, {card.answers.units[0]:.3g} in the mean of the training rows"
    return f"{'any of the ' if card.answers.kind == 'multi_label' else ''}labels {', '.join(card.labels)}"


def _alone(card: Card) -> bool:
    """Whether each row has no one label."""
    return card.answers.kind in ("regression", "multi_label")


def _native(card: Card) -> str:
    model = "" if card.hub is None else "  # finds the frozen model by itself"
    return f"""from ulpt_search.workers.exports import load_export

{HERE}
predict = load_export(HERE){model or '  # model="...", where the frozen model has moved'}
(answer,) = predict([{_texts(card)}]{_own(card)})
print({_shown(card)})"""


def _shown(card: Card) -> str:
    """What of an answer is printed."""
    shown = {"generation": 'answer["answer"]', "regression": 'answer["number"]', "multi_label": 'answer["labels"]'}
    return shown.get(card.answers.kind, 'answer["label"], answer["probability"]')


def _written(card: Card, backbone: Backbone, start: int | None) -> str:
    """Load the model, ask it something, write its answer."""
    loader = LOADERS[card.kind]
    imports = ["import torch", *(["from peft import PeftModel"] if card.format == "peft" else [])]
    imports += _transformers(card, loader, "GenerationConfig")
    lines = [*asking_lines(backbone, card), *writing_lines(backbone, card, start=start)]
    return "\n".join([*imports, "", HERE, *_model(card, loader), *lines])


def _stock(card: Card, start: int | None) -> str:
    """Load the model, tokenise one text, score its labels."""
    loader = "AutoModelForSequenceClassification" if card.is_class else LOADERS[card.kind]
    imports = ["import torch"]
    imports += ["from peft import PeftModel"] if card.format == "peft" else []
    imports += ["from safetensors.torch import load_file"] if card.kind == "encoder" and not card.is_class and card.ends is None else []
    imports += _transformers(card, loader)
    names = "choices" if card.own_choices else repr(list(card.labels))
    lines = [*imports, "", HERE, *_model(card, loader), *_scoring(card, start)]
    if card.answers.kind == "regression":
        return "\n".join([*lines, "print(round(scores.item(), 4))"])
    if card.answers.kind == "multi_label":
        return "\n".join([*lines, f"names = {names}", "print([name for name, score in zip(names, scores) if score > 0])"])
    return "\n".join([*lines, f"names = {names}", "print(names[scores.argmax()], round(scores.softmax(-1).max().item(), 4))"])


def _transformers(card: Card, loader: str, *more: str) -> list[str]:
    """Lines that import what loads the model."""
    names = ["AutoConfig"] * _parted(card) + [loader, "AutoTokenizer", *few_bits.imported(card), *more]
    return [f"from transformers import {', '.join(names)}", *few_bits.imports(card)]


def _model(card: Card, loader: str) -> list[str]:
    tokenizer = "tokenizer = AutoTokenizer.from_pretrained(HERE)"
    if card.format == "merged":
        return [f"model = {loader}.from_pretrained(HERE, dtype=torch.float32).eval()", tokenizer]
    if card.hub is not None:
        base = f"BASE, REVISION = {card.hub!r}, {card.revision!r}"
    else:
        base = f"BASE, REVISION = {card.backbone!r}, None  # edit: the folder of the frozen model, unless you are in this one"
    classes = f", num_labels={card.outputs}" if card.is_class else ""
    loaded = f"{loader}.from_pretrained(BASE, revision=REVISION, dtype=torch.float32{classes})"
    base += few_bits.settings(card)
    loaded = loaded.removesuffix(")") + f"{few_bits.placed(card)})"
    if _parted(card):
        base += "\n" + _PART + (_PART_BITS if card.holds_bits else "") + (f"\ntext.num_labels = {card.outputs}" if card.is_class else "")
        mapped = f"config=text, key_mapping={dict(KEYS)!r}, dtype=torch.float32{few_bits.placed(card)}"
        loaded = f"{loader}.from_pretrained(BASE, revision=REVISION, {mapped})"
    return [
        base,
        f"model = PeftModel.from_pretrained({loaded}, HERE).eval()",
        *few_bits.behind(card),
        tokenizer,
    ]


def _parted(card: Card) -> bool:
    """Whether the lines have to find the text part of a multimodal model first."""
    return card.part and card.format == "peft"


_PART = """whole = AutoConfig.from_pretrained(BASE, revision=REVISION)
text = whole.get_text_config()  # the adapter belongs to the part that reads text
text.tie_word_embeddings = whole.tie_word_embeddings"""
_PART_BITS = "\ntext.quantization_config = whole.quantization_config"


def _scoring(card: Card, start: int | None) -> list[str]:
    """Lines that end with `scores` (labels,)."""
    cut = f"truncation=True, max_length={card.max_tokens}"
    words = list(card.label_tokens or ())
    if card.pooling is not None:
        return _head_scoring(card, cut)
    prior = "" if card.prior is None else f" - torch.tensor({[round(value, 5) for value in card.prior]})"
    if card.mask is not None:
        return [*_masked(card), f"scores = torch.stack([at_mask[word].mean() for word in words]){prior}"]
    if card.ends is not None:
        return _pair_scoring(card, cut)
    if card.family == "encoder":
        return [
            f'batch = tokenizer({_texts(card, pair=True)}, {cut}, return_tensors="pt")',
            "with torch.no_grad():",
            "    hidden = model(**batch).last_hidden_state[0]",
            'mean = hidden[-batch["input_ids"].shape[1] :].mean(0)  # a prompt stands in front of the text',
            f'labels = load_file(f"{{HERE}}/{LABELS}")["labels"]',
            f"scores = labels @ torch.nn.functional.normalize(mean, dim=-1) / {TEMPERATURE}",
        ]
    if card.own_choices:
        return [*_input(card, cut), *_choices(card, start), "scores = torch.stack([score(tokens(choice)) for choice in choices])"]
    if card.label_sequences is not None:
        weighed = [] if card.numbers is None else [f"scores = scores.softmax(-1) @ torch.tensor({list(card.numbers)})  # the expected one"]
        scores = f"scores = torch.stack([score(label) for label in labels]){prior}"
        return [*_input(card, cut), *_whole_labels(card, start), scores, *weighed]
    if card.family == "encoder-decoder":
        return [
            f'batch = tokenizer({_texts(card, glue=" ")}, {cut}, return_tensors="pt")',
            "with torch.no_grad():",
            f"    logits = model(**batch, decoder_input_ids=torch.tensor([[{start}]])).logits[0, 0]",
            f"scores = logits[{words}]{prior}  # the tokens that stand for the labels",
        ]
    return [
        *_input(card, cut),
        "with torch.no_grad():",
        "    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]",
        f"scores = logits[{words}]{prior}  # the tokens that stand for the labels",
    ]


def _pair_scoring(card: Card, cut: str) -> list[str]:
    """Lines that put the number on a pair's cosine."""
    low, high = card.ends or (0.0, 1.0)
    return [
        "",
        "def vector(text):",
        f'    batch = tokenizer(text, {cut}, return_tensors="pt")',
        "    with torch.no_grad():",
        "        hidden = model(**batch).last_hidden_state[0]",
        '    return hidden[-batch["input_ids"].shape[1] :].mean(0)  # a prompt stands in front of the text',
        "",
        f"first, second = {_texts(card, pair=True)}",
        "cosine = torch.nn.functional.cosine_similarity(vector(first), vector(second), dim=0)",
        f"scores = {low} + {high - low} * cosine",
    ]


def _masked(card: Card) -> list[str]:
    """Lines that put the mask behind one text and end with `at_mask` (vocabulary,)."""
    before, _, after = str(card.mask).partition(GAP)
    return [
        f"gap = tokenizer({before!r} + tokenizer.mask_token + {after!r}, add_special_tokens=False)['input_ids']",
        f"room = {card.max_tokens} - len(gap)",
        f"text = tokenizer({_texts(card, pair=True)}, truncation=True, max_length=room, return_special_tokens_mask=True)",
        'special = text.pop("special_tokens_mask")',
        "cut = max(place for place, mark in enumerate(special) if not mark) + 1  # before what the tokenizer puts behind a text",
        'filling = {"input_ids": gap, "attention_mask": [1] * len(gap)}',
        "rows = {",
        "    name: [*row[:cut], *filling.get(name, [row[cut - 1]] * len(gap)), *row[cut:]]",
        "    for name, row in text.items()",
        "}",
        "with torch.no_grad():",
        "    logits = model(**{name: torch.tensor([row]) for name, row in rows.items()}).logits[0]",
        'ids = rows["input_ids"]',
        "at_mask = logits[-len(ids) :][ids.index(tokenizer.mask_token_id)]  # a prompt stands in front of the text",
        f"words = {[list(word) for word in card.mask_words or ()]}  # the tokens of each label word",
    ]


def _head_scoring(card: Card, cut: str) -> list[str]:
    """The same by a head: a stock class's logits, or what stands behind sentence-transformers' pooling."""
    batch = f'batch = tokenizer({_texts(card, pair=True)}, {cut}, return_tensors="pt")'
    if card.is_class and card.family == "encoder":
        return [batch, "with torch.no_grad():", "    scores = model(**batch).logits[0]"]
    if card.is_class:
        return [*_input(card, cut), "with torch.no_grad():", "    scores = model(input_ids=ids).logits[0]"]
    place = {"mean": ".mean(0)", "first": "[0]", "last": "[-1]"}[card.pooling or "mean"]
    return [
        batch,
        "with torch.no_grad():",
        f"    pooled = model(**batch).last_hidden_state[0]{place}",
        f'head = load_file(f"{{HERE}}/{DENSE}")',
        'scores = head["linear.weight"] @ pooled + head["linear.bias"]',
    ]


def _input(card: Card, cut: str) -> list[str]:
    """Lines that make a language model's input of one text."""
    if card.family == "encoder-decoder":
        return [f'batch = tokenizer({_texts(card, glue=" ")}, {cut}, return_tensors="pt")']
    return [
        f"end = tokenizer({SUFFIX!r}, add_special_tokens=False)",
        f'room = {card.max_tokens} - len(end["input_ids"])',
        f'ids = tokenizer({_texts(card, glue=chr(10))}, truncation=True, max_length=room)["input_ids"]',
        'ids = torch.tensor([[*(ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids), *end["input_ids"]]])',
    ]


def _whole_labels(card: Card, start: int | None) -> list[str]:
    """Lines that define `score(label)`: the log-likelihood of all of a label's tokens."""
    fold = "mean" if card.scoring == "mean" else "sum"
    if card.family == "encoder-decoder":
        logits = f"model(**batch, decoder_input_ids=torch.tensor([[{start}, *label[:-1]]])).logits[0]"
    else:
        logits = "model(input_ids=whole, attention_mask=torch.ones_like(whole)).logits[0, -len(label) :]"
    whole = [] if card.family == "encoder-decoder" else ["    whole = torch.cat([ids, torch.tensor([label[:-1]], dtype=ids.dtype)], 1)"]
    given = [f"labels = {[list(label) for label in card.label_sequences]}  # the tokens of each label"] if card.label_sequences else []
    return [
        *given,
        "",
        "def score(label):",
        *whole,
        "    with torch.no_grad():",
        f"        logits = {logits}",
        f"    return logits.log_softmax(-1).gather(-1, torch.tensor(label)[:, None]).{fold}()",
        "",
    ]


def _choices(card: Card, start: int | None) -> list[str]:
    """Lines that define `choices` of one text, `tokens(choice)` and `score(tokens)`."""
    if card.family == "encoder-decoder":
        tokens = ['    return tokenizer(text_target=choice)["input_ids"]']
    else:
        tokens = [
            f'    whole = tokenizer({SUFFIX!r} + " " + choice, add_special_tokens=False)["input_ids"]',
            '    first = end["input_ids"]',
            "    joined = whole[: len(first)] == first",
            '    return whole[len(first) :] if joined else tokenizer(" " + choice, add_special_tokens=False)["input_ids"]',
        ]
    own = card.evidence.choices[-1] if card.evidence else ("one", "another")
    return [*_whole_labels(card, start), "def tokens(choice):", *tokens, "", f"choices = {list(own)!r}"]


def _own(card: Card) -> str:
    """The choices of the text that `_texts` shows, as an argument; nothing where labels are the task's."""
    return f", [{list(card.evidence.choices[-1])!r}]" if card.evidence and card.own_choices else ""


def _sentences(card: Card) -> str:
    if card.ends is not None:
        return f"""from sentence_transformers import SentenceTransformer

{HERE}
model = SentenceTransformer(HERE, model_kwargs={{"dtype": "float32"}})
first, second = model.encode([{_texts(card, pair=True)}])
print(round(float({card.ends[0]} + {card.ends[1] - card.ends[0]} * (first @ second)), 4))"""
    if card.pooling is not None:
        return f"""from sentence_transformers import SentenceTransformer

{HERE}
scores = SentenceTransformer(HERE).encode({_texts(card, glue=" ")}, convert_to_tensor=True).cpu()
names = {list(card.labels)!r}
print(names[scores.argmax()], round(scores.softmax(-1).max().item(), 4))"""
    return f"""import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

{HERE}
model = SentenceTransformer(HERE, model_kwargs={{"dtype": torch.float32}})
vector = model.encode({_texts(card, glue=" ")}, convert_to_tensor=True).cpu()
scores = load_file(f"{{HERE}}/{LABELS}")["labels"] @ vector / {TEMPERATURE}
names = {list(card.labels)!r}
print(names[scores.argmax()], round(scores.softmax(-1).max().item(), 4))"""


def _texts(card: Card, *, pair: bool = False, glue: str = "") -> str:
    """The longest probe text as Python writes it: two strings for a tokenizer (`pair`), joined by `glue`, or one value."""
    a, b = card.evidence.texts[-1] if card.evidence else ("some text", None)
    if b is None:
        return repr(a)
    return f"{a!r}, {b!r}" if pair else repr(f"{a}{glue}{b}") if glue else repr((a, b))
