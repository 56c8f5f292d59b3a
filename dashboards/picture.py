"""The curve as a picture, drawn with matplotlib but without pyplot: no window system, no figures kept, any thread."""

import io
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..spaces.errors import WrongInput, did_you_mean
from .curve import Curve
from .palette import THEMES
from .picture_marks import draw_faint, draw_front, draw_labels, draw_methods, draw_references
from .scale import parameter_range
from .words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

LOCK = Lock()
"""matplotlib's settings belong to the process, and the mirror draws from a thread of its own."""

INK = THEMES["light"]
BESIDE = 1.03
"""Where the legend begins, in widths of the plot."""
EDGE = 0.99
"""Where it has to end, in widths of the picture."""
FONTS = ["Inter", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"]
SETTINGS: dict[Any, Any] = {"font.size": 11, "text.parse_math": False, "svg.hashsalt": "ulpt-search", "svg.fonttype": "none"}
"""Names are never read as formulas; a vector file of the same curve is the same, byte for byte, and keeps its text as text."""
UNDATED: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def write_picture(curve: Curve, path: Path) -> None:
    """Write the picture in the format that the path's ending names: PNG (also without an ending), SVG or PDF.

    Raises `WrongInput` for any other ending.
    """
    path.write_bytes(picture(curve, format_of(path)))


def format_of(path: Path) -> str:
    """Return png, svg or pdf; `WrongInput` for an ending that names nothing we can draw."""
    ending = path.suffix[1:].lower() or "png"
    if ending not in FORMATS:
        hint = did_you_mean(ending, FORMATS)
        raise WrongInput(f"{path}: a picture cannot be written as {ending}; end its name in .png, .svg or .pdf.{hint}")
    return ending


def picture(curve: Curve, form: str = "png") -> bytes:
    """Return the picture as a file of that format; a PNG has 1600 × 1000 pixels."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import get_font_names

    fonts = [font for font in FONTS if font in get_font_names()]
    with LOCK, matplotlib.rc_context({"font.family": fonts, **SETTINGS}):
        figure = Figure(figsize=(10, 6.25), dpi=160, facecolor=INK.background)
        FigureCanvasAgg(figure)
        _draw(figure, curve)
        file = io.BytesIO()
        figure.savefig(file, format=form, metadata=UNDATED[form])
    return file.getvalue()


def _draw(figure: "Figure", curve: Curve) -> None:
    axes = figure.add_axes((0.085, 0.13, 0.72, 0.70))
    title = f"{curve.metric[:1].upper()}{curve.metric[1:]} against trainable parameters"
    figure.text(0.085, 0.935, title, size=17, weight="bold", color=INK.text, va="center")
    figure.text(0.085, 0.882, f"{curve.study} · {curve.caption}", size=11, color=INK.muted, va="center")
    _frame(axes, curve)
    if not curve.points:
        axes.text(0.5, 0.5, "No trial has been scored yet", transform=axes.transAxes, ha="center", color=INK.muted, size=13)
        return
    draw_faint(axes, curve)
    draw_methods(axes, curve)
    draw_front(axes, curve)
    draw_references(axes, curve)
    draw_labels(axes, curve.front)
    _legend(figure, axes, curve)


def _legend(figure: "Figure", axes: "Axes", curve: Curve) -> None:
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
    _scales(axes, curve)
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


def _scales(axes: "Axes", curve: Curve) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    axes.set_xscale("log")
    low, high = parameter_range(curve)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 50 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: count(round(x))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
