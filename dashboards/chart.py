"""The curve as a plotly figure in plain JSON values: no plotly import, so that building it costs nothing."""

import math
from html import escape
from typing import Any

from ..spaces.records import Point
from .curve import Curve
from .palette import THEMES, Scheme, Theme
from .picture import parameter_range
from .words import configuration, count, mean_over_seeds, metric, size

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


def figure(curve: Curve, scheme: Scheme) -> dict[str, Any]:
    """Return `{data, layout}` for `Plotly.react`, in the colours of a light or a dark page."""
    theme = THEMES[scheme]
    data = [_method(curve, method, scheme) for method in curve.styles]
    if curve.front:
        data = [_steps(curve, theme), _intervals(curve, theme), *data]
    return {"data": data, "layout": _layout(curve, theme)}


def hover(point: Point) -> str:
    """Return what a point says of itself, in the few tags that plotly understands."""
    lines = [
        f"<b>{escape(point.method, quote=False)}</b> · trial {point.trial}",
        f"{count(point.trainable_parameters)} parameters · {size(point.bytes)}",
        f"validation {metric(point.score)} at step {point.steps}",
        f"95 % interval {metric(point.score_low)} to {metric(point.score_high)}",
        escape(configuration(point.hyperparameters), quote=False),
        f"seed {point.seed}",
    ]
    if point.test_score is not None:
        lines.insert(3, f"test {mean_over_seeds(point)} over {len(point.seeds)} fresh seeds")
    return "<br>".join(lines)


def _method(curve: Curve, method: str, scheme: Scheme) -> dict[str, Any]:
    shown = [point for point in curve.points if point.method == method]
    on_front = {point.trial for point in curve.front}
    style = curve.styles[method]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(method, quote=False),
        "x": [point.trainable_parameters for point in shown],
        "y": [point.score for point in shown],
        "customdata": [point.trial for point in shown],
        "hovertext": [hover(point) for point in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "marker": {
            "symbol": style.plotly,
            "color": style.colour(scheme),
            "size": [15 if point.trial in on_front else 10 for point in shown],
            "opacity": [1.0 if point.trial in on_front else 0.65 for point in shown],
            "line": {"color": THEMES[scheme].background, "width": 1},
        },
    }


def _steps(curve: Curve, theme: Theme) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "frontier (validation)",
        "x": [*(point.trainable_parameters for point in curve.front), curve.budget],
        "y": [*(point.score for point in curve.front), curve.front[-1].score],
        "line": {"shape": "hv", "color": theme.text, "width": 1.6},
        "hoverinfo": "skip",
    }


def _intervals(curve: Curve, theme: Theme) -> dict[str, Any]:
    shown = [point for point in curve.front if (point.test_score is not None) == curve.has_finals]
    centre = [point.score if point.test_score is None else point.test_score for point in shown]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [point.score_high - c for point, c in zip(shown, centre, strict=True)],
        "arrayminus": [c - point.score_low for point, c in zip(shown, centre, strict=True)],
        "color": theme.muted,
        "thickness": 1.3,
        "width": 5,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "test mean over fresh seeds, 95 %" if curve.has_finals else "95 % interval over rows",
        "x": [point.trainable_parameters for point in shown],
        "y": centre,
        "customdata": [point.trial for point in shown],
        "hovertext": [hover(point) for point in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "error_y": bars,
        "marker": {"symbol": "circle-open", "color": theme.muted, "size": 8 if curve.has_finals else 0.1, "line": {"width": 1.5}},
    }


def _layout(curve: Curve, theme: Theme) -> dict[str, Any]:
    low, high = (math.log10(end) for end in parameter_range(curve))
    shared = {"gridcolor": theme.grid, "zeroline": False, "tickfont": {"color": theme.muted}, "linecolor": theme.muted, "automargin": True}
    # Powers of ten, with 2 and 5, or with every digit: what fits side by side.
    dtick = 1 if high - low > 5 else "D2" if high - low > 0.8 else "D1"
    ticks = {"type": "log", "range": [low, high], "dtick": dtick, "tickformat": ",d", "showgrid": False, "ticks": "outside"}
    pale = {"bgcolor": theme.background, "bordercolor": theme.muted, "font": {"color": theme.text, "family": FONT}, "align": "left"}
    return {
        "uirevision": "kept",
        "paper_bgcolor": theme.background,
        "plot_bgcolor": theme.background,
        "font": {"family": FONT, "size": 13, "color": theme.text},
        "xaxis": {**shared, **ticks, "title": {"text": "trainable parameters (logarithmic)", "font": {"color": theme.muted, "size": 14}}},
        "yaxis": {**shared, "title": {"text": escape(curve.metric, quote=False), "font": {"color": theme.muted, "size": 14}}},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
        "margin": {"l": 64, "r": 24, "t": 44, "b": 24},
        "hoverlabel": pale,
        "hovermode": "closest",
        "dragmode": "zoom",
        **_budget(curve.budget, theme),
    }


def _budget(budget: int, theme: Theme) -> dict[str, Any]:
    """A line over the whole height, named at its foot: the plot's buttons are at its head."""
    line = {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": budget,
        "x1": budget,
        "y0": 0,
        "y1": 1,
        "line": {"color": theme.budget, "width": 1.5, "dash": "dash"},
    }
    label = {
        "xref": "x",
        "yref": "paper",
        "x": math.log10(budget),
        "y": 0,
        "xanchor": "right",
        "yanchor": "bottom",
        "text": f"budget {count(budget)} ",
        "font": {"color": theme.budget},
        "showarrow": False,
    }
    return {"shapes": [line], "annotations": [label]}
