"""What may honestly be said about a curve: who ties with whom, and how much the choice itself flatters."""

from collections.abc import Sequence
from statistics import fmean

from ..spaces.records import Point
from .intervals import Interval, difference
from .words import count, metric


def interval_of(point: Point) -> Interval:
    """Return the point's 95 % interval, around the test mean where there is one, else around the validation score."""
    centre = point.score if point.test_score is None else point.test_score
    return Interval(centre, point.score_low, point.score_high)


def tied(a: Point, b: Point) -> bool:
    """Whether the 95 % interval of the difference holds zero. A test mean is never compared with a validation score."""
    if (a.test_score is None) != (b.test_score is None):
        return False
    return not difference(interval_of(a), interval_of(b)).excludes_zero


def ties(points: Sequence[Point]) -> dict[int, tuple[int, ...]]:
    """Return trial -> the other trials of `points` that it cannot be told from, in the given order. O(n²)."""
    return {a.trial: tuple(b.trial for b in points if b.trial != a.trial and tied(a, b)) for a in points}


def cheapest_tie(front: Sequence[Point]) -> Point | None:
    """Return the cheapest point of a frontier (cheapest first) that ties with its last, the best by validation."""
    return next((point for point in front[:-1] if tied(point, front[-1])), None)


def optimism(points: Sequence[Point]) -> float | None:
    """Return by how much validation exceeds the test mean, averaged over the points that have both; None without any."""
    gaps = [point.score - point.test_score for point in points if point.test_score is not None]
    return fmean(gaps) if gaps else None


def notes(points: Sequence[Point], front: Sequence[Point]) -> list[str]:
    """Return the sentences that belong under every rendering of the curve."""
    if not front:
        return ["No trial has been scored yet."]
    return [_winners_curse(points, front), _tie_with_best(front), *_untested(front)]


def _winners_curse(points: Sequence[Point], front: Sequence[Point]) -> str:
    chosen = f"These points are the best of {count(len(points))} by validation score, and being chosen for it flatters it (winner's curse)"
    gap = optimism(front)
    if gap is None:
        return f"{chosen}. No test score yet: expect less on new data."
    direction, link = ("above", ": on average validation is") if gap >= 0 else ("below", ". Even so, on average validation is here")
    return f"{chosen}{link} {metric(abs(gap))} {direction} the test mean over fresh seeds. No choice has looked at the test split."


def _untested(front: Sequence[Point]) -> list[str]:
    """A curve that has moved on since its finals says so."""
    waiting = [str(point.trial) for point in front if point.test_score is None]
    if len(waiting) in (0, len(front)):
        return []
    return [f"No test score yet for trial{'s' if len(waiting) > 1 else ''} {', '.join(waiting)}: not compared with those that have one."]


def _tie_with_best(front: Sequence[Point]) -> str:
    best, cheap = front[-1], cheapest_tie(front)
    basis = "test mean" if best.test_score is not None else "validation score"
    named = f"trial {best.trial} ({count(best.trainable_parameters)} parameters)"
    if cheap is None:
        return f"No cheaper point of the curve ties with the best one, {named}, at 95 % by {basis}."
    share = cheap.trainable_parameters / best.trainable_parameters
    return (
        f"Trial {cheap.trial} ties with the best one, {named}, at 95 % by {basis} and has {count(cheap.trainable_parameters)}, "
        f"{share * 100:.0f} % as many. Pairs are compared one by one, without a correction for their number."
    )
