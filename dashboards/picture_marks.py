"""What stands inside a picture's axes: trials, frontier, intervals and names."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..spaces.records import Point
from .curve import Curve
from .palette import THEMES, Style
from .scale import reference_start
from .verdicts import reported
from .words import metric, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = THEMES["light"]
FAINT = 0.22


def draw_methods(axes: "Axes", curve: Curve) -> None:
    """Draw every point in its method's colour and shape, those of the frontier large."""
    on_front = {point.trial for point in curve.front}
    for method, style in curve.styles.items():
        mine = [point for point in curve.points if point.method == method]
        known = any(point.method == method for point in curve.drawn)
        _scatter(axes, [p for p in mine if p.trial not in on_front], style, size=40, alpha=0.65, name=method if known else None)
        _scatter(axes, [p for p in mine if p.trial in on_front], style, size=95, alpha=1.0)


def draw_faint(axes: "Axes", curve: Curve) -> None:
    """Draw the trials that are not compared, faintly."""
    for method, style in curve.styles.items():
        _scatter(axes, [point for point in curve.faint if point.method == method], style, size=26, alpha=FAINT)


def draw_front(axes: "Axes", curve: Curve) -> None:
    """Draw the frontier as steps up to the budget, and the intervals of its points."""
    front = curve.front
    x = [point.trainable_parameters for point in front]
    y = [point.score for point in front]
    axes.step([*x, curve.budget], [*y, y[-1]], where="post", color=INK.text, linewidth=1.4, zorder=4, label="frontier\n(validation)")
    _intervals(axes, curve)
    if curve.faint:
        axes.scatter([], [], s=26, color=INK.muted, alpha=2 * FAINT, label="faint: a trial of the\nsearch, not compared")


def draw_references(axes: "Axes", curve: Curve) -> None:
    """Draw a dashed line at the score of each reference, from its size on, and a mark where that is."""
    low, high = axes.get_xlim()
    for one, dash in zip(curve.references, (":", "-.", "--"), strict=False):
        start = reference_start(one, low, high)
        axes.plot(
            [start, high], [one.score] * 2, linestyle=dash, color=INK.muted, linewidth=1.3, zorder=2, label=f"{one.kind}\n(reference)"
        )
        if start > low:
            axes.scatter([start], [one.score], marker="d", s=55, facecolors="none", edgecolors=INK.muted, zorder=5)


def draw_labels(axes: "Axes", front: Sequence[Point]) -> None:
    """Name the frontier's points, from the best down, leaving out those whose label would touch another."""
    from matplotlib.patheffects import withStroke

    taken: list[float] = []
    for point in reversed(front):
        place = math.log10(point.trainable_parameters)
        if all(abs(place - other) > 0.28 for other in taken):
            taken.append(place)
            text = f"trial {point.trial}\n{metric(point.score)}"
            at = (point.trainable_parameters, point.score)
            label = axes.annotate(text, at, (-7, 8), textcoords="offset points", ha="right", size=8.5, color=INK.text, zorder=6)
            label.set_path_effects([withStroke(linewidth=2.5, foreground=INK.background)])


def _scatter(axes: "Axes", shown: Sequence[Point], style: Style, *, size: float, alpha: float, name: str | None = None) -> None:
    """Draw points of one method; `name` puts it into the legend, also where nothing is shown here."""
    colour = style.colour("light")
    axes.scatter(
        [point.trainable_parameters for point in shown],
        [point.score for point in shown],
        s=size,
        marker=style.matplotlib,
        facecolors="none" if style.is_open else colour,
        edgecolors=colour if style.is_open else INK.background,
        linewidths=1.6 if style.is_open else 0.8,
        alpha=alpha,
        zorder=5 if alpha == 1 else 3,
        label=None if name is None else shorten(name, 18),
    )


def _intervals(axes: "Axes", curve: Curve) -> None:
    bounds = reported(curve)
    below, above = [each.centre - each.low for each in bounds], [each.high - each.centre for each in bounds]
    bars = axes.errorbar(
        [point.trainable_parameters for point in curve.front],
        [each.centre for each in bounds],
        yerr=[below, above],
        fmt="o" if curve.has_finals else "none",
        markersize=6,
        markerfacecolor=INK.background,
        color=INK.muted,
        capsize=4,
        linewidth=1,
        zorder=4.5,
        label="test mean over\nfresh seeds, 95 %" if curve.has_finals else "95 % interval\nover rows",
    )
    for line in (*bars[1], *bars[2]):
        line.set_zorder(2)
