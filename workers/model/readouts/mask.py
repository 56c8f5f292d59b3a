"""Masked language models: the logits of the label words at a mask behind the text, by the model's own head.

score_c = logit(y_c at the mask)        y_c the token of label c's word; with `mean`, the mean over the tokens of a longer text
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbone import Backbone
from .label_head import LabelHead
from .masking import gap_of
from .readout import Pair, Readout, precise
from .start import empty_text
from .texts import Texts
from .wording import Wording


class Mask(Readout):
    """`words` (tokens,) are all tokens of all labels, one label's behind the other's; `mean` (tokens, labels) is what averages them."""

    about: ClassVar[str] = "logits of the label words at a mask behind the text"

    def __init__(self, backbone: Backbone, wording: Wording) -> None:
        self._backbone, self.wording = backbone, wording
        self.words = torch.tensor([token for label in wording.tokens for token in label], device=backbone.device)
        owners = [position for position, label in enumerate(wording.tokens) for _ in label]
        self.mean = torch.zeros(len(owners), len(wording.tokens), device=backbone.device)
        for row, owner in enumerate(owners):
            self.mean[row, owner] = 1 / len(wording.tokens[owner])
        self._after = gap_of(backbone.tokenizer, str(backbone.mask)).after
        self._head = LabelHead(backbone.model, self.words)
        self.prior: Tensor | None = None
        if wording.calibrated:
            ids, types = empty_text(backbone)
            self.prior = self.plain(ids, types).detach()

    def scores(self, texts: Texts) -> Tensor:
        """Logits at each row's mask."""
        given = texts.inputs(self._backbone.conventions)
        with self._head.at(texts.ends - 1 - self._after):
            return self._of(self._backbone.model(**given).logits[:, 0])

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids, out of the logits of all words."""
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        given = given if types is None else {**given, "token_type_ids": types}
        return self._of(self._backbone.model(**given).logits[:, -1 - self._after, self.words])

    def _of(self, logits: Tensor) -> Tensor:
        found = precise(logits) @ self.mean.to(precise(logits))
        return found if self.prior is None else found - self.prior.to(found)
