"""The trade-off curve: records in, points out, and the only Pareto computation of the project.

The curve compares scores of one step only, the highest that any trial has reached, and it is decided by validation
scores alone: the test split is reported beside it and moves no point on or off the curve.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..spaces.records import Point, Result, Trial
from .intervals import over_rows, over_seeds

Finals = Mapping[int, Mapping[int, Result]]
"""Search trial -> fresh seed -> its test result."""


def points(trials: Iterable[Trial], results: Iterable[Result]) -> list[Point]:
    """Return one point for every search trial with a validation score at the highest step, by trial number.

    Scores that are not finite are left out. `score` is the validation score at that step. Where a finalist has been
    retrained over fresh seeds, `test_score` is the mean of those and the interval is that of the mean
    (`intervals.over_seeds`); elsewhere the interval is that of the validation score over its rows.
    """
    known, usable = _usable(trials, results)
    latest = _latest(known, usable)
    top = max((result.step for result in latest), default=0)
    finals = _finals(known, usable)
    return [_point(known[result.trial], result, finals.get(result.trial, {})) for result in latest if result.step == top]


def earlier_points(trials: Iterable[Trial], results: Iterable[Result]) -> list[Point]:
    """Return one point for every scored search trial that `points` leaves out, at the highest step it reached, by trial number.

    Such trials were stopped, failed, or go on: their scores are of other steps and are compared with nothing.
    """
    known, usable = _usable(trials, results)
    latest = _latest(known, usable)
    top = max((result.step for result in latest), default=0)
    return [_point(known[result.trial], result, {}) for result in latest if result.step < top]


def frontier(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other point matches with fewer parameters or beats with no more, cheapest first.

    Of equal scores the cheapest stays; of equal scores at equal parameters the lowest trial number. O(n log n).
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.trainable_parameters, -p.score, p.trial)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front


def _usable(trials: Iterable[Trial], results: Iterable[Result]) -> tuple[dict[int, Trial], list[Result]]:
    """The trials by number, and the results of those that are finite."""
    known = {trial.number: trial for trial in trials}
    return known, [result for result in results if result.trial in known and math.isfinite(result.score)]


def _latest(known: Mapping[int, Trial], usable: Iterable[Result]) -> list[Result]:
    """The validation result of every search trial at its highest step, by trial number."""
    latest: dict[int, Result] = {}
    for result in usable:
        if result.split != "validation" or known[result.trial].purpose != "search":
            continue
        if result.trial not in latest or result.step > latest[result.trial].step:
            latest[result.trial] = result
    return [latest[number] for number in sorted(latest)]


def _finals(known: Mapping[int, Trial], results: Sequence[Result]) -> Finals:
    finals: dict[int, dict[int, Result]] = defaultdict(dict)
    for result in sorted(results, key=lambda result: result.step):
        trial = known[result.trial]
        if result.split == "test" and trial.finalist is not None:
            finals[trial.finalist][trial.seed] = result
    return finals


def _point(trial: Trial, result: Result, finals: Mapping[int, Result]) -> Point:
    seeds = tuple(sorted(finals))
    tests = [finals[seed] for seed in seeds]
    interval = over_seeds([r.score for r in tests], [r.variance for r in tests]) if tests else over_rows(result.score, result.variance)
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
        test_score=interval.centre if tests else None,
        seeds=seeds,
    )
