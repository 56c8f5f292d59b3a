"""Language models, numbers: the number to be expected, each number of a grid weighed by the likelihood of its tokens.

s = Σ_i g_i P(y_i | x) / Σ_i P(y_i | x)        g the numbers of the grid, y_i the tokens of g_i

Of all answers the expected number loses least by squares (Lukasik et al. 2024, arXiv 2403.04182), and unlike the likeliest number it seldom
puts two rows level, which correlations of ranks would count. Training raises the likelihood of the number that is nearest to a row's own.
"""

from typing import ClassVar

import torch
from torch import Tensor

from ..backbone import Backbone
from .likelihood import Likelihood
from .number_wording import Numbers
from .objectives import CrossEntropy
from .readout import Pair, Readout
from .texts import Texts

BETWEEN_NUMBERS = CrossEntropy()


class NumberWords(Readout):
    """Of one model; scores are (rows, 1) numbers, what training takes are the log-likelihoods of the grid's, or of a row's nearest."""

    about: ClassVar[str] = "number to be expected by the likelihoods of numbers as they are written"

    def __init__(self, backbone: Backbone, asked: Numbers) -> None:
        self.asked, self.words = asked, Likelihood(backbone, asked.wording)
        self._values = torch.tensor(asked.grid.values, dtype=torch.float64, device=backbone.device)

    def scores(self, texts: Texts) -> Tensor:
        """Numbers (rows, 1)."""
        return expected(self.words.scores(texts), self._values)

    def training_scores(self, texts: Texts, targets: Tensor, *, whole: bool = False) -> Tensor:
        """Log-likelihoods (rows, numbers), or where these are many (rows, 1), the nearest one's alone."""
        return self.words.training_scores(texts, self.nearest(targets), whole=whole)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Of what `training_scores` gives: as of labels, of which the nearest number is the right one."""
        return self.words.loss(scores, self.nearest(targets))

    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """Of all numbers' log-likelihoods; of a head's numbers, theirs."""
        return (self.objective if first.shape[-1] == 1 else BETWEEN_NUMBERS).disagreement(first, second)

    def nearest(self, targets: Tensor) -> Tensor:
        """Which number of the grid is nearest, (rows,); of two the even multiple of the step."""
        grid = self.asked.grid
        return ((targets.double() / float(grid.step)).round().long() - grid.first).clamp(0, grid.size - 1)

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids, one sequence a number."""
        return expected(self.words.plain(ids, types), self._values)

    @property
    def compared(self) -> Likelihood:
        """Log-likelihoods: of numbers around 0 the expected one may be as small as their noise."""
        return self.words

    def copies(self, *, training: bool) -> int:
        """As of labels, like all that follows."""
        return self.words.copies(training=training)

    def tokens(self, length: int, *, training: bool) -> int:
        """With the numbers behind, or on the decoder's side."""
        return self.words.tokens(length, training=training)

    @property
    def behind(self) -> int:
        """Tokens of the longest number but its last."""
        return self.words.behind

    @property
    def resumes(self) -> bool:
        """Where every number is one token."""
        return self.words.resumes

    @property
    def joins(self) -> bool:
        """Never: what these passes give in training is no number, as a head gives."""
        return False


def expected(scores: Tensor, values: Tensor) -> Tensor:
    """Numbers (rows, 1) of log-likelihoods (rows, numbers) of `values` (numbers,)."""
    return scores.softmax(-1) @ values.to(scores)[:, None]
