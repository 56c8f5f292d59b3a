"""Where labels are read: of all that a model computes, what an export's scores and its proof rest on.

Never at padding: what a family computes there is its own business and differs between kernels.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...spaces.shape import Family
from ..model.readouts.cosine import TEMPERATURE
from .card import LABELS, Card
from .outside import tensors_of


def read(outputs: Tensor, mask: Tensor, family: Family) -> Tensor:
    """Mean hidden state of the text (encoders), or the logits behind its last token or at the first decoder position.

    `outputs` (rows, positions, width or vocabulary) may have a prompt in front of the text; `mask` (rows, tokens) is the text's own,
    padded on the right. Returns (rows, width or vocabulary).
    """
    if family == "encoder-decoder":
        return outputs[:, 0]
    text = outputs[:, -mask.shape[1] :]
    if family == "decoder":
        return text[torch.arange(len(text)), mask.sum(1) - 1]
    return (text * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def label_scores(found: Tensor, card: Card, folder: Path) -> Tensor:
    """Label scores (rows, labels) of what `read` returns, by the label vectors or words that travel with the export."""
    if card.family != "encoder":
        return found[:, torch.tensor(card.label_tokens)]
    return normalize(found.float(), dim=-1) @ tensors_of(folder / LABELS)["labels"].T / TEMPERATURE
