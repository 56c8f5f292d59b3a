"""What travels beside an adapter so that its outputs become labels: the card, the label vectors, and a README with the lines."""

from dataclasses import replace
from pathlib import Path

import safetensors.torch

from ..model.backbone import LOADERS
from ..model.verbalizer import TEMPERATURE, Verbalizer
from .card import LABELS, Card


def write(folder: Path, card: Card, verbalizer: Verbalizer) -> Card:
    """Write the encoder's label vectors (labels, width); returns the card, with the label words of a language model."""
    if card.family != "encoder":
        return replace(card, label_tokens=tuple(verbalizer.words.tolist()))
    safetensors.torch.save_file({"labels": verbalizer.matrix.contiguous()}, folder / LABELS)
    return card


def explain(folder: Path, card: Card) -> None:
    """Write the README."""
    (folder / "README.md").write_text(_readme(card), encoding="utf8")


def _readme(card: Card) -> str:
    lines = {"native": _native(card), "peft": _peft(card), "merged": _merged(card)}[card.format]
    return f"""# {card.method} for {card.task}: {card.trainable_parameters:,} trained parameters

Frozen model: `{card.backbone}`. Trial {card.trial}, seed {card.seed}, labels {", ".join(card.labels)}.

```python
{lines}
```

From outputs to labels:

```python
{_scoring(card)}
```
"""


def _native(card: Card) -> str:
    return 'from ulpt_search.workers.exports import load_export\npredict = load_export(".")\nprint(predict(["some text"]))'


def _peft(card: Card) -> str:
    loader = LOADERS[card.family].__name__
    base = f'"{card.backbone}"'
    return (
        f"from peft import PeftModel\nfrom transformers import {loader}\n"
        f'model = PeftModel.from_pretrained({loader}.from_pretrained({base}), ".").eval()'
    )


def _merged(card: Card) -> str:
    loader = LOADERS[card.family].__name__
    return f'from transformers import {loader}\nmodel = {loader}.from_pretrained(".").eval()'


def _scoring(card: Card) -> str:
    if card.family == "encoder":
        return f"""from safetensors.torch import load_file
hidden = model(**batch).last_hidden_state          # batch: input_ids, attention_mask of the text
text = hidden[:, -batch["input_ids"].shape[1]:]    # the prompt's positions stand in front
mask = batch["attention_mask"][..., None]
vector = torch.nn.functional.normalize((text * mask).sum(1) / mask.sum(1), dim=-1)
scores = vector @ load_file("{LABELS}")["labels"].T / {TEMPERATURE}"""
    tokens = list(card.label_tokens or ())
    if card.family == "encoder-decoder":
        return f"scores = model(**batch, decoder_input_ids=start).logits[:, 0, {tokens}]   # start: one decoder start token a row"
    return f"""# the text ends with "\\nAnswer:"; `last` is the index of its last token, the prompt in front included
scores = model(**batch).logits[range(len(last)), last][:, {tokens}]"""
