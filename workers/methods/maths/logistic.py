"""Multinomial logistic regression on states, fitted to its end: what a linear probe is, as strongly penalised as left-out rows prefer.

    min  ½ ‖W‖² + C · Σ_i -log softmax(W z_i + c)_{y_i}        z: states standardised by all rows

Of rank r, the states are first projected on the r directions that tell the classes apart best (`discriminant.py`), and U is fitted
there; where r directions hold all that W can say (r = labels - 1), U V is W. Scikit-learn's LogisticRegression.
"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .discriminant import Rule, discriminant, fourth_of_each
from .remembering import Remembered

PENALTIES = (0.01, 0.1, 1.0)
"""C, the middle one where no row can be left out."""
ROUNDS = 100
LARGEST = 1 << 28
"""Rows times width times labels of a fit, of more every so manieth row: some 20 s for four fits, which is as long as an adapter's trial."""
FLAT = 1e-4
"""A number of the states that varies by less than this share of what they do on average says nothing: of MiniLM's, three vary by 1e-32
to 1e-9, and standardised would count as much as any."""
NOTHING = 1e-4
"""A direction that is so much smaller than the largest is rounding."""
UNSEEN = -10.0
"""Log-odds of a label without rows."""

_KEPT = Remembered()


def logistic(states: Tensor, targets: Tensor, *, labels: int, rank: int = 0, bias: bool = True) -> Rule:
    """Return W, or of a `rank` above 0 U and V, and c, float32 on the CPU, found once for the same tensors.

    Of `states` (rows, width) with label numbers `targets` (rows,). Without `bias` c is 0.
    """
    if not rank:
        w, c = _KEPT.of(states, targets, (labels, bias), lambda: _fitted(states, targets, labels=labels, bias=bias))
        return [w], c
    return _KEPT.of(states, targets, (labels, rank, bias), lambda: _of_rank(states, targets, labels=labels, rank=rank, bias=bias))


def _of_rank(states: Tensor, targets: Tensor, *, labels: int, rank: int, bias: bool) -> Rule:
    if rank == labels - 1:
        (w,), c = logistic(states, targets, labels=labels, bias=bias)
        left, sizes, right = torch.linalg.svd((w - w.mean(0)).double(), full_matrices=False)  # what all labels share says nothing
        root = sizes[:rank].sqrt()
        usual = 1 / states.double().norm(dim=1).mean().clamp_min(torch.finfo(torch.float64).tiny)
        size = torch.where(root > NOTHING * root.max(), root, usual)  # a label without rows has no direction yet: V's may be any but 0
        return [(left[:, :rank] * root * (root > NOTHING * root.max())).float(), (size[:, None] * right[:rank]).float()], c
    (_, directions), _ = discriminant(states, targets, labels=labels, rank=rank, bias=bias)
    projected = states.detach().to("cpu", torch.float64) @ directions.double().T
    u, c = _fitted(projected, targets, labels=labels, bias=bias)
    return [u, directions], c


def _fitted(states: Tensor, targets: Tensor, *, labels: int, bias: bool) -> tuple[Tensor, Tensor]:
    """W (labels, width) and c (labels,) for the states as they are."""
    every = max(1, -(-states.numel() * labels // LARGEST))
    states, targets = states[::every], targets[::every]
    h, y = states.detach().to("cpu", torch.float64).numpy(), targets.detach().cpu().numpy()
    middle, scale = _standard(h, bias=bias)
    model = _preferred((h - middle) / scale, y, left=fourth_of_each(targets.detach().cpu(), labels).numpy(), bias=bias)
    if model is None:  # all rows have one label
        return torch.zeros(labels, h.shape[1]), _odds_of_one(int(y[0]), labels, bias=bias)
    coefficients, offsets = model.coef_, np.broadcast_to(model.intercept_, len(model.coef_))
    if len(model.classes_) == 2:  # one row, of the second against the first
        coefficients, offsets = np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-offsets, offsets]) / 2
    w, c = np.zeros((labels, h.shape[1])), np.full(labels, UNSEEN if bias else 0.0)
    w[model.classes_] = coefficients / scale
    c[model.classes_] = offsets - w[model.classes_] @ middle if bias else 0.0
    return torch.from_numpy(w).float(), torch.from_numpy(c).float()


def _standard(h: np.ndarray, *, bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """What states are less, and over, when standardised; over infinity where they hardly vary, so that such a number weighs nothing."""
    middle = h.mean(0) if bias else np.zeros(h.shape[1])
    spread = np.sqrt(((h - middle) ** 2).mean(0))
    return middle, np.where(spread > FLAT * np.sqrt((spread**2).mean()), spread, np.inf)


def _odds_of_one(label: int, labels: int, *, bias: bool) -> Tensor:
    c = torch.full((labels,), UNSEEN if bias else 0.0)
    c[label] = 0.0
    return c


def _preferred(z: np.ndarray, y: np.ndarray, *, left: np.ndarray, bias: bool) -> Any:
    """The model of all rows with the C that those left out prefer; None of a single label."""
    if len(np.unique(y)) < 2:
        return None
    tried = {}
    for penalty in PENALTIES if left.any() and len(np.unique(y[~left])) > 1 else ():
        model = _model(z[~left], y[~left], penalty, bias=bias)
        tried[penalty] = _loss(model, z[left], y[left])
    return _model(z, y, min(tried, key=lambda one: tried[one]) if tried else PENALTIES[1], bias=bias)


def _loss(model: Any, z: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy; of a label that the model does not know as that of `UNSEEN`."""
    known = {label: place for place, label in enumerate(model.classes_)}
    told = model.predict_log_proba(z)
    return -float(np.mean([row[known[label]] if label in known else UNSEEN for row, label in zip(told, y, strict=True)]))


def _model(z: np.ndarray, y: np.ndarray, penalty: float, *, bias: bool) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what is left to gain is the training's
        return LogisticRegression(C=penalty, max_iter=ROUNDS, fit_intercept=bias).fit(z, y)
