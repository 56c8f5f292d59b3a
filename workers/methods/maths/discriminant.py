"""A linear rule from class means and one shared covariance, in log-odds: what ridge regression on the labels finds, as probabilities.

    y_c = t (μ_c' Σ⁻¹ h - ½ μ_c' Σ⁻¹ μ_c + log π_c)        Σ = Σ_within + λ · mean(diag Σ_within) · I

Of rank r, means and states are first projected on the r directions that tell the classes apart best (Fisher's discriminants). Rows
are few for so many numbers, so the rule is too sure of itself: t is the temperature that a quarter of the rows, left out, prefer.
Friedman 1989, "Regularized Discriminant Analysis"; Hastie, Buja & Tibshirani 1995, "Penalized Discriminant Analysis".
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from .remembering import Remembered

RIDGE = 0.1
ALIKE = 1e-10
"""Rows of a label are alike where their spread is no more of all rows' than this."""
TEMPERATURES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


Rule = tuple[list[Tensor], Tensor]
"""W (labels, width), or U (labels, r) and V (r, width); and c (labels,)."""


_KEPT = Remembered()


def discriminant(states: Tensor, targets: Tensor, *, labels: int, rank: int = 0, bias: bool = True) -> Rule:
    """Return `rule_of` these, found once for the same tensors."""
    return _KEPT.of(states, targets, (labels, rank, bias), lambda: rule_of(states, targets, labels=labels, rank=rank, bias=bias))


def rule_of(states: Tensor, targets: Tensor, *, labels: int, rank: int, bias: bool) -> Rule:
    """Return W, or of a `rank` above 0 U and V, and c, float32 on the CPU.

    Without `bias` c is 0, and what states have along their mean counts nothing.
    `states` (rows, width) with label numbers `targets` (rows,); a label without rows gets the mean of all and a small prior.
    """
    h, y = states.detach().to("cpu", torch.float64), targets.detach().cpu()
    fit = _fit if bias else _fit_through_the_origin
    left = _fourth_of_each(y, labels)
    weights, c = fit(h[~left], y[~left], labels=labels, rank=rank)
    odds = _odds(weights, c, h[left])
    tried = {t: float(cross_entropy(t * odds, y[left])) for t in TEMPERATURES if len(odds)}
    t = min(tried, key=lambda one: tried[one], default=1.0)
    (first, *rest), c = fit(h, y, labels=labels, rank=rank)
    return [(t * first).float(), *(factor.float() for factor in rest)], (t * c).float()


def _fourth_of_each(y: Tensor, labels: int) -> Tensor:
    """Every fourth row of each label, (rows,) of booleans: whatever order the rows are in, what is left has all labels."""
    member = one_hot(y, labels)
    nth = member.cumsum(0).gather(1, y[:, None])[:, 0]
    return nth % 4 == 0


def _fit_through_the_origin(h: Tensor, y: Tensor, *, labels: int, rank: int) -> Rule:
    """The same where no c can take back what the states have in common: what is along their mean is left out."""
    (*first, last), c = _fit(h, y, labels=labels, rank=rank)
    mean = normalize(h.mean(0), dim=0)
    return [*first, last - (last @ mean)[:, None] * mean], torch.zeros_like(c)


def _odds(weights: list[Tensor], c: Tensor, h: Tensor) -> Tensor:
    for factor in reversed(weights):
        h = h @ factor.T
    return h + c


def _fit(h: Tensor, y: Tensor, *, labels: int, rank: int) -> Rule:
    member = one_hot(y, labels).to(h)
    counts, middle = member.sum(0), h.mean(0)
    prior = (counts + 1) / (len(h) + labels)
    means = torch.where(counts[:, None] > 0, member.T @ h / counts.clamp_min(1)[:, None], middle)
    within = h - means[y]
    covariance = within.T @ within / len(h)
    if float(within.square().mean()) <= ALIKE * float((h - middle).square().mean()):  # one row a label says nothing of the spread within it
        covariance = (h - middle).T @ (h - middle) / len(h)
    size = covariance.diagonal().mean().clamp_min(torch.finfo(h.dtype).tiny)
    root = torch.linalg.cholesky(covariance + RIDGE * size * torch.eye(h.shape[1], dtype=h.dtype))
    white = torch.linalg.solve_triangular(root, (means - middle).T, upper=False).T
    if not rank:
        weights = [torch.linalg.solve_triangular(root.T, white.T, upper=True).T]
        return weights, prior.log() - white.square().sum(1) / 2 - weights[0] @ middle
    directions = torch.linalg.svd(white * prior[:, None].sqrt(), full_matrices=False).Vh[:rank]
    u, v = white @ directions.T, torch.linalg.solve_triangular(root.T, directions.T, upper=True).T
    return [u, v], prior.log() - u.square().sum(1) / 2 - u @ (v @ middle)
