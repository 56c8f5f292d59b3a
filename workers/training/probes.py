"""Linear probes of tasks without one label a row: ridge regression of a number, and a logistic regression for each of several labels.

Both on states standardised by the training rows, as the multinomial one of `references.py`; of inverse strength C, ridge's alpha is 1/C.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...spaces.metrics import Kind

MISSING = -1e4
"""The score of a label that no training row has; its opposite that of one that all have."""


@dataclass(frozen=True)
class Probe:
    """A fitted probe."""

    scaler: Any
    models: tuple[Any, ...]
    """One for each output; a number where all training rows agree."""
    rounds: int
    """Of the longest fit."""
    most: int
    """How many it had."""

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Numbers, or log-odds of each label, (rows, outputs)."""
        scaled = self.scaler.transform(rows)
        columns = [_scores(model, scaled) for model in self.models]
        found: np.ndarray = np.stack(columns, axis=1)
        return found


def fit(kind: Kind, rows: np.ndarray, targets: np.ndarray, *, penalty: float, rounds: int) -> Probe:
    """Fit states (rows, width) to numbers (rows,), or to marks (rows, labels) of 0 and 1."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    scaled = scaler.transform(rows)
    if kind == "regression":
        return Probe(scaler, (Ridge(alpha=1 / penalty).fit(scaled, targets),), 1, rounds)
    models: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said where the probe is
        for marks in targets.T:
            agreed = MISSING if not marks.any() else -MISSING
            models.append(LogisticRegression(C=penalty, max_iter=rounds).fit(scaled, marks) if len(set(marks)) > 1 else agreed)
    taken = max((int(max(model.n_iter_)) for model in models if not isinstance(model, float)), default=0)
    return Probe(scaler, tuple(models), taken, rounds)


def _scores(model: Any, rows: np.ndarray) -> np.ndarray:
    if isinstance(model, float):
        return np.full(len(rows), model)
    return np.asarray(model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows))
