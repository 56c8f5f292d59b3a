"""The curve as a PNG, drawn with matplotlib but without pyplot: no window system, no figures kept, any thread."""

import io
import math
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from ..spaces.records import Point
from .curve import Curve
from .palette import THEMES
from .words import count, metric, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOCK = Lock()
"""matplotlib's settings belong to the process, and the mirror draws from a thread of its own."""

INK = THEMES["light"]
BESIDE = 1.03
"""Where the legend begins, in widths of the plot."""
EDGE = 0.99
"""Where it has to end, in widths of the picture."""
FONTS = ["Inter", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"]


def png(curve: Curve) -> bytes:
    """Return the picture, 1600 × 1000."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import get_font_names

    fonts = [font for font in FONTS if font in get_font_names()]
    with LOCK, matplotlib.rc_context({"font.family": fonts, "font.size": 11, "text.parse_math": False}):
        figure = Figure(figsize=(10, 6.25), dpi=160, facecolor=INK.background)
        FigureCanvasAgg(figure)
        _draw(figure, curve)
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


def _draw(figure: "Figure", curve: Curve) -> None:
    axes = figure.add_axes((0.085, 0.13, 0.72, 0.70))
    title = f"{curve.metric[:1].upper()}{curve.metric[1:]} against trainable parameters"
    figure.text(0.085, 0.935, title, size=17, weight="bold", color=INK.text, va="center")
    figure.text(0.085, 0.882, f"{curve.study} · {curve.subject}", size=11, color=INK.muted, va="center")
    _frame(axes, curve)
    if not curve.points:
        axes.text(0.5, 0.5, "No trial has been scored yet", transform=axes.transAxes, ha="center", color=INK.muted, size=13)
        return
    _draw_methods(axes, curve)
    _draw_front(axes, curve)
    _draw_labels(axes, curve.front)
    small = len(curve.styles) > 14
    legend = axes.legend(
        loc="upper left",
        bbox_to_anchor=(BESIDE, 1.01),
        frameon=False,
        labelcolor=INK.text,
        borderaxespad=0,
        fontsize=7.5 if small else 11,
        labelspacing=0.5 if small else 0.8,
    )
    _make_room(axes, legend.get_window_extent().x1 / figure.bbox.width)


def _make_room(axes: "Axes", end: float) -> None:
    """Narrow the plot where its legend's `end`, a share of the picture's width, would be cut off."""
    left, bottom, width, height = axes.get_position().bounds
    axes.set_position((left, bottom, width - max(0.0, end - EDGE) / BESIDE, height))


def _frame(axes: "Axes", curve: Curve) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    axes.set_xscale("log")
    low, high = parameter_range(curve)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 50 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: count(round(x))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.set_xlabel("trainable parameters (logarithmic)", color=INK.muted, labelpad=8)
    axes.set_ylabel(curve.metric, color=INK.muted, labelpad=8)
    axes.grid(axis="y", color=INK.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK.muted, length=3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK.muted)
    axes.axvline(curve.budget, color=INK.budget, linestyle=(0, (5, 3)), linewidth=1.3)
    place = axes.get_xaxis_transform()
    axes.text(curve.budget, 1.012, f"budget {count(curve.budget)}", transform=place, color=INK.budget, ha="center", size=10)


def _draw_methods(axes: "Axes", curve: Curve) -> None:
    on_front = {point.trial for point in curve.front}
    for method, style in curve.styles.items():
        mine = [point for point in curve.points if point.method == method]
        for chosen in (False, True):
            shown = [point for point in mine if (point.trial in on_front) == chosen]
            axes.scatter(
                [point.trainable_parameters for point in shown],
                [point.score for point in shown],
                s=95 if chosen else 40,
                marker=style.matplotlib,
                color=style.colour("light"),
                alpha=1.0 if chosen else 0.65,
                edgecolors=INK.background,
                linewidths=0.8,
                zorder=5 if chosen else 3,
                label=None if chosen or not mine else shorten(method, 18),
            )


def _draw_front(axes: "Axes", curve: Curve) -> None:
    front = curve.front
    x = [point.trainable_parameters for point in front]
    y = [point.score for point in front]
    axes.step([*x, curve.budget], [*y, y[-1]], where="post", color=INK.text, linewidth=1.4, zorder=4, label="frontier\n(validation)")
    tested = [point for point in front if (point.test_score is not None) == curve.has_finals]
    centre = [point.score if point.test_score is None else point.test_score for point in tested]
    below = [c - point.score_low for c, point in zip(centre, tested, strict=True)]
    above = [point.score_high - c for c, point in zip(centre, tested, strict=True)]
    bars = axes.errorbar(
        [point.trainable_parameters for point in tested],
        centre,
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


def _draw_labels(axes: "Axes", front: Sequence[Point]) -> None:
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


def parameter_range(curve: Curve) -> tuple[float, float]:
    """Return the ends of the parameter axis: all points and the budget, with air of a tenth of the range (in decades)."""
    numbers = [curve.budget, *(point.trainable_parameters for point in curve.points)]
    low, high = math.log10(max(1, min(numbers))), math.log10(max(1, *numbers))
    air = max(0.1, (high - low) * 0.08)
    return 10 ** (low - air), 10 ** (high + air)
