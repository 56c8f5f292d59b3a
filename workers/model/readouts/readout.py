"""What a readout is: how label scores follow from a pass of the frozen model, and what training and measuring make of them.

A readout is one file and one final class. Trials, packs and sites do not know which one they serve: a pass over a batch gives a score
per row and label, the scores a loss per row and a prediction per row.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from .objectives import CrossEntropy, Objective
from .texts import Texts

Pair = tuple[Tensor, Tensor]
"""Answer tokens and their places, as `Texts` has them."""


class Readout(ABC):
    """Reads one task off one frozen model. Holds no trainable number."""

    about: ClassVar[str]
    """What it computes, for `plan`: one line."""
    weights: Tensor | None = None
    """What a training row's loss counts by its label, (labels,); None: all alike."""
    objective: Objective = CrossEntropy()
    """What training makes of scores, by the kind of task."""
    descriptions: tuple[str, ...] = ()
    """The text that stands for each label."""

    @abstractmethod
    def scores(self, texts: Texts) -> Tensor:
        """Return label scores (rows, labels), float32 or the double of a double model, of the rows of a pass."""

    @abstractmethod
    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """Return the scores (1, labels) of one unpadded text `ids` (1, tokens) as anybody would compute them with transformers alone.

        Where a row is several texts, what `fold` takes of each.
        """

    def fold(self, read: Tensor) -> Tensor:
        """Return scores of what `plain` gives of all texts of a row, one behind the other: of one text, that itself."""
        return read

    def training_scores(self, texts: Texts, targets: Tensor, *, whole: bool = False) -> Tensor:
        """Return what `loss` takes in training: the scores, unless a readout needs others, or less where it knows the targets (rows,).

        With `whole`, all that `disagreement` compares of two passes.
        """
        return self.scores(texts)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return each row's training loss, (rows,), of scores (rows, labels) and `targets`, (rows,) or (rows, labels)."""
        return self.objective.loss(scores, targets)

    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """Return how far two passes' training scores (trials, rows, outputs) are from each other, the mean over rows, (trials,)."""
        return self.objective.disagreement(first, second)

    def weighted_loss(self, scores: Tensor, targets: Tensor, *, of_heads: bool = False) -> Tensor:
        """Return each row's training loss, (rows,), times what its label counts; `of_heads`: of the scores that trials' heads give."""
        losses = (self.objective.loss if of_heads else self.loss)(scores, targets)
        if self.weights is None:
            return losses
        self.weights = self.weights.to(losses)
        return losses * self.weights[targets]

    @property
    def compared(self) -> "Readout":
        """Whose scores are compared with the plain model's: its own, unless they are made of others, next to which noise is no noise."""
        return self

    def copies(self, *, training: bool) -> int:
        """How many sequences of each row a pass may hold, one behind the other."""
        return 1

    def tokens(self, length: int, *, training: bool) -> int:
        """How many tokens a pass holds for a row of `length` tokens."""
        return length

    @property
    def behind(self) -> int:
        """How many tokens a pass may put behind a text."""
        return 0

    def room(self, max_tokens: int, positions: int) -> int:
        """How many tokens of a text are read where `max_tokens` are asked for and the model has so many positions."""
        return min(max_tokens, positions - self.behind)

    @property
    def resumes(self) -> bool:
        """Whether scores can be read from what leaves the lower blocks for the text alone."""
        return True

    @property
    def joins(self) -> bool:
        """Whether its passes serve trials with a head as well: a row of theirs is the text, and scores in training are all labels'."""
        return True


ABSENT = -1e4
"""The score of a choice that a row does not have: as good as none, and still a number."""


def precise(x: Tensor) -> Tensor:
    """Scores are float32 at least; a double model's stay double."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
