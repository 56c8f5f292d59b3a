"""The trade-off curve's frontier: the only Pareto computation of the project, decided by validation scores alone."""

from collections.abc import Iterable

from ..spaces.records import Point
from ..spaces.space import Size


def size_of(point: Point, size: Size = "parameters") -> int:
    """Return a point's size."""
    return point.bytes if size == "bytes" else point.trainable_parameters


def frontier(points: Iterable[Point], *, size: Size = "parameters") -> list[Point]:
    """Return the points that no other point matches at a smaller size or beats at no larger one, smallest first.

    Of equal scores the smallest stays; of equal scores at equal sizes the lowest trial number. O(n log n).
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (size_of(p, size), -p.score, p.trial)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front
