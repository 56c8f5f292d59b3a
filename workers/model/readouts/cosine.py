"""Encoders: cosine between the mean-pooled text and each label's description, both by the frozen model, over a fixed temperature.

score_c = cos(m, e_c) / τ        m the mean of the text's hidden states (width), e_c the same of the description of label c
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...tasks import Rows, Task
from ..backbone import Backbone
from ..pooling import mean
from .encoding import encode
from .readout import Pair, Readout
from .texts import Texts

TEMPERATURE = 0.05
"""Cosines are divided by this, the scale that sentence encoders such as MiniLM were trained with (1/20)."""


class Cosine(Readout):
    """`matrix` (labels, width) are the descriptions' unit vectors."""

    about: ClassVar[str] = "cosine of the mean-pooled text and each label's description"

    def __init__(self, backbone: Backbone, task: Task) -> None:
        self._backbone = backbone
        self.matrix = _descriptions(backbone, task.descriptions)

    def scores(self, texts: Texts) -> Tensor:
        """Cosines over τ."""
        given = texts.inputs(self._backbone.conventions)
        hidden = self._backbone.model(**given).last_hidden_state
        return pooled(hidden, fronts=texts.fronts, lengths=texts.lengths) @ self.matrix.T / TEMPERATURE

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids."""
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | ({} if types is None else {"token_type_ids": types})
        hidden: Tensor = self._backbone.model(**given).last_hidden_state
        return normalize(hidden.to(self.matrix.dtype).mean(1), dim=-1) @ self.matrix.T / TEMPERATURE


def pooled(hidden: Tensor, *, fronts: Tensor, lengths: Tensor) -> Tensor:
    """Mean of the text's hidden states, prompt and padding left out, as unit vectors (rows, width), float32 at least."""
    return normalize(mean(hidden, fronts=fronts, lengths=lengths), dim=-1)


@torch.no_grad()
def _descriptions(backbone: Backbone, descriptions: Sequence[str]) -> Tensor:
    """Unit vectors (labels, width) of the descriptions, read as the task's own texts are."""
    rows = Rows(tuple(descriptions), (None,) * len(descriptions), (0,) * len(descriptions))
    data, every = encode(backbone, rows, max_tokens=backbone.conventions.room), range(len(descriptions))
    ids, lengths, _ = data.batch(every, pad=int(backbone.tokenizer.pad_token_id or 0), device=backbone.device)
    texts = Texts(backbone.embed(ids), torch.zeros_like(lengths), lengths, types=data.batch_types(every, device=backbone.device))
    hidden = backbone.model(**texts.inputs(backbone.conventions)).last_hidden_state
    return pooled(hidden, fronts=texts.fronts, lengths=lengths)
