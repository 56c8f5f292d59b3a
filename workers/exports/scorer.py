"""What travels beside an adapter so that its outputs become labels: label vectors or words, and for sentence-transformers its files."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch

from ..model.readouts.choice import Made
from ..model.readouts.cosine import Cosine
from ..model.readouts.generation import Generation
from ..model.readouts.likelihood import Likelihood
from ..model.readouts.mask import Mask
from ..model.readouts.number_words import NumberWords
from ..model.readouts.pair_cosine import PairCosine
from ..model.readouts.row_choice import RowChoice
from ..model.readouts.words import Words
from .card import LABELS, Card

POOLING = "1_Pooling"


def write(folder: Path, card: Card, readout: Made) -> Card:
    """Write the encoder's label vectors (labels, width); returns the card, with the label words of a language model, or a pair's ends.

    A trial with a head of its own needs neither, nor do written answers.
    """
    if card.pooling is not None or isinstance(readout, Generation):
        return card
    if isinstance(readout, RowChoice):
        return replace(card, own_choices=True, scoring="mean" if readout.asked.mean else "sum")
    if isinstance(readout, NumberWords):
        return write(folder, replace(card, numbers=readout.asked.grid.values), readout.words)
    if isinstance(readout, Words | Likelihood | Mask):
        return _of_words(card, readout)
    if isinstance(readout, PairCosine):
        return _of_pairs(folder, card, readout)
    if not isinstance(readout, Cosine):
        raise TypeError(f"a trial without a head is not read by {type(readout).__name__}")
    matrix = readout.matrix.contiguous()
    safetensors.torch.save_file({"labels": matrix}, folder / LABELS)
    if card.format == "merged":
        sentence_files(folder, ("Normalize",), mode="mean_tokens", width=matrix.shape[1], max_tokens=card.max_tokens)
    return card


def _of_words(card: Card, readout: Words | Likelihood | Mask) -> Card:
    card = replace(card, prior=None if readout.prior is None else tuple(readout.prior.flatten().tolist()))
    if isinstance(readout, Words):
        return replace(card, label_tokens=tuple(readout.words.tolist()))
    if isinstance(readout, Mask):
        return replace(card, mask_words=readout.wording.tokens)
    return replace(card, label_sequences=readout.wording.tokens, scoring=readout.wording.scoring)


def _of_pairs(folder: Path, card: Card, readout: PairCosine) -> Card:
    if card.format == "merged":
        sentence_files(folder, ("Normalize",), mode="mean_tokens", width=readout.width, max_tokens=card.max_tokens)
    return replace(card, ends=readout.ends)


def sentence_files(folder: Path, behind: Sequence[str], *, mode: str, width: int, max_tokens: int) -> None:
    """Tell sentence-transformers how a folder is read: its model, its pooling, and the modules `behind` it.

    Without these files a pipeline would put a random head on the model, and sentence-transformers would guess its pooling.
    """
    (folder / POOLING).mkdir()
    modes = {f"pooling_mode_{each}": each == mode for each in ("cls_token", "mean_tokens", "lasttoken")}
    pooling = {"word_embedding_dimension": width, **modes}
    found = (("", "Transformer"), (POOLING, "Pooling"), *((f"{2 + index}_{kind}", kind) for index, kind in enumerate(behind)))
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(found)
    ]
    _json(folder / POOLING / "config.json", pooling)
    _json(folder / "modules.json", modules)
    _json(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf8")
