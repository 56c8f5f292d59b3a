"""The curve in a terminal, drawn by plotext: one letter per method, capitals on the frontier, a step line through them."""

from collections.abc import Iterable, Mapping, Sequence
from math import log10
from threading import Lock
from typing import Any

from rich.color import Color
from rich.text import Text

from ..spaces.records import Point
from .curve import Curve
from .scale import decimal_ticks, parameter_range
from .words import count, metric

LOCK = Lock()
"""plotext draws on one figure that belongs to the process."""

FRAME = str.maketrans("┌┐└┘├┤┬┴┼─│┊·", "+++++++++-|!.")
"""What stands for the lines of a plot where only ASCII can be printed."""
GUTTER = 8
"""About the columns left of the plot, for the scores."""


def letters(methods: Iterable[str]) -> dict[str, str]:
    """Return method -> a letter of its own: the first of its name that is free, then any that is; `*` after 26."""
    given: dict[str, str] = {}
    for method in sorted(set(methods)):
        wanted = (character for character in f"{method.lower()}abcdefghijklmnopqrstuvwxyz" if "a" <= character <= "z")
        given[method] = next((letter for letter in wanted if letter not in given.values()), "*")
    return given


def plot(curve: Curve, *, width: int, height: int = 14, ascii_only: bool = False) -> Text:
    """Return the curve on `width` columns: a heading, `height` rows of plot with frame and numbers, and a legend."""
    if not curve.points:
        return Text("No trial has been scored yet.", style="dim")
    named = letters(curve.styles)
    with LOCK:
        drawn = _drawn(curve, named, width=width, height=height)
    heading = f"{curve.metric} over trainable parameters"
    body = Text.from_ansi(drawn.translate(FRAME) if ascii_only else drawn, no_wrap=True, overflow="crop")
    return Text("\n").join([Text(heading, style="dim"), body, _legend(curve, named, "." if ascii_only else "·")])


def _drawn(curve: Curve, named: Mapping[str, str], *, width: int, height: int) -> str:
    """Return the plot with its frame, in the escape sequences of a terminal."""
    import plotext

    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(width, height + 3)
    plotext.theme("clear")
    _scales(plotext, curve, columns=width - GUTTER)
    _draw_lines(plotext, curve)
    _draw_points(plotext, curve, named)
    return str(plotext.build()).rstrip("\n")


def _scales(plotext: Any, curve: Curve, *, columns: int) -> None:
    low, high = parameter_range(curve)
    ticks = _ticks(low, high, curve.budget, columns=columns)
    plotext.xlim(log10(low), log10(high))
    plotext.xticks([log10(tick) for tick in ticks], [count(tick) for tick in ticks])
    bottom, top = _score_range(curve)
    plotext.ylim(bottom, top)
    scores = [bottom, (bottom + top) / 2, top]
    plotext.yticks(scores, [metric(score) for score in scores])


def _score_range(curve: Curve) -> tuple[float, float]:
    scores = [point.score for point in curve.drawn]
    air = (max(scores) - min(scores)) * 0.05 or 0.01
    return min(scores) - air, max(scores) + air


def _draw_lines(plotext: Any, curve: Curve) -> None:
    """The budget over the whole height, and the frontier: across to the next point's parameters, then up to it."""
    front, budget = curve.front, log10(curve.budget)
    plotext.plot([budget] * 2, _score_range(curve), marker="┊", color="gray")
    ends = [*map(_place, front[1:]), budget]
    for point, after, end in zip(front, (*front[1:], front[-1]), ends, strict=True):
        plotext.plot([end] * 2, [point.score, after.score], marker="│", color="gray")
        plotext.plot([_place(point), end], [point.score] * 2, marker="─", color="gray")


def _draw_points(plotext: Any, curve: Curve, named: Mapping[str, str]) -> None:
    _scatter(plotext, curve.faint, marker="·", colour="bright_black")
    for method, style in curve.styles.items():
        _scatter(plotext, [p for p in curve.points if p.method == method], marker=named[method], colour=style.terminal)
    for point in curve.front:
        _scatter(plotext, [point], marker=named[point.method].upper(), colour=curve.styles[point.method].terminal, weight="bold")


def _scatter(plotext: Any, points: Sequence[Point], *, marker: str, colour: str, weight: str = "default") -> None:
    if points:
        number = Color.parse(colour).number  # plotext calls yellow orange, and a bright one yellow
        plotext.scatter([_place(p) for p in points], [p.score for p in points], marker=marker, color=number, style=weight)


def _place(point: Point) -> float:
    """The decades of a point's parameters: plotext's own logarithmic scale leaves points out where limits are set."""
    return log10(max(1, point.trainable_parameters))


def _ticks(low: float, high: float, budget: int, *, columns: int) -> list[int]:
    """Return the budget and those round numbers whose labels, as wide as they are, stand apart from each other."""
    kept: list[int] = []
    for tick in (budget, *decimal_ticks(low, high, factors=(1,)), *decimal_ticks(low, high, factors=(2, 5))):
        room = (len(count(tick)) + len(count(budget))) / 2 + 2
        if all(abs(log10(tick / other)) / log10(high / low) * columns >= room for other in kept):
            kept.append(tick)
    return sorted(kept)


def _legend(curve: Curve, named: Mapping[str, str], dot: str) -> Text:
    scored = {point.method for point in curve.points}
    shown = [(method, style) for method, style in curve.styles.items() if method in scored]
    parts = [Text.assemble((named[method], f"bold {style.terminal}"), f" {method}") for method, style in shown]
    faint = f"  {dot} a trial of the search, not compared" if curve.faint else ""
    return Text.assemble(Text("  ").join(parts), (f"  capitals: the frontier{faint}", "dim"))
