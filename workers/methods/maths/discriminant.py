"""A linear rule from class means and one shared covariance, in log-odds: what ridge regression on the labels finds, as probabilities.

    y_c = t (μ_c' Σ⁻¹ h - ½ μ_c' Σ⁻¹ μ_c + log π_c)        Σ = Σ_within + λ · mean(diag Σ_within) · I

Of rank r, means and states are first projected on the r directions that tell the classes apart best (Fisher's discriminants). Rows
are few for so many numbers, so the rule is too sure of itself: λ and the temperature t are what a quarter of the rows, left out, prefer.
Friedman 1989, "Regularized Discriminant Analysis"; Hastie, Buja & Tibshirani 1995, "Penalized Discriminant Analysis".
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from .remembering import Remembered

RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""λ, the first where no row can be left out."""
ALIKE = 1e-10
"""Rows of a label are alike where their spread is no more of all rows' than this."""
TEMPERATURES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


Rule = tuple[list[Tensor], Tensor]
"""W (labels, width), or U (labels, r) and V (r, width); and c (labels,)."""


_KEPT = Remembered()


def discriminant(states: Tensor, targets: Tensor, *, labels: int, rank: int = 0, bias: bool = True) -> Rule:
    """Return `rule_of` these, found once for the same tensors; what no rank and no bias changes is found once for all of them."""
    fitting = _KEPT.of(states, targets, labels, lambda: _Fitting(states, targets, labels=labels))
    return _KEPT.of(states, targets, (labels, rank, bias), lambda: fitting.rule(rank=rank, bias=bias))


def rule_of(states: Tensor, targets: Tensor, *, labels: int, rank: int, bias: bool) -> Rule:
    """Return W, or of a `rank` above 0 U and V, and c, float32 on the CPU.

    Without `bias` c is 0, and what states have along their mean counts nothing.
    `states` (rows, width) with label numbers `targets` (rows,); a label without rows gets the mean of all and a small prior.
    """
    return _Fitting(states, targets, labels=labels).rule(rank=rank, bias=bias)


class _Fitting:
    """Eigenvectors of all rows, and of those that are not left out: 16 · width² bytes; the rules of any rank follow from them."""

    def __init__(self, states: Tensor, targets: Tensor, *, labels: int) -> None:
        h, y = states.detach().to("cpu", torch.float64), targets.detach().cpu()
        left = fourth_of_each(y, labels)
        self._whole, self._left = _Classes(h, y, labels=labels), (h[left], y[left])
        self._most = _Classes(h[~left], y[~left], labels=labels) if bool(left.any()) else None

    def rule(self, *, rank: int, bias: bool) -> Rule:
        """W, or U and V, and c, of the λ and the temperature that the rows left out prefer."""
        ridge, t = self._preferred(self._most, rank=rank, bias=bias) if self._most else (RIDGES[0], 1.0)
        (first, *rest), c = self._whole.rule(ridge, rank=rank, bias=bias)
        return [(t * first).float(), *(factor.float() for factor in rest)], (t * c).float()

    def _preferred(self, classes: "_Classes", *, rank: int, bias: bool) -> tuple[float, float]:
        h, y = self._left
        odds = {one: _odds(*classes.rule(one, rank=rank, bias=bias), h) for one in RIDGES}
        tried = {(one, t): float(cross_entropy(t * found, y)) for one, found in odds.items() for t in TEMPERATURES}
        return min(tried, key=lambda pair: tried[pair])


def fourth_of_each(y: Tensor, labels: int) -> Tensor:
    """Every fourth row of each label, (rows,) of booleans: whatever order the rows are in, what is left has all labels."""
    member = one_hot(y, labels)
    nth = member.cumsum(0).gather(1, y[:, None])[:, 0]
    return nth % 4 == 0


def _odds(weights: list[Tensor], c: Tensor, h: Tensor) -> Tensor:
    for factor in reversed(weights):
        h = h @ factor.T
    return h + c


class _Classes:
    """Means of the classes, and the eigenvectors of their shared covariance, from which the rule of any λ follows."""

    def __init__(self, h: Tensor, y: Tensor, *, labels: int) -> None:
        member = one_hot(y, labels).to(h)
        counts, self._middle = member.sum(0), h.mean(0)
        self._prior = (counts + 1) / (len(h) + labels)
        means = torch.where(counts[:, None] > 0, member.T @ h / counts.clamp_min(1)[:, None], self._middle)
        within, around = h - means[y], h - self._middle
        if float(within.square().mean()) <= ALIKE * float(around.square().mean()):  # one row a label says nothing of the spread within it
            within = around
        sizes, self._axes = torch.linalg.eigh(within.T @ within / len(h))
        self._sizes = sizes.clamp_min(0)
        self._apart = (means - self._middle) @ self._axes

    def rule(self, ridge: float, *, rank: int, bias: bool) -> Rule:
        """W, or U and V, and c; without `bias` no c can take back what states have in common: what is along their mean is left out."""
        root = (self._sizes + ridge * self._sizes.mean().clamp_min(torch.finfo(self._sizes.dtype).tiny)).sqrt()
        white, back = self._apart / root, self._axes / root
        weights, projected = [white @ back.T], white
        if rank:
            directions = torch.linalg.svd(white * self._prior[:, None].sqrt(), full_matrices=False).Vh[:rank]
            projected = white @ directions.T
            weights = [projected, directions @ back.T]
        c = self._prior.log() - projected.square().sum(1) / 2 - _odds(weights, torch.zeros_like(self._prior), self._middle[None])[0]
        if bias:
            return weights, c
        mean = normalize(self._middle, dim=0)
        *first, last = weights
        return [*first, last - (last @ mean)[:, None] * mean], torch.zeros_like(c)
