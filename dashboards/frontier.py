"""The trade-off curve's frontier: the only Pareto computation of the project, decided by validation scores alone."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..spaces.records import Point
from ..spaces.space import Size


def size_of(point: Point, size: Size = "parameters") -> int:
    """Return a point's size."""
    return point.bytes if size == "bytes" else point.trainable_parameters


def frontier(points: Iterable[Point], *, size: Size = "parameters") -> list[Point]:
    """Return the points that no other point matches at a smaller size or beats at no larger one, smallest first.

    Of equal scores the smallest stays; of equal scores at equal sizes the lowest trial number. O(n log n).
    """
    known = list(points)
    sizes, scores, trials = ([size_of(p, size) for p in known], [p.score for p in known], [p.trial for p in known])
    return [known[place] for place in unbeaten(np.array(sizes, np.int64), np.array(scores, np.float64), np.array(trials, np.int64))]


def unbeaten(sizes: NDArray[np.int64], scores: NDArray[np.float64], trials: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the places of those that are on the frontier, smallest first."""
    order = np.lexsort((trials, -scores, sizes))  # the last counts most
    ranked = scores[order]
    before = np.concatenate(([-np.inf], np.maximum.accumulate(ranked)))[: len(order)]
    return order[ranked > before]
