"""Metrics as pure functions: how good predictions are, and how far that number would move on other rows of the same kind.

Correlations come from scipy; accuracy, F1 and Matthews follow scikit-learn's definitions (also where a ratio is 0/0: then 0).
The variance is the closed form for accuracy, a jackknife over rows for F1 and Matthews, a seeded bootstrap for correlations.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...spaces.errors import WrongInput, did_you_mean

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

RESAMPLES = 200
"""Bootstrap samples: the standard deviation is then known to about 5 %."""
AT_ONCE = 1 << 21
"""Numbers that the bootstrap holds in one array."""


class Score(NamedTuple):
    """A metric's value (higher is better) and its sampling variance over rows."""

    value: float
    variance: float


def score(metric: str, predictions: Sequence[float], targets: Sequence[float], *, classes: int | None = None) -> Score:
    """Return the score of `predictions` against `targets`: label numbers from 0, or real numbers for correlations.

    `f1` with two classes is that of the last label (its positive one); with more, the plain mean over the labels that occur
    (macro). `classes` is how many labels there are; None counts up to the largest that occurs.

    Raises `WrongInput` for an unknown metric, `ValueError` for no rows, different lengths and numbers that are not finite.
    """
    if metric not in METRICS:
        raise WrongInput(f"metric {metric}: unknown; there are {', '.join(METRICS)}.{did_you_mean(metric, METRICS)}")
    predicted, wanted = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if predicted.shape != wanted.shape or predicted.ndim != 1 or not len(predicted):
        raise ValueError(f"{metric} needs as many predictions as targets, one or more: got {predicted.shape} and {wanted.shape}")
    if not np.isfinite(predicted).all() or not np.isfinite(wanted).all():
        raise ValueError(f"{metric} needs finite numbers: {int((~np.isfinite(predicted + wanted)).sum())} rows are not")
    return METRICS[metric](predicted, wanted, classes)


def _accuracy(predicted: Numbers, wanted: Numbers, _: int | None) -> Score:
    right = float((predicted == wanted).mean())
    return Score(right, right * (1 - right) / len(wanted))


def _f1(predicted: Numbers, wanted: Numbers, classes: int | None) -> Score:
    return _jackknife(_f1_of, predicted, wanted, classes)


def _matthews(predicted: Numbers, wanted: Numbers, classes: int | None) -> Score:
    return _jackknife(_matthews_of, predicted, wanted, classes)


def _pearson(predicted: Numbers, wanted: Numbers, _: int | None) -> Score:
    if _is_constant(predicted) or _is_constant(wanted):
        return Score(0.0, 0.0)
    return Score(float(stats.pearsonr(predicted, wanted).statistic), _bootstrap(predicted, wanted, lambda x: x))


def _spearman(predicted: Numbers, wanted: Numbers, _: int | None) -> Score:
    if _is_constant(predicted) or _is_constant(wanted):
        return Score(0.0, 0.0)
    return Score(float(stats.spearmanr(predicted, wanted).statistic), _bootstrap(predicted, wanted, _ranks))


METRICS: Mapping[str, Callable[[Numbers, Numbers, int | None], Score]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}
"""Name -> how it is computed."""

Counts = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]
"""Right predictions, predictions and targets of each class, (…, classes) each -> the metric, (…)."""


def _jackknife(metric: Counts, predicted: Numbers, wanted: Numbers, classes: int | None) -> Score:
    """The metric, and its variance from leaving out each row in turn.

    Rows with the same prediction and target change the metric alike, so one of each is left out and counted as many.
    """
    pairs, counts = np.unique(np.stack([predicted, wanted], axis=1).astype(np.int64), axis=0, return_counts=True)
    labels = np.arange(max(2, classes or 0, int(pairs.max()) + 1))
    chosen, true = (pairs[:, side, None] == labels for side in (0, 1))
    kinds = tuple(part.astype(np.int64) for part in (chosen & true, chosen, true))
    totals = tuple(counts @ part for part in kinds)
    without = metric(*(total - part for total, part in zip(totals, kinds, strict=True)))
    mean = np.average(without, weights=counts)
    return Score(float(metric(*totals)), float((len(wanted) - 1) * np.average((without - mean) ** 2, weights=counts)))


def _f1_of(right: Labels, predictions: Labels, targets: Labels) -> Numbers:
    scores = _ratio(2.0 * right, predictions + targets)
    if right.shape[-1] == 2:
        return scores[..., 1]
    return _ratio(scores.sum(-1), (predictions + targets > 0).sum(-1))


def _matthews_of(right: Labels, predictions: Labels, targets: Labels) -> Numbers:
    """Gorodkin's R_K, which is the Matthews coefficient for two classes."""
    rows = targets.sum(-1).astype(np.float64)
    covariance = right.sum(-1) * rows - (predictions * targets).sum(-1)
    spread = (rows**2 - (predictions**2).sum(-1)) * (rows**2 - (targets**2).sum(-1))
    return _ratio(covariance, np.sqrt(spread))


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Numbers:
    """Divide; 0/0 is 0."""
    return np.asarray(np.divide(above, below, out=np.zeros(np.shape(above)), where=below != 0), dtype=np.float64)


def _bootstrap(predicted: Numbers, wanted: Numbers, transform: Callable[[Numbers], Numbers]) -> float:
    """Variance of the correlation of the transformed columns over samples of the rows with replacement."""
    draw = np.random.default_rng(0)
    rows, left, values = len(wanted), RESAMPLES, []
    while left:
        sample = draw.integers(rows, size=(min(left, max(1, AT_ONCE // rows)), rows))
        values.append(_correlation(transform(predicted[sample]), transform(wanted[sample])))
        left -= len(sample)
    return float(np.concatenate(values).var(ddof=1))


def _correlation(x: Numbers, y: Numbers) -> Numbers:
    """Pearson's correlation along the last axis; 0 where one side is constant."""
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    return _ratio((x * y).sum(-1), np.sqrt((x**2).sum(-1) * (y**2).sum(-1)))


def _ranks(x: Numbers) -> Numbers:
    return np.asarray(stats.rankdata(x, axis=-1), dtype=np.float64)


def _is_constant(x: Numbers) -> bool:
    return bool((x == x[0]).all())
