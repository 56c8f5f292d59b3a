"""Scores of several seeds on the same rows: the interval of their mean, and of differences that share the rows.

A table holds one number a seed and row, (S, n): 1 where the row is right and 0 where it is not, or for metrics that are no
mean over rows the jackknife's pseudo-values, whose mean is the metric. Where rows belong together, such as questions on one passage,
groups of them stand in the place of rows, by the same pseudo-values (`workers/training/scoring.py`).
Seeds and rows are both drawn at random and crossed, so the mean of all numbers varies by

    σ² = σ²_seeds / S + σ²_rows / n + σ²_both / (S n)

whose parts the mean squares of the two-way table estimate without bias: rows = MS_rows / (S n), which holds the last part as well,
and seeds = (MS_seeds - MS_both) / (S n), not below 0. With few seeds the second is known badly; an interval that is wide enough
wherever one of them dominates adds their limits in quadrature (Graybill & Wang 1980):

    half² = t(n - 1)² · rows + t(S - 1)² · seeds

Of proportions, whose rows' part follows from the mean, the first quantile is the normal's, and the interval Wilson's (1927), which stays
inside 0 and 1 and is not empty where all rows are right, at the number of independent rows that would vary as much.
`benchmarks/coverage.py` measures how often these intervals hold the truth.

F. A. Graybill & C.-M. Wang, "Confidence intervals on nonnegative linear combinations of variances", JASA 75 (1980);
E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from .intervals import LEVEL, Interval

Table = NDArray[np.float64]
"""(seeds, rows)."""

HALVES = 200
"""Random halves of the rows that the cost of a choice is averaged over."""


@dataclass(frozen=True)
class Parts:
    """A mean, and the two parts of its sampling variance."""

    mean: float
    rows: float
    seeds: float
    count: int
    """Seeds."""
    independent: int = 0
    """Rows, or groups of rows, where what they vary by is estimated from them; 0 where it follows from the mean, as of proportions."""

    def half(self, level: float = LEVEL) -> float:
        """Half the width of the interval at a confidence level."""
        return hypot(_of_rows(level, self.independent) * sqrt(self.rows), _student(level, self.count) * sqrt(self.seeds))


@dataclass(frozen=True)
class Comparison:
    """What can be said of `a - b`."""

    interval: Interval
    """95 %, of this pair alone."""
    p: float
    """Smallest level at which zero would lie outside: the two-sided p-value."""
    visible: float
    """Differences smaller than this could not have been told apart with these rows and seeds."""


def parts(table: Table) -> Parts:
    """Return the mean of a table (seeds, rows) and what it varies by; one seed says nothing about seeds, which then count as 0."""
    count, rows = table.shape
    by_row, by_seed, mean = table.mean(0), table.mean(1), float(table.mean())
    ms_rows = count * float(((by_row - mean) ** 2).sum()) / max(1, rows - 1)
    independent = 0 if _is_proportion(table) else rows
    if count == 1:
        return Parts(mean, ms_rows / rows, 0.0, 1, independent)
    ms_seeds = rows * float(((by_seed - mean) ** 2).sum()) / (count - 1)
    both = table - by_row - by_seed[:, None] + mean
    ms_both = float((both**2).sum()) / ((count - 1) * max(1, rows - 1))
    return Parts(mean, ms_rows / (count * rows), max(0.0, ms_seeds - ms_both) / (count * rows), count, independent)


def over_table(table: Table) -> Interval:
    """Return the 95 % interval of the mean over seeds and rows: Wilson's where the table holds only 0 and 1."""
    found = parts(table)
    if not _is_proportion(table):
        return Interval(found.mean, found.mean - found.half(), found.mean + found.half())
    variance = found.rows + found.seeds
    spread = found.mean * (1 - found.mean)
    rows = table.shape[1]
    independent = min(spread / variance * rows / max(1, rows - 1), table.size) if variance > 0 else rows
    return wilson(found.mean, independent, found.half() / sqrt(variance) if variance > 0 else _normal(LEVEL))


def wilson(share: float, rows: float, quantile: float) -> Interval:
    """Return Wilson's interval of a proportion seen on `rows` independent rows, reaching `quantile` standard errors."""
    square = quantile**2 / rows
    centre = (share + square / 2) / (1 + square)
    half = quantile * sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def compare(a: Table, b: Table) -> Comparison:
    """Return what can be said of the difference of two means over the same rows, each over seeds of its own.

    The rows' part is that of the paired differences. Of 0 and 1 it is smoothed by half a row gained and half a row lost, so that two tables
    without a difference are not sure of it (Agresti & Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24, 2005). Raises `ValueError` where the tables have different rows.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"paired scores need the same rows, got {a.shape[1]} and {b.shape[1]}")
    paired = a.mean(0) - b.mean(0)
    of_a, of_b = parts(a), parts(b)
    proportions = _is_proportion(a) and _is_proportion(b)
    rows = _smoothed(paired) if proportions else float(paired.var(ddof=1)) / len(paired)
    difference = of_a.mean - of_b.mean
    half = partial(_half, rows, 0 if proportions else len(paired), (of_a, of_b))
    visible = half(LEVEL)
    return Comparison(Interval(difference, difference - visible, difference + visible), _p(abs(difference), half), visible)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm, "A simple sequentially rejective multiple test procedure", 1979)."""
    order, found, worst = np.argsort(p_values, kind="stable"), [0.0] * len(p_values), 0.0
    for done, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - done) * p_values[place]))
        found[place] = worst
    return found


def cost_of_choice(tables: Sequence[Table], *, seed: int = 0) -> float:
    """Return by how much the best of these scores flatters itself on the rows it was chosen on.

    The best on a random half of the rows loses that much on the other half, on average over `HALVES` halves; all rows together
    err less than a half, by √2.
    """
    by_row = np.stack([table.mean(0) for table in tables])
    draw, rows = np.random.default_rng(seed), by_row.shape[1]
    if len(tables) < 2 or rows < 2:
        return 0.0
    lost = 0.0
    for _ in range(HALVES):
        order = draw.permutation(rows)
        chosen_on, judged_on = (by_row[:, half].mean(1) for half in np.array_split(order, 2))
        best = int(chosen_on.argmax())
        lost += float(chosen_on[best] - judged_on[best])
    return max(0.0, lost / HALVES / sqrt(2))


def _half(rows: float, independent: int, of: tuple[Parts, Parts], level: float) -> float:
    return hypot(_of_rows(level, independent) * sqrt(rows), *(_student(level, each.count) * sqrt(each.seeds) for each in of))


def _smoothed(paired: NDArray[np.float64]) -> float:
    rows = len(paired) + 1
    return float(((paired**2).sum() + 1) / rows - (paired.sum() / rows) ** 2) / rows


def _p(distance: float, half: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    most = 1 - 1e-9
    if distance == 0:
        return 1.0
    if half(most) <= distance:
        return 1 - most
    return float(1 - brentq(lambda level: half(level) - distance, 0.0, most))


def _normal(level: float) -> float:
    from scipy.special import ndtri  # half a second to import: only where something is compared

    return float(ndtri((1 + level) / 2))


def _of_rows(level: float, independent: int) -> float:
    """Standard errors that the rows' part reaches: Student's, for few groups of rows matter, but of proportions the normal's."""
    return _student(level, independent) if independent > 1 else _normal(level)


def _student(level: float, count: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1 + level) / 2)) if count > 1 else 0.0


def _is_proportion(table: Table) -> bool:
    return bool(np.isin(table, (0.0, 1.0)).all())
