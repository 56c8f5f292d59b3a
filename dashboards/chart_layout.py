"""The axes, legend and budget of the page's chart."""

import math
from html import escape
from typing import TYPE_CHECKING, Any

from .curve import Curve
from .palette import Theme
from .scale import parameter_range
from .words import count

if TYPE_CHECKING:
    from plotly.graph_objects import Layout

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


def layout(curve: Curve, theme: Theme) -> "Layout":
    """Return everything of the figure but its marks."""
    from plotly.graph_objects import Layout

    return Layout(
        template={},  # plotly's own would paint over the page's colours
        uirevision="kept",
        paper_bgcolor=theme.background,
        plot_bgcolor=theme.background,
        font={"family": FONT, "size": 13, "color": theme.text},
        xaxis=_parameters(curve, theme),
        yaxis={**_axis(theme), "title": _title(curve.metric, theme)},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
        margin={"l": 64, "r": 24, "t": 44, "b": 24},
        hoverlabel={
            "bgcolor": theme.background,
            "bordercolor": theme.muted,
            "font": {"color": theme.text, "family": FONT},
            "align": "left",
        },
        hovermode="closest",
        dragmode="zoom",
        shapes=[_budget_line(curve.budget, theme)],
        annotations=[_budget_name(curve.budget, theme)],
    )


def tick_spacing(decades: float) -> str | int:
    """Return plotly's `dtick` for a logarithmic axis: powers of ten, with 2 and 5, or every digit: what fits side by side."""
    return 1 if decades > 5 else "D2" if decades > 0.8 else "D1"


def tick_spacing_on_a_phone(decades: float) -> str | int:
    """Return the same for a third of the width."""
    return 1 if decades > 1.8 else "D2"


def parameter_decades(curve: Curve) -> float:
    """Return how many powers of ten the parameter axis covers."""
    low, high = parameter_range(curve)
    return math.log10(high / low)


def _parameters(curve: Curve, theme: Theme) -> dict[str, Any]:
    return {
        **_axis(theme),
        "type": "log",
        "range": [math.log10(end) for end in parameter_range(curve)],
        "dtick": tick_spacing(parameter_decades(curve)),
        "tickformat": ",d",
        "tickangle": 0,
        "showgrid": False,
        "ticks": "outside",
        "title": _title("trainable parameters (logarithmic)", theme),
    }


def _axis(theme: Theme) -> dict[str, Any]:
    return {"gridcolor": theme.grid, "zeroline": False, "tickfont": {"color": theme.muted}, "linecolor": theme.muted, "automargin": True}


def _title(text: str, theme: Theme) -> dict[str, Any]:
    return {"text": escape(text, quote=False), "font": {"color": theme.muted, "size": 14}}


def _budget_line(budget: int, theme: Theme) -> dict[str, Any]:
    ends = {"x0": budget, "x1": budget, "y0": 0, "y1": 1}
    return {"type": "line", "xref": "x", "yref": "paper", **ends, "line": {"color": theme.budget, "width": 1.5, "dash": "dash"}}


def _budget_name(budget: int, theme: Theme) -> dict[str, Any]:
    """At the line's foot: the plot's buttons are at its head."""
    return {
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
