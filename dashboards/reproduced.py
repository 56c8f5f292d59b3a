"""A paper's table and ours, one row a task."""

from collections.abc import Mapping
from types import SimpleNamespace

from rich.console import RenderableType

from ..spaces.records import Point
from .tables import Column, table
from .words import count

WIDE = 110
"""Columns of a terminal from which on the paper's other methods are shown, too."""
Pair = tuple[Point | None, Point | None]
"""The best ULPT, and the best of all methods."""


def reproduced_table(
    theirs: Mapping[str, Mapping[str, float]], ours: Mapping[str, Pair], *, metrics: Mapping[str, str], width: int | None
) -> RenderableType:
    """Return the table. `theirs` is method -> task -> per cent; `ours` task -> points, whose test scores are shown in per cent."""
    titles = ("task", "metric", *theirs, "our ULPT", "our best")
    wide = {title for title in theirs if not title.startswith("ULPT")}
    columns = [
        Column(f"c{number}", title, number=number > 1, from_width=WIDE if title in wide else 0) for number, title in enumerate(titles)
    ]
    rows = [
        _row(task, metrics[task], *(_percent(scores.get(task)) for scores in theirs.values()), _ulpt(ulpt), _best(best))
        for task, (ulpt, best) in ours.items()
    ]
    return table(columns, rows, width=width)


def _row(*cells: str) -> SimpleNamespace:
    """A table's row has fields; how many methods a paper compares is not known before."""
    return SimpleNamespace(**{f"c{number}": cell for number, cell in enumerate(cells)})


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{score:.1f}"


def _ulpt(point: Point | None) -> str:
    return "–" if point is None or point.test_score is None else f"{100 * point.test_score:.1f} ({count(point.trainable_parameters)})"


def _best(point: Point | None) -> str:
    return "–" if point is None else f"{_ulpt(point)} {point.method}"
