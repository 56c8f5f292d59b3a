"""Metrics as pure functions: how good predictions are, and how far that number would move on other rows of the same kind.

The metrics are those of `spaces/metrics.py`. The variance is the closed form for a mean of rows (accuracy, answers), else a jackknife:

    v = (g-1)/g · Σ (θ₍ᵢ₎ - mean)²        θ₍ᵢ₎: the metric without the i-th of g groups of rows

Rows with the same prediction and target change the metric alike, so one of each is left out and counted as many: exactly g = rows.
With more than `KINDS` different pairs the rows are dealt into `KINDS` groups instead (Kott 2001, "The delete-a-group jackknife").
Where rows belong together, those groups are left out, or dealt into `KINDS` larger ones, of accuracy too: else intervals are too narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...spaces.metrics import Array, Metric, Reads
from ...spaces.metrics import metric as metric_called
from ..tasks import Target

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

UNMOVED = 1e-20
"""A variance that is nothing but the noise of sums."""
KINDS = 64
"""Groups of the jackknife: the standard deviation is then known to about 9 %, in about a tenth of a second."""
DIMENSIONS: Mapping[Reads, int] = {"probabilities": 2, "losses": 2}
"""Of predictions; 1 where nothing is said."""


@dataclass(frozen=True)
class Score:
    """A metric's value (higher is better: that of a loss is turned round), its sampling variance over rows, and what it is made of."""

    value: float
    variance: float
    rows: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False)
    """What each row adds: 1 where it is right for accuracy, elsewhere the jackknife's pseudo-value g θ - (g-1) θ₍ᵢ₎, whose mean is the
    metric up to its bias; of each row, or with many kinds of each group."""
    others: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Values of further metrics of the same predictions, as they are."""


def score(
    metric: str, predictions: Sequence[float] | Array, targets: Sequence[Target], *, classes: int | None = None, groups: Sequence[str] = ()
) -> Score:
    """Return the score of `predictions`, of the form that the metric reads, against `targets`, label numbers from 0 or numbers.

    Where a row has any number of labels, both are (rows, labels) of 0 and 1.

    `classes` is how many labels there are; None counts up to the largest that occurs. With `groups` of rows, one name a row, variance and
    `rows` are over groups.

    Raises `WrongInput` for an unknown metric, `ValueError` for no rows, different lengths and numbers that are not finite.
    """
    measure = metric_called(metric)
    predicted, wanted = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if len(predicted) != len(wanted) or predicted.ndim != max(DIMENSIONS.get(measure.reads, 1), wanted.ndim) or not len(predicted):
        raise ValueError(f"{metric} needs as many predictions as targets, one or more: got {predicted.shape} and {wanted.shape}")
    if not np.isfinite(predicted).all() or not np.isfinite(wanted).all():
        bad = ~np.isfinite(predicted.reshape(len(predicted), -1).sum(1) + wanted.reshape(len(wanted), -1).sum(1))
        raise ValueError(f"{metric} needs finite numbers: {int(bad.sum())} rows are not")
    if measure.reads != "numbers":
        wanted = wanted.astype(np.int64)
    places = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1) if len(groups) else None
    if measure.name in ("accuracy", "subset_accuracy"):
        right = predicted == wanted if wanted.ndim == 1 else (predicted == wanted).all(-1)
        return _mean_right(right.astype(np.float64), places)
    if measure.reads == "answers":
        return _mean_right(predicted, places)
    return _turned(measure, _jackknife(measure, predicted, wanted, classes, places))


def measured(metrics: Sequence[str], scores: Array, targets: Sequence[Target], *, classes: int, groups: Sequence[str] = ()) -> Score:
    """Return the first metric's score of label scores (rows, labels) as a readout gives them, with the values of the others beside it."""
    first, *others = metrics
    values = {name: value(name, scores, targets, classes=classes) for name in others}
    finite = {name: one for name, one in values.items() if np.isfinite(one)}  # what these rows cannot tell is left out
    return replace(score(first, read(first, scores, several=_several(targets)), targets, classes=classes, groups=groups), others=finite)


def value(metric: str, scores: Array, targets: Sequence[Target], *, classes: int) -> float:
    """Return a metric of label scores (rows, labels), as it is."""
    found, wanted = metric_called(metric), np.asarray(targets, dtype=np.float64)
    wanted = wanted if found.reads == "numbers" else wanted.astype(np.int64)
    return found.compute(wanted, read(metric, scores, several=_several(targets)), np.ones(len(wanted)), classes)


def _several(targets: Sequence[Target]) -> bool:
    """Whether rows have any number of labels."""
    return np.ndim(targets) == 2


def read(metric: str, scores: Array, *, several: bool = False) -> Array:
    """Return what a metric compares, of label scores (rows, labels): the best labels, probabilities, or the one score as a number.

    Of `several` labels a row, 1 for each that is likelier than not, or how likely each is by itself, (rows, labels).
    """
    exact = np.asarray(scores, dtype=np.float64)
    if several:
        return np.exp(-np.logaddexp(0, -exact)) if metric_called(metric).reads == "probabilities" else (exact > 0).astype(np.float64)
    match metric_called(metric).reads:
        case "labels":
            best: Array = exact.argmax(-1)
            return best
        case "probabilities":
            powers = np.exp(exact - exact.max(-1, keepdims=True))
            chances: Array = powers / powers.sum(-1, keepdims=True)
            return chances
        case "numbers":
            return exact[:, 0]
        case "losses":
            return exact
        case "answers":
            raise ValueError(f"{metric} is measured of written answers, not of scores")


def _turned(measure: Metric, found: Score) -> Score:
    return found if measure.higher_is_better else Score(-found.value, found.variance, -found.rows)


def _mean_right(rows: NDArray[np.float64], groups: Labels | None) -> Score:
    """The mean of how right each row is, 0 to 1; its variance is a proportion's unless rows are half right, too."""
    if groups is not None:
        return _of_groups(rows, groups)
    mean, partly = float(rows.mean()), not np.isin(rows, (0.0, 1.0)).all() and np.ptp(rows) > 0
    return Score(mean, float(rows.var(ddof=1)) / len(rows) if partly else _proportion_variance(mean, len(rows)), rows)


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


def _jackknife(measure: Metric, predicted: Array, wanted: Array, classes: int | None, dealt: Labels | None) -> Score:
    """The metric, and its variance over rows, or over groups that are `dealt` (formula and source: top of this file)."""
    rows, kinds, counts = _kinds(measure, predicted, wanted)
    few = len(rows) <= KINDS and dealt is None
    left, times = _leave_one_out(counts) if few else _leave_group_out(kinds, counts, _hands(len(kinds), dealt))
    number = classes or int(max(wanted.max(), predicted.max() if measure.reads == "labels" else 0)) + 1
    of = partial(_of_rows, measure, wanted[rows], predicted[rows], classes=number)
    whole = of(counts)
    without = np.array([of(some) for some in left])
    without = np.where(np.isnan(without), whole, without)  # a rest that the metric says nothing of moves nothing
    mean, groups = np.average(without, weights=times), times.sum()
    pseudo = groups * whole - (groups - 1) * without
    variance = float((groups - 1) * np.average((without - mean) ** 2, weights=times))
    if variance < UNMOVED:
        variance = _largest_variance(measure, whole, wanted, dealt)
    return Score(whole, variance, pseudo[kinds] if few else pseudo)


def _largest_variance(measure: Metric, value: float, wanted: Array, groups: Labels | None) -> float:
    """The variance where no row that is left out moves the metric, as where all rows are right: that is no certainty.

    The largest that a mean of values of the metric's range can have (Bhatia & Davis, "A better bound on the variance", 2000), over as many
    rows as the rarest label has (of several labels a row, the rarest mark of one); at the range's ends by Wilson's midpoint. 0 for a
    metric without ends, of which nothing is known then.
    """
    low, high = measure.span
    if not np.isfinite([low, high, value]).all():
        return 0.0
    rows = len(wanted) if measure.reads == "numbers" else _rarest(wanted)
    rows = rows if groups is None else min(rows, int(groups.max()) + 1)
    share = float(np.clip((value - low) / (high - low), 0, 1))
    return float((high - low) ** 2 * _proportion_variance(share, rows))


def _rarest(wanted: Array) -> int:
    """How many rows the rarest label has; of marks (rows, labels), the rarest mark of 0 or 1 that a label has at all."""
    counts = np.unique(wanted, return_counts=True)[1] if wanted.ndim == 1 else np.concatenate([wanted.sum(0), (1 - wanted).sum(0)])
    return int(counts[counts > 0].min())


def _kinds(measure: Metric, predicted: Array, wanted: Array) -> tuple[Labels, Labels, Labels]:
    """One row of each kind, the kind of each row, and how many rows are of each; label numbers make few kinds, other predictions none."""
    if measure.reads != "labels":
        each = np.arange(len(wanted))
        return each, each, np.ones(len(wanted), dtype=np.int64)
    pairs = np.stack([predicted, wanted], axis=1) if wanted.ndim == 1 else np.concatenate([predicted, wanted], axis=1)
    _, rows, kinds, counts = np.unique(pairs, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return rows, kinds.reshape(-1), counts


def _of_rows(measure: Metric, wanted: Array, predicted: Array, counts: Labels, *, classes: int) -> float:
    """The metric of rows that count so often; 0 where none does."""
    occurring = counts > 0
    if not occurring.any():
        return 0.0
    predictions = predicted[occurring].astype(np.int64) if measure.reads == "labels" else predicted[occurring]
    return measure.compute(wanted[occurring], predictions, counts[occurring], classes)


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
