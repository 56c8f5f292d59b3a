"""Where labels are read: of all that a model computes, what an export's scores and its proof rest on.

Never at padding: what a family computes there is its own business and differs between kernels.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...spaces.errors import WrongInput
from ...spaces.shape import Family
from ..model.readouts.cosine import TEMPERATURE
from ..model.readouts.number_words import expected
from ..model.readouts.pair_cosine import similarity
from .card import LABELS, Card
from .outside import tensors_of


def scored(told: Tensor, card: Card) -> Tensor:
    """Label scores (rows, labels) of the log-likelihoods of all tokens of all labels, (rows, labels · width), 0 where there is no token."""
    sizes = torch.tensor([float(len(label)) for label in card.label_sequences or ()])
    total = told.view(len(told), len(sizes), -1).sum(-1)
    return total / sizes if card.scoring == "mean" else total


def read(outputs: Tensor, mask: Tensor, family: Family, places: Tensor | None = None) -> Tensor:
    """Mean hidden state of the text (encoders), or the logits behind its last token, at the first decoder position or at `places` (rows,).

    `outputs` (rows, positions, width or vocabulary) may have a prompt in front of the text; `mask` (rows, tokens) is the text's own,
    padded on the right. Returns (rows, width or vocabulary).
    """
    if family == "encoder-decoder":
        return outputs[:, 0]
    text = outputs[:, -mask.shape[1] :]
    if places is not None:
        return text[torch.arange(len(text)), places]
    if family == "decoder":
        return text[torch.arange(len(text)), mask.sum(1) - 1]
    return (text * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def label_scores(found: Tensor, card: Card, folder: Path) -> Tensor:
    """Label scores (rows, labels) of what `read` returns, or of whole labels' tokens, by what travels with the export.

    Those of a head have been read already.
    """
    if card.pooling is not None:
        return found
    if card.own_choices:
        return found
    if card.writes:
        return found.sum(1, keepdim=True)
    if card.mask is not None:
        scores = torch.stack([found[:, list(label)].mean(1) for label in card.mask_words or ()], 1)
        return scores if card.prior is None else scores - torch.tensor(card.prior)
    if card.family != "encoder":
        scores = found[:, torch.tensor(card.label_tokens)] if card.label_sequences is None else scored(found, card)
        scores = scores if card.prior is None else scores - torch.tensor(card.prior)
        return scores if card.numbers is None else expected(scores, torch.tensor(card.numbers))
    if card.ends is not None:
        return similarity(normalize(found.float(), dim=-1), card.ends)
    held = tensors_of(folder / LABELS)
    if "labels" not in held:
        raise WrongInput(f"{folder / LABELS}: holds no labels; get the export again")
    return normalize(found.float(), dim=-1) @ held["labels"].T / TEMPERATURE
