"""Records in, points out: what the search saw of each trial, and what the finals measured of each configuration.

Two kinds of points, which are never compared with each other. A *searched* point is one search trial at one step, chosen among many by
the very score it shows. A *measured* point is a configuration retrained over fresh seeds: its validation score and its test score are
means over the same adapters at the same step, and every choice among configurations follows from the validation score alone.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from ..spaces.metrics import ANYTHING
from ..spaces.records import Point, Result, Split, Trial
from .crossed import Table, over_table
from .intervals import Interval, over_rows, over_seeds

RowScores = Mapping[tuple[int, Split], "Sequence[float] | NDArray[np.float64]"]
"""(Final trial, split) -> what each row of the split adds to its score, as far as it was kept."""
Ends = tuple[float, float]
"""What no score can be below, and above."""
Tables = dict[int, dict[Split, Table]]
"""Configuration (its search trial) -> split -> (seeds, rows)."""


@dataclass(frozen=True)
class Plan:
    """What a study means its finals to be, and which of them came to nothing."""

    seeds: int
    """How many everyone of the finals is to have; what time is left may bring more."""
    failed: Collection[int] = ()
    """Trials that failed; others without a result are under way, or were cut off."""


def points(
    trials: Iterable[Trial],
    results: Iterable[Result],
    rows: RowScores | None = None,
    *,
    ends: Ends = ANYTHING,
    plan: Plan | None = None,
) -> list[Point]:
    """Return the points that a curve compares: the measured ones where there are any, else the searched ones, by trial number.

    Intervals end where scores do. Without a `plan` of the finals those are ranked that have as many of them as any.
    """
    known, usable = _usable(trials, results)
    found = _measured(known, usable, rows or {}, plan) or _searched(known, usable)
    return [_within(point, ends) for point in found]


def searched_points(trials: Iterable[Trial], results: Iterable[Result]) -> list[Point]:
    """Return one point for every search trial with a validation score at the highest step that one has reached, by trial number."""
    return _searched(*_usable(trials, results))


def faint_points(trials: Iterable[Trial], results: Iterable[Result], *, plan: Plan | None = None) -> list[Point]:
    """Return one point for every scored search trial that `points` does not hold, at the highest step it reached, by trial number.

    Such trials were stopped, failed, go on, or were not chosen for the finals: what they show is compared with nothing.
    """
    known, usable = _usable(trials, results)
    latest, measured = _latest(known, usable), {point.trial for point in _measured(known, usable, {}, plan)}
    top = max((result.step for result in latest), default=0)
    apart = [r for r in latest if r.trial not in measured and (measured or r.step < top)]
    return [_searched_point(known[result.trial], result) for result in apart]


def incomplete(trials: Iterable[Trial], results: Iterable[Result], *, plan: Plan | None = None) -> int:
    """Return how many configurations are not ranked, since fewer of their finals have come than of the others'."""
    known, usable = _usable(trials, results)
    every = {trial.finalist for trial in known.values() if trial.purpose == "final"}
    return len(every) - len(_ranked(known, usable, plan))


def tables(trials: Iterable[Trial], results: Iterable[Result], rows: RowScores, *, plan: Plan | None = None) -> Tables:
    """Return what each row added to each final's score, one table a ranked configuration and split, where all its finals kept it."""
    known, usable = _usable(trials, results)
    found: Tables = defaultdict(dict)
    for finalist, pairs in _ranked(known, usable, plan).items():
        for split in _SPLITS:
            table = _table([pair[split] for pair in pairs.values()], split, rows)
            if table is not None:
                found[finalist][split] = table
    return dict(found)


_SPLITS: tuple[Split, Split] = ("validation", "test")

Pair = dict[Split, Result]
"""A final's results on both splits at its highest step."""


def _usable(trials: Iterable[Trial], results: Iterable[Result]) -> tuple[dict[int, Trial], list[Result]]:
    """The trials by number, and the results of those that are finite."""
    known = {trial.number: trial for trial in trials}
    return known, [result for result in results if result.trial in known and math.isfinite(result.score)]


def _searched(known: Mapping[int, Trial], usable: Sequence[Result]) -> list[Point]:
    latest = _latest(known, usable)
    top = max((result.step for result in latest), default=0)
    return [_searched_point(known[result.trial], result) for result in latest if result.step == top]


def _latest(known: Mapping[int, Trial], usable: Iterable[Result]) -> list[Result]:
    """The validation result of every search trial at its highest step, by trial number."""
    latest: dict[int, Result] = {}
    for result in usable:
        if result.split != "validation" or known[result.trial].purpose != "search":
            continue
        if result.trial not in latest or result.step > latest[result.trial].step:
            latest[result.trial] = result
    return [latest[number] for number in sorted(latest)]


def _finals(known: Mapping[int, Trial], usable: Iterable[Result]) -> dict[int, dict[int, Pair]]:
    """Configuration -> seed -> the final's results, of those that have both splits at one step; all at the highest such step."""
    pairs: dict[tuple[int, int], Pair] = defaultdict(dict)
    for result in usable:
        if known[result.trial].purpose == "final":
            pairs[result.step, result.trial].setdefault(result.split, result)
    whole = {key: pair for key, pair in pairs.items() if pair.keys() >= set(_SPLITS)}
    top = max((step for step, _ in whole), default=0)
    found: dict[int, dict[int, Pair]] = defaultdict(dict)
    for (step, number), pair in sorted(whole.items()):
        trial = known[number]
        if step == top and trial.finalist is not None and trial.finalist in known:
            found[trial.finalist][trial.seed] = pair
    return found


def _measured(known: Mapping[int, Trial], usable: Sequence[Result], rows: RowScores, plan: Plan | None) -> list[Point]:
    return [_measured_point(known[number], pairs, rows) for number, pairs in sorted(_ranked(known, usable, plan).items())]


def _ranked(known: Mapping[int, Trial], usable: Sequence[Result], plan: Plan | None) -> dict[int, dict[int, Pair]]:
    """The finals by which configurations are compared: all under the same seeds, the first so many.

    Where time ran out within the plan, so many that most finals count; beyond it, as many as all have that have the planned ones. Without
    a plan as many as any has. One of whose planned finals some failed is left out: the mean over the others would rank it by its luck. If
    that is so of all, those before the first that failed count.
    """
    finals = _finals(known, usable)
    given = [trial for trial in known.values() if trial.purpose == "final"]
    order = sorted({trial.seed for trial in given})
    planned = order if plan is None else order[: plan.seeds]
    failed = {trial.finalist for trial in given if plan and trial.number in plan.failed and trial.seed in planned}
    left = finals.keys() - failed or finals.keys()
    had = {one: sum(1 for _ in takewhile(finals[one].__contains__, order)) for one in sorted(left)}
    number = _counted(list(had.values()), len(planned)) if plan else max(had.values(), default=0)
    return {one: {seed: finals[one][seed] for seed in order[:number]} for one, count in had.items() if count >= number > 0}


def _counted(had: Sequence[int], planned: int) -> int:
    """By how many seeds configurations are ranked that have so many of the first each; of equals the fewer, which more of them have."""
    number = max(range(1, planned + 1), key=lambda n: (n * sum(count >= n for count in had), -n), default=0)
    whole = [count for count in had if count >= planned]
    return min(whole) if number == planned and whole else number


def _measured_point(trial: Trial, pairs: Mapping[int, Pair], rows: RowScores) -> Point:
    seeds = tuple(sorted(pairs))
    results = {split: [pairs[seed][split] for seed in seeds] for split in _SPLITS}
    validation, test = (_interval(results[split], split, rows) for split in _SPLITS)
    ranked = sorted(range(len(seeds)), key=lambda place: (results["validation"][place].score, seeds[place]))
    median = ranked[(len(ranked) - 1) // 2]
    chosen = results["validation"][median]
    return Point(
        trial=trial.number,
        method=trial.method,
        hyperparameters=trial.hyperparameters,
        seed=trial.seed,
        trainable_parameters=trial.parameters,
        bytes=chosen.bytes,
        steps=chosen.step,
        score=validation.centre,
        score_low=validation.low,
        score_high=validation.high,
        test_score=test.centre,
        test_low=test.low,
        test_high=test.high,
        seeds=seeds,
        finals=tuple(result.trial for result in results["validation"]),
        exported=chosen.trial,
        exported_score=chosen.score,
        exported_test=results["test"][median].score,
        others=_others(results["test"]),
    )


def _others(results: Sequence[Result]) -> dict[str, float]:
    """The means of the further metrics that all these results have."""
    told = [result.others or {} for result in results]
    return {name: sum(one[name] for one in told) / len(told) for name in told[0] if all(name in one for one in told)}


def _searched_point(trial: Trial, result: Result) -> Point:
    interval = over_rows(result.score, result.variance)
    return Point(
        trial=trial.number,
        method=trial.method,
        hyperparameters=trial.hyperparameters,
        seed=trial.seed,
        trainable_parameters=trial.parameters,
        bytes=result.bytes,
        steps=result.step,
        score=result.score,
        score_low=interval.low,
        score_high=interval.high,
        exported=trial.number,
        exported_score=result.score,
        others=_others([result]),
    )


def _interval(results: Sequence[Result], split: Split, rows: RowScores) -> Interval:
    """The interval of a mean over finals: crossed with rows where these were kept, else from the scores alone.

    The mean is always that of the scores: of a metric that is no mean over rows, pseudo-values say how much it varies.
    """
    table, scores = _table(results, split, rows), [result.score for result in results]
    if table is None:
        return over_seeds(scores, [result.variance for result in results])
    found, mean = over_table(table), sum(scores) / len(scores)
    return Interval(mean, found.low + mean - found.centre, found.high + mean - found.centre)


def _within(point: Point, ends: Ends) -> Point:
    """The point with intervals that end where the metric does."""
    low, high = max(ends[0], point.score_low), min(ends[1], point.score_high)
    if point.test_low is None or point.test_high is None:
        return replace(point, score_low=low, score_high=high)
    return replace(point, score_low=low, score_high=high, test_low=max(ends[0], point.test_low), test_high=min(ends[1], point.test_high))


def _table(results: Sequence[Result], split: Split, rows: RowScores) -> Table | None:
    kept = [rows.get((result.trial, split)) for result in results]
    known = [np.asarray(one, dtype=np.float64) for one in kept if one is not None]
    same = len(known) == len(results) and len({len(one) for one in known}) == 1
    return np.stack(known) if same else None
