"""The curve as a plotly figure, for the page."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..spaces.records import Point
from .chart_layout import layout
from .curve import Curve
from .palette import THEMES, Scheme, Theme
from .scale import parameter_range, reference_start
from .verdicts import reported
from .words import configuration, count, mean_over_seeds, metric, size

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

FAINT = {"light": 0.22, "dark": 0.4}


def figure(curve: Curve, scheme: Scheme) -> "Figure":
    """Return the figure in the colours of a light or a dark page: steps, intervals, faint trials, then a trace a method."""
    from plotly.graph_objects import Figure

    theme = THEMES[scheme]
    faint = [_faint(curve, method, scheme) for method in dict.fromkeys(point.method for point in curve.faint)]
    front = [_steps(curve, theme), _intervals(curve, theme)] if curve.front else []
    methods = [_method(curve, method, scheme) for method in curve.styles]
    return Figure([*front, *faint, *methods, *_references(curve, theme)], layout(curve, theme))


def hover(point: Point, *, faint: bool = False) -> str:
    """Return what a point says of itself, in the few tags that plotly understands."""
    lines = [
        f"<b>{escape(point.method, quote=False)}</b> · trial {point.trial}",
        f"{count(point.trainable_parameters)} parameters · {size(point.bytes)}",
        f"validation {metric(point.score)} at step {point.steps}{_kind(point, faint=faint)}",
        f"95 % interval {metric(point.score_low)} to {metric(point.score_high)}, validation",
        escape(configuration(point.hyperparameters), quote=False),
        f"seed {point.seed}",
    ]
    if point.test_score is not None:
        lines.insert(4, f"test {mean_over_seeds(point)}, the same adapters")
    return "<br>".join(lines)


def _kind(point: Point, *, faint: bool) -> str:
    if faint:
        return ", one trial of the search: not compared"
    return f", mean of {len(point.seeds)} fresh seeds" if point.finals else ""


def _method(curve: Curve, method: str, scheme: Scheme) -> "Scatter":
    shown = [point for point in curve.points if point.method == method]
    on_front = {point.trial for point in curve.front}
    trace = _marks(shown, y=[point.score for point in shown], name=escape(method, quote=False))
    style = curve.styles[method]
    marker = {
        "symbol": style.plotly,
        "color": style.colour(scheme),
        "size": [15 if point.trial in on_front else 10 for point in shown],
        "opacity": [1.0 if point.trial in on_front else 0.65 for point in shown],
        "line": {"color": style.colour(scheme) if style.is_open else THEMES[scheme].background, "width": 2 if style.is_open else 1},
    }
    return trace.update(marker=marker, legendgroup=method)


def _faint(curve: Curve, method: str, scheme: Scheme) -> "Scatter":
    """The method's trials that are not compared; the legend switches them with the others."""
    shown = [point for point in curve.faint if point.method == method]
    alone = all(point.method != method for point in curve.points)  # then the legend has no other place for it
    trace = _marks(shown, y=[point.score for point in shown], name=escape(method, quote=False), faint=True)
    style = curve.styles[method]
    marker = {"symbol": style.plotly, "color": style.colour(scheme), "size": 8, "opacity": FAINT[scheme]}
    return trace.update(marker=marker, legendgroup=method, showlegend=alone)


def _marks(shown: Sequence[Point], *, y: Sequence[float], name: str, faint: bool = False) -> "Scatter":
    """Marks that say what they are when pointed at, and which trial when clicked."""
    from plotly.graph_objects import Scatter

    return Scatter(
        mode="markers",
        name=name,
        x=[point.trainable_parameters for point in shown],
        y=y,
        customdata=[point.trial for point in shown],
        hovertext=[hover(point, faint=faint) for point in shown],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _steps(curve: Curve, theme: Theme) -> "Scatter":
    from plotly.graph_objects import Scatter

    return Scatter(
        mode="lines",
        name="frontier (validation)",
        x=[*(point.trainable_parameters for point in curve.front), curve.budget],
        y=[*(point.score for point in curve.front), curve.front[-1].score],
        line={"shape": "hv", "color": theme.text, "width": 1.6},
        hoverinfo="skip",
    )


def _references(curve: Curve, theme: Theme) -> "Iterator[Scatter]":
    """A dashed line at the score of each reference, from its size on (the frozen model's all the way), and what it is."""
    from plotly.graph_objects import Scatter

    low, high = parameter_range(curve)
    for one, dash in zip(curve.references, ("dot", "dashdot", "longdash"), strict=False):
        x = [reference_start(one, low, high), high]
        line = {"color": theme.muted, "width": 1.5, "dash": dash}
        told = f"{escape(one.about, quote=False)}<br>{count(one.parameters)} parameters, validation {metric(one.score)}"
        marker = {"symbol": "diamond-tall-open", "size": 11, "color": theme.muted, "opacity": [1 if x[0] > low else 0, 0]}
        name = f"{one.kind} (reference)"
        yield Scatter(
            mode="lines+markers", name=name, x=x, y=[one.score] * 2, line=line, marker=marker, hovertext=told,
            hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip


def _intervals(curve: Curve, theme: Theme) -> "Scatter":
    shown, bounds = curve.front, reported(curve)
    centre = [each.centre for each in bounds]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [each.high - each.centre for each in bounds],
        "arrayminus": [each.centre - each.low for each in bounds],
        "color": theme.muted,
        "thickness": 1.3,
        "width": 5,
    }
    name = "test mean over fresh seeds, 95 %" if curve.has_finals else "95 % interval over rows"
    marker = {"symbol": "circle-open", "color": theme.muted, "size": 8 if curve.has_finals else 0.1, "line": {"width": 1.5}}
    return _marks(shown, y=centre, name=name).update(error_y=bars, marker=marker)
