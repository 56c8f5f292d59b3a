"""Multiple choice: each row's own choices by the log-likelihood of their tokens, per token unless their sum is asked for.

score_c = 1/n_c Σ_i log P(y_i | x, y_1 … y_{i-1})        y the n_c tokens of the row's choice c

One sequence for every row and choice; an encoder-decoder encodes a row once. A choice that a row does not have scores `ABSENT`.
"""

from typing import ClassVar

import torch
from torch import Tensor

from ..backbone import Backbone
from .answers import Answers
from .readout import ABSENT, Pair, Readout, precise
from .texts import Texts
from .wording import OwnChoices


class RowChoice(Readout):
    """Of choices of `longest` tokens at most."""

    about: ClassVar[str] = "log-likelihood of each row's own choices"

    def __init__(self, backbone: Backbone, asked: OwnChoices, *, longest: int) -> None:
        self._backbone, self.asked, self.most, self.longest = backbone, asked, asked.most, longest
        self._answers = Answers(backbone)

    def scores(self, texts: Texts) -> Tensor:
        """Log-likelihoods (rows, choices)."""
        assert texts.choices is not None, "every split of such a task has choices"
        return scored(self.told(texts, texts.choices), texts.choices, mean=self.asked.mean)

    def told(self, texts: Texts, choices: Tensor) -> Tensor:
        """Log-probability of each choice's tokens, (rows, choices, tokens), 0 where there is none."""
        tokens, present = choices.clamp(min=0).flatten(0, 1), (choices >= 0).flatten(0, 1)
        before, sizes = tokens[:, :-1], (present.sum(-1) - 1).clamp(min=0)
        logits = precise(self._answers.logits(texts, before, sizes, copies=self.most))
        told = logits.gather(-1, tokens[..., None])[..., 0] - logits.logsumexp(-1)
        return (told * present).view(choices.shape)

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids, one choice after the other, unpadded."""
        assert choices is not None, "every split of such a task has choices"
        told = torch.zeros(choices.shape, dtype=torch.promote_types(self._backbone.dtype, torch.float32), device=ids.device)
        for choice, own in enumerate(choices[0]):
            answer = own[own >= 0][None]
            if answer.shape[1]:
                told[0, choice, : answer.shape[1]] = self._answers.plain(ids, answer)
        return scored(told, choices, mean=self.asked.mean)

    def copies(self, *, training: bool) -> int:
        """Choices that are read one by one."""
        return self.most

    def tokens(self, length: int, *, training: bool) -> int:
        """Every choice with the row's text in front, or on the decoder's side."""
        return self.most * (length + self.longest) if self._answers.head is not None else length + self.most * self.longest

    @property
    def behind(self) -> int:
        """Tokens of the longest choice but its last, which a decoder has behind the text."""
        return self.longest - 1 if self._answers.head is not None else 0

    @property
    def resumes(self) -> bool:
        """Not where choices stand behind the text: what leaves the lower blocks is kept for texts only."""
        return self._answers.head is None

    @property
    def joins(self) -> bool:
        """Not where rows are copied."""
        return False


def scored(told: Tensor, choices: Tensor, *, mean: bool) -> Tensor:
    """Scores (rows, choices) of log-probabilities (rows, choices, tokens)."""
    return folded(told, choices, mean=mean).masked_fill((choices < 0).all(-1), ABSENT)


def folded(told: Tensor, choices: Tensor, *, mean: bool) -> Tensor:
    """The same with 0 for choices that are absent."""
    total = told.sum(-1)
    return total / (choices >= 0).sum(-1).clamp(min=1) if mean else total
