"""Written answers: the likelihood of their tokens, each given what stands before it.

loss = - Σ_t log P(y_t | what stands before it) / number of t        t the answer tokens of all rows of a trial's batch

A row's scores are what its tokens lose and how many they are: sums of both over any rows make these rows' loss, whatever they were
batched with. A decoder reads prompt and answer in one sequence, an encoder-decoder answers on the decoder's side; no logit is computed
of a token that is not trained on.
"""

from typing import ClassVar

import torch
from torch import Tensor

from ..backbone import Backbone
from .answers import Answers
from .readout import Pair, Readout, precise
from .texts import Texts
from .written import Written


class Generation(Readout):
    """Reads answers that stand in the rows, or beside them."""

    about: ClassVar[str] = "likelihood of the answers' tokens"

    def __init__(self, backbone: Backbone, asked: Written) -> None:
        self._backbone, self.asked = backbone, asked
        self._answers = Answers(backbone)

    def scores(self, texts: Texts) -> Tensor:
        """Minus the log-likelihood of each row's answer tokens, and their number: (rows, 2)."""
        assert texts.answers is not None, "every split of such a task has answers"
        return _summed(self.told(texts), texts.answers)

    def told(self, texts: Texts) -> Tensor:
        """Log-probability of each answer token, (rows, most), 0 where there is none."""
        assert texts.answers is not None, "every split of such a task has answers"
        tokens = texts.answers.clamp(min=0)
        logits = precise(self._logits(texts, tokens))
        told = logits.gather(-1, tokens[..., None])[..., 0] - logits.logsumexp(-1)
        return told.masked_fill(texts.answers < 0, 0.0)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """What each row's tokens lose, (rows,), summed; the trainer divides by the number of tokens of the trial's batch."""
        return scores[:, 0]

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of one row's token ids."""
        assert answers is not None, "every split of such a task has answers"
        tokens, places = answers
        if self._answers.head is None:
            return _summed(self._answers.plain(ids, tokens)[None], tokens)
        logits = self._backbone.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        told = precise(logits).log_softmax(-1)[0, places[0]]
        return _summed(told.gather(-1, tokens[0][:, None]).T, tokens)

    def tokens(self, length: int, *, training: bool) -> int:
        """A decoder's answers are part of the row; an encoder-decoder's are taken to be as long."""
        return length if self._answers.head is not None else 2 * length

    @property
    def joins(self) -> bool:
        """There are no labels for a head to score."""
        return False

    def _logits(self, texts: Texts, tokens: Tensor) -> Tensor:
        """Logits (rows, most, vocabulary) where each answer token is read."""
        head = self._answers.head
        if head is None:
            return self._answers.logits(texts, tokens[:, :-1], torch.zeros_like(texts.lengths), copies=1)  # sizes are a decoder's
        assert texts.places is not None, "given with the answers"
        with head.at(texts.places.clamp(min=0) + texts.fronts[:, None]):
            logits: Tensor = self._backbone.model(**texts.inputs(self._backbone.conventions), use_cache=False).logits
        return logits


def _summed(told: Tensor, answers: Tensor) -> Tensor:
    return torch.stack([-told.sum(-1), (answers >= 0).sum(-1).to(told.dtype)], -1)
