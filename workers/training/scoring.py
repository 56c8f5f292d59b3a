"""Metrics as pure functions: how good predictions are, and how far that number would move on other rows of the same kind.

The values are scikit-learn's, with 0 where a ratio is 0/0. The variance is the closed form for accuracy, else a jackknife:

    v = (g-1)/g · Σ (θ₍ᵢ₎ - mean)²        θ₍ᵢ₎: the metric without the i-th of g groups of rows

Rows with the same prediction and target change the metric alike, so one of each is left out and counted as many: exactly g = rows.
With more than `KINDS` different pairs the rows are dealt into `KINDS` groups instead (Kott 2001, "The delete-a-group jackknife").
Where rows belong together, those groups are left out, or dealt into `KINDS` larger ones, of accuracy too: else intervals are too narrow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...spaces.errors import WrongInput, did_you_mean

Labels = NDArray[np.int64]
Metric = Callable[..., float]
"""Targets, predictions, and how often each pair occurs (`sample_weight`) -> the value."""

KINDS = 64
"""Groups of the jackknife: the standard deviation is then known to about 9 %, in about a tenth of a second."""


@dataclass(frozen=True)
class Score:
    """A metric's value (higher is better), its sampling variance over rows, and what it is made of."""

    value: float
    variance: float
    rows: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False)
    """What each row adds: 1 where it is right for accuracy, elsewhere the jackknife's pseudo-value g θ - (g-1) θ₍ᵢ₎, whose mean is the
    metric up to its bias; of each row, or with many kinds of each group."""


def score(
    metric: str, predictions: Sequence[float], targets: Sequence[float], *, classes: int | None = None, groups: Sequence[str] = ()
) -> Score:
    """Return the score of `predictions` against `targets`, both label numbers from 0.

    `f1` with two classes is that of the last label (its positive one); with more, the plain mean over the labels that occur
    (macro). `classes` is how many labels there are; None counts up to the largest that occurs. With `groups` of rows, one name a row,
    variance and `rows` are over groups.

    Raises `WrongInput` for an unknown metric, `ValueError` for no rows, different lengths and numbers that are not finite.
    """
    if metric not in METRICS:
        raise WrongInput(f"metric {metric}: unknown; there are {', '.join(METRICS)}.{did_you_mean(metric, METRICS)}")
    predicted, wanted = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if predicted.shape != wanted.shape or predicted.ndim != 1 or not len(predicted):
        raise ValueError(f"{metric} needs as many predictions as targets, one or more: got {predicted.shape} and {wanted.shape}")
    if not np.isfinite(predicted).all() or not np.isfinite(wanted).all():
        raise ValueError(f"{metric} needs finite numbers: {int((~np.isfinite(predicted + wanted)).sum())} rows are not")
    places = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1) if len(groups) else None
    return METRICS[metric](predicted.astype(np.int64), wanted.astype(np.int64), classes, places)


def _accuracy(predicted: Labels, wanted: Labels, _: int | None, groups: Labels | None) -> Score:
    rows = (predicted == wanted).astype(np.float64)
    right = float(rows.mean())
    return Score(right, _proportion_variance(right, len(rows)), rows) if groups is None else _of_groups(rows, groups)


def _of_groups(rows: NDArray[np.float64], groups: Labels) -> Score:
    """A mean over rows, of which whole groups are drawn: delete-a-group jackknife, each group as large as it is."""
    sizes, sums, count = np.bincount(groups), np.bincount(groups, weights=rows), int(groups.max()) + 1
    mean, without = float(rows.mean()), (rows.sum() - sums) / np.maximum(1, len(rows) - sizes)
    variance = (count - 1) / count * float(((without - without.mean()) ** 2).sum())
    same = bool((rows == rows[0]).all())
    return Score(mean, _proportion_variance(mean, count) if same else variance, count * mean - (count - 1) * without)


def _proportion_variance(share: float, rows: int) -> float:
    """p (1 - p) / n; where all rows are alike, which is no certainty, that of Wilson's midpoint (Agresti & Coull 1998)."""
    if 0 < share < 1:
        return share * (1 - share) / rows
    middle = (share * rows + 2) / (rows + 4)
    return middle * (1 - middle) / (rows + 4)


def _f1(predicted: Labels, wanted: Labels, classes: int | None, groups: Labels | None) -> Score:
    from sklearn.metrics import f1_score  # a second of imports that most tasks do not need

    two = max(classes or 0, int(predicted.max()) + 1, int(wanted.max()) + 1) <= 2
    return _jackknife(partial(f1_score, average="macro", labels=[1] if two else None, zero_division=0), predicted, wanted, groups)


def _matthews(predicted: Labels, wanted: Labels, _: int | None, groups: Labels | None) -> Score:
    from sklearn.metrics import matthews_corrcoef

    def matthews(targets: Labels, predictions: Labels, *, sample_weight: Labels) -> float:
        one_label = len(np.union1d(targets, predictions)) == 1  # 0/0, about which scikit-learn warns
        return 0.0 if one_label else float(matthews_corrcoef(targets, predictions, sample_weight=sample_weight))

    return _jackknife(matthews, predicted, wanted, groups)


Measure = Callable[[Labels, Labels, int | None, Labels | None], Score]
METRICS: Mapping[str, Measure] = {"accuracy": _accuracy, "f1": _f1, "matthews": _matthews}
"""Name -> how it is computed."""


def _jackknife(metric: Metric, predicted: Labels, wanted: Labels, dealt: Labels | None) -> Score:
    """The metric, and its variance over rows, or over groups that are `dealt` (formula and source: top of this file)."""
    pairs, kinds, counts = np.unique(np.stack([predicted, wanted], axis=1), axis=0, return_inverse=True, return_counts=True)
    kinds, few = kinds.reshape(-1), len(pairs) <= KINDS and dealt is None
    left, times = _leave_one_out(counts) if few else _leave_group_out(kinds, counts, _hands(len(kinds), dealt))
    without = np.array([_of_pairs(metric, pairs, rows) for rows in left])
    whole, mean, groups = _of_pairs(metric, pairs, counts), np.average(without, weights=times), times.sum()
    pseudo = groups * whole - (groups - 1) * without
    variance = float((groups - 1) * np.average((without - mean) ** 2, weights=times))
    return Score(whole, variance, pseudo[kinds] if few else pseudo)


def _of_pairs(metric: Metric, pairs: Labels, counts: Labels) -> float:
    """The metric of (prediction, target) pairs that occur so often; 0 where none does."""
    occurring = counts > 0
    if not occurring.any():
        return 0.0
    predicted, wanted = pairs[occurring].T
    return float(metric(wanted, predicted, sample_weight=counts[occurring]))


def _leave_one_out(counts: Labels) -> tuple[Labels, Labels]:
    """What is left of each pair's count without one row of each kind, and how many rows that stands for."""
    return counts - np.eye(len(counts), dtype=np.int64), counts


def _hands(rows: int, groups: Labels | None) -> Labels:
    """The group of each row: those given, or `KINDS` larger ones that rows, or groups, are dealt into by a fixed draw."""
    count = rows if groups is None else int(groups.max()) + 1
    hands = np.random.default_rng(0).permutation(count) % KINDS if groups is None or count > KINDS else np.arange(count)
    return hands if groups is None else hands[groups]


def _leave_group_out(kinds: Labels, counts: Labels, groups: Labels) -> tuple[Labels, Labels]:
    """What is left of each pair's count without each group of rows."""
    number = int(groups.max()) + 1
    dealt = np.zeros((number, len(counts)), dtype=np.int64)
    np.add.at(dealt, (groups, kinds), 1)
    return counts - dealt, np.ones(number, dtype=np.int64)
