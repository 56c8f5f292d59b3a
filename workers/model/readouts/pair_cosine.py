"""Encoders, numbers of pairs: the cosine of the two texts, each read by itself, on the scale of the training rows' numbers.

s = low + (high - low) · cos(u, v)        u, v the means of the texts' hidden states (width); low, high the ends of the training numbers

A cosine of 0 is the lowest number and 1 the highest, as where sentence encoders are fine-tuned on similarities: Reimers & Gurevych 2019,
arXiv 1908.10084.
"""

from typing import ClassVar

import torch
from torch import Tensor

from ...tasks import Task
from ..backbone import Backbone
from .cosine import pooled
from .readout import Pair, Readout
from .texts import Texts


class PairCosine(Readout):
    """`ends` are the lowest and the highest number of the training rows, `width` is that of a text's vector."""

    about: ClassVar[str] = "cosine of the two texts of a pair, each read by itself, from the lowest to the highest training number"

    def __init__(self, backbone: Backbone, task: Task) -> None:
        self._backbone, self.width = backbone, backbone.shape.state_width
        self.ends = (float(min(task.train.labels)), float(max(task.train.labels)))

    def scores(self, texts: Texts) -> Tensor:
        """Numbers (rows, 1) of twice as many texts, a pair's behind each other."""
        hidden = self._backbone.model(**texts.inputs(self._backbone.conventions)).last_hidden_state
        return self.fold(pooled(hidden, fronts=texts.fronts, lengths=texts.lengths))

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """One text's unit vector (1, width) from token ids."""
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | ({} if types is None else {"token_type_ids": types})
        hidden: Tensor = self._backbone.model(**given).last_hidden_state
        nothing = torch.zeros(1, dtype=torch.long, device=ids.device)
        return pooled(hidden, fronts=nothing, lengths=nothing + ids.shape[1])

    def fold(self, read: Tensor) -> Tensor:
        """Numbers (rows, 1) of unit vectors (2 · rows, width)."""
        return similarity(read, self.ends)

    def tokens(self, length: int, *, training: bool) -> int:
        """Of both texts."""
        return 2 * length


def similarity(units: Tensor, ends: tuple[float, float]) -> Tensor:
    """Numbers (rows, 1) of the unit vectors (2 · rows, width) of pairs."""
    first, second = units.unflatten(0, (-1, 2)).unbind(1)
    low, high = ends
    numbers: Tensor = low + (high - low) * (first * second).sum(-1, keepdim=True)
    return numbers
