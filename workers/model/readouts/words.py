"""Language models: the logit of the first token of each label word, where the answer begins.

* decoder: behind the last token of `text … answer:`;
* encoder-decoder: at the first decoder position.

Over labels of one token this is their log-likelihood but for what all labels of a row have in common.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbone import Backbone
from .label_head import LabelHead
from .readout import Pair, Readout, precise
from .start import empty_text, start_of
from .texts import Texts
from .wording import Wording


class Words(Readout):
    """`words` (labels,) are the tokens that stand for the labels."""

    about: ClassVar[str] = "logit of each label word's first token, where the answer begins"

    def __init__(self, backbone: Backbone, wording: Wording) -> None:
        self._backbone = backbone
        self.words = torch.tensor([label[0] for label in wording.tokens], device=backbone.device)
        self._head = LabelHead(backbone.model, self.words) if backbone.family == "decoder" else None
        self.prior: Tensor | None = None
        if wording.calibrated:
            self.prior = self.plain(*empty_text(backbone)).detach()

    def scores(self, texts: Texts) -> Tensor:
        """Logits behind each row's last token, or at the decoder's start."""
        given = texts.inputs(self._backbone.conventions)
        model = self._backbone.model
        if self._head is not None:
            with self._head.at(texts.ends - 1):
                return self._calibrated(model(**given, use_cache=False).logits[:, 0])
        start = start_of(self._backbone, len(texts))
        return self._calibrated(model(**given, decoder_input_ids=start, use_cache=False).logits[:, 0, self.words])

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids, out of the logits of all words."""
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        given = given if types is None else {**given, "token_type_ids": types}
        if self._head is None:
            given["decoder_input_ids"] = start_of(self._backbone, 1)
        return self._calibrated(self._backbone.model(**given).logits[:, -1, self.words])

    def _calibrated(self, logits: Tensor) -> Tensor:
        found = precise(logits)
        return found if self.prior is None else found - self.prior.to(found)
