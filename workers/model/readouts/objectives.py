"""What training makes of scores, by the kind of task: a loss per row, and how far two passes' answers are from each other.

    cross-entropy            -log softmax(s)_t                                   one label of several
    squared error            ((s - t) / σ)²                                      a number; σ the deviation of the training rows' numbers
    binary cross-entropy     -1/C Σ_c [t_c log σ(s_c) + (1 - t_c) log σ(-s_c)]   any of C labels

They are those of transformers' …ForSequenceClassification for its three problem types, but for σ, without which the rate of a head
would depend on the units that somebody counts in.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, logsigmoid

from ....spaces.shape import Answers


class Objective(ABC):
    """Of one task."""

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return each row's loss, (rows,), of scores (rows, outputs) and `Rows.targets`."""

    @abstractmethod
    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """Return how far two passes' scores (trials, rows, outputs) are from each other, the mean over rows, (trials,).

        As in AdaMix's code, each half moves the pass that it measures, and takes the other as it is.
        """


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """One label of several."""

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Of label numbers (rows,)."""
        return cross_entropy(scores, targets, reduction="none")

    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """Symmetric divergence ½ (KL(p‖q) + KL(q‖p)) of the labels' probabilities."""
        return _symmetric(first.log_softmax(-1), second.log_softmax(-1)).sum(-1).mean(1) / 2


@dataclass(frozen=True)
class SquaredError(Objective):
    """A number."""

    deviation: float

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Of scores (rows, 1) and as many numbers; `ValueError` where they are not as many, which torch would multiply out."""
        if scores.shape != (len(targets), 1):
            raise ValueError(f"a regression needs one score a row: got {tuple(scores.shape)} for {len(targets)} rows")
        return ((scores[:, 0] - targets.to(scores)) / self.deviation).square()

    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """½ of both squared differences, which is what R-Drop takes for numbers (Liang et al. 2021, arXiv 2106.14448)."""
        apart = (first - second.detach()).square() + (second - first.detach()).square()
        return apart.sum(-1).mean(1) / (2 * self.deviation**2)


@dataclass(frozen=True)
class BinaryCrossEntropy(Objective):
    """Any number of labels a row."""

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Of 1 for each label that a row has and 0 for others, (rows, labels)."""
        return binary_cross_entropy_with_logits(scores, targets.to(scores), reduction="none").mean(-1)

    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """The divergence of every label's probability and its opposite, the mean over labels as in the loss."""
        both = sum(_symmetric(logsigmoid(sign * first), logsigmoid(sign * second)) for sign in (1, -1))
        assert isinstance(both, Tensor)
        return both.mean(-1).mean(1) / 2


def _symmetric(p: Tensor, q: Tensor) -> Tensor:
    """p log p/q + q log q/p of log-probabilities, term by term."""
    return kl_div(p, q.detach(), reduction="none", log_target=True) + kl_div(q, p.detach(), reduction="none", log_target=True)


def objective_of(answers: Answers) -> Objective:
    """Return the objective of a kind of task."""
    if answers.kind == "regression":
        return SquaredError(answers.units[1])
    return BinaryCrossEntropy() if answers.kind == "multi_label" else CrossEntropy()
