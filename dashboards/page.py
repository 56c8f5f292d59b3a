"""The curve as one HTML file: chart, table, the commands that export a point, and how to read it.

Nothing is fetched and nothing is stored, so the page works offline and inside the sandboxed frame in which MLflow shows
artifacts; a content security policy in the file forbids the rest. Without JavaScript everything but the chart is there.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .chart import figure
from .chart_layout import parameter_decades, tick_spacing_on_a_phone
from .curve import Curve
from .headline import headline
from .palette import THEMES
from .rows import frontier_rows
from .verdicts import cheapest_alternative, not_told_apart, notes
from .words import count, export_command

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def write_page(curve: Curve, path: Path) -> None:
    """Write the interactive page: one file that asks the network for nothing."""
    path.write_text(page(curve), encoding="utf-8")


def page(curve: Curve) -> str:
    """Return the page, about 5 MB since it carries plotly.js."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return _template().render(
        policy=POLICY,
        themes=THEMES,
        curve=curve,
        headline=headline(curve),
        facts=_facts(curve),
        notes=notes(curve),
        rows=zip(frontier_rows(curve), not_told_apart(curve).values(), strict=True),
        commands=_commands(curve),
        data=_chart_data(curve),
        plotly=Markup(get_plotlyjs()),  # plotly's own script, the one value that is not escaped
    )


def _template() -> "Template":
    """Return the page's template: every value is escaped, and one that it does not find is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html.j2")


def _facts(curve: Curve) -> dict[str, str]:
    """What the head of the page says, without what is not known."""
    kind = "configurations" if curve.has_finals else "trials"
    at_step = f"{count(len(curve.front))} of {count(len(curve.points))} {kind} at step {count(curve.step)}"
    facts = {
        "Budget": f"{count(curve.budget)} parameters",
        "Task": curve.task,
        "Model": curve.model,
        "On the curve": at_step if curve.front else "",
        "Not compared": f"{count(len(curve.faint))} trials, faint" if curve.faint else "",
        "Failed": f"{count(curve.failed)} trials" if curve.failed else "",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _commands(curve: Curve) -> dict[str, str]:
    """What is exported -> the command that does it."""
    if not curve.front:
        return {}
    cheap = cheapest_alternative(curve)
    chosen = {"The best": curve.front[-1], **({"The smallest that validation does not tell from it": cheap} if cheap else {})}
    return {f"{name}, trial {point.trial}": export_command(curve.study, point.exported, home=curve.home) for name, point in chosen.items()}


def _chart_data(curve: Curve) -> dict[str, Any]:
    """What the page's script draws from."""
    return {
        "light": figure(curve, "light").to_plotly_json(),
        "dark": figure(curve, "dark").to_plotly_json(),
        "ticksOnPhone": tick_spacing_on_a_phone(parameter_decades(curve)),
        "commands": {str(point.trial): export_command(curve.study, point.exported, home=curve.home) for point in curve.drawn},
    }
