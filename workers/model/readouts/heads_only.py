"""Tasks that nothing but a head reads off a model: several labels a row, a pair read text by text, a number elsewhere than in a cosine.

Then this stands in the place of a readout. What it gives are the states that heads read, by which a model's passes are compared with
the plain library's as everybody's are; no trial is scored by it.
"""

from typing import ClassVar

import torch
from torch import Tensor

from ...tasks import Task
from ..backbone import Backbone
from ..pooling import Body
from .readout import Pair, Readout
from .texts import Texts

PLACES = {"encoder": "mean", "decoder": "last", "encoder-decoder": "first"}


class HeadsOnly(Readout):
    """Of one model."""

    about: ClassVar[str] = "by a head alone"

    def __init__(self, backbone: Backbone, task: Task) -> None:
        self._backbone, self._how = backbone, PLACES[backbone.family]
        self._body, self._per_row = Body(backbone), 2 if backbone.shape.answers.apart else 1

    def scores(self, texts: Texts) -> Tensor:
        """Pooled states (sequences, width)."""
        hidden = self._body.hidden(texts.inputs(self._backbone.conventions))
        return self._body.pool(hidden, self._how, fronts=texts.fronts, lengths=texts.lengths)

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids."""
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | ({} if types is None else {"token_type_ids": types})
        with self._body.watched() as seen:
            if self._backbone.family == "encoder-decoder":
                start = int(self._backbone.model.config.decoder_start_token_id)
                given["decoder_input_ids"] = torch.full((1, 1), start, device=ids.device)
            self._backbone.model(**given)
        nothing = torch.zeros(1, dtype=torch.long, device=ids.device)
        return self._body.pool(seen[-1], self._how, fronts=nothing, lengths=nothing + ids.shape[1])

    def tokens(self, length: int, *, training: bool) -> int:
        """Of all sequences of a row."""
        return self._per_row * length
