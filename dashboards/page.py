"""The curve as one HTML file: chart, table, the commands that export a point, and how to read it.

Nothing is fetched and nothing is stored, so the page works offline and inside the sandboxed frame in which MLflow shows
artifacts; a content security policy in the file forbids the rest. Without JavaScript everything but the chart is there.
"""

import json
from html import escape
from string import Template
from typing import Any

from ..spaces.records import Point
from .chart import figure
from .curve import Curve
from .page_assets import BODY, PAGE, POLICY, SCRIPT, STYLE
from .verdicts import cheapest_tie, ties
from .words import configuration, count, export_command, mean_over_seeds, metric, size

HEADINGS = ("Trial", "Method", "Parameters", "Bytes", "Validation", "Test mean, 95 %", "Ties with", "Seed", "Hyperparameters")
KINDS = ("", "n", "n", "n", "n", "", "n", "h")
"""The class of each cell after the first: n for numbers, h for hyperparameters."""


def html(curve: Curve) -> str:
    """Return the page, about 5 MB since it carries plotly.js."""
    from plotly.offline import get_plotlyjs

    return Template(PAGE).substitute(
        title=escape(curve.study),
        policy=POLICY,
        style=STYLE,
        subject=escape(curve.subject),
        facts=_facts(curve),
        verdict=escape(verdict(curve)),
        body=_body(curve) if curve.front else "",
        metric=escape(curve.metric),
        data=_embedded(curve),
        plotly=get_plotlyjs(),
        script=SCRIPT,
    )


def verdict(curve: Curve) -> str:
    """Return the one sentence that a reader in a hurry needs."""
    if not curve.front:
        return "No trial has been scored yet; this page fills while the search runs."
    best, cheap = curve.front[-1], cheapest_tie(curve.front)
    tested = f" ({mean_over_seeds(best)} on the test split)" if best.test_score is not None else ""
    named = f"{best.method} with {count(best.trainable_parameters)} parameters"
    line = f"The best adapter is {named}: {curve.metric} {metric(best.score)} in validation{tested}."
    if cheap is None:
        return line
    return f"{line} The cheapest that ties with it is {cheap.method} with {count(cheap.trainable_parameters)}, trial {cheap.trial}."


def _facts(curve: Curve) -> str:
    facts = {
        "Budget": f"{count(curve.budget)} parameters",
        "Task": curve.task,
        "Model": curve.model,
        "On the curve": f"{count(len(curve.front))} of {count(len(curve.points))} trials",
    }
    return "\n".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items() if fact)


def _body(curve: Curve) -> str:
    notes = "\n".join(f"<li>{escape(note)}</li>" for note in curve.notes)
    return Template(BODY).substitute(chart=_chart(curve), table=_table(curve), notes=notes, commands=_commands(curve))


def _chart(curve: Curve) -> str:
    label = escape(f"{curve.metric} against trainable parameters, {len(curve.points)} trials; the table below holds the frontier")
    hint = "Point at a trial to read it, click it for its export command."
    return f'<div id="chart" role="img" aria-label="{label}"></div>\n<p id="picked" aria-live="polite">{hint}</p>'


def _table(curve: Curve) -> str:
    head = "".join(f'<th scope="col" class="{kind}">{heading}</th>' for heading, kind in zip(HEADINGS, ("", *KINDS), strict=True))
    tied = ties(curve.front)
    rows = "\n".join(_row(point, tied[point.trial]) for point in curve.front)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="The frontier as a table">{table}</div>'


def _row(point: Point, tied: tuple[int, ...]) -> str:
    cells = (
        point.method,
        count(point.trainable_parameters),
        size(point.bytes),
        metric(point.score),
        mean_over_seeds(point),
        ", ".join(map(str, tied)) or "–",
        str(point.seed),
        configuration(point.hyperparameters),
    )
    rest = "".join(f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(KINDS, cells, strict=True))
    return f'<tr><th scope="row">{point.trial}</th>{rest}</tr>'


def _commands(curve: Curve) -> str:
    cheap = cheapest_tie(curve.front)
    chosen = {"The best": curve.front[-1], **({"The cheapest that ties with it": cheap} if cheap else {})}
    commands = {f"{name}, trial {point.trial}": export_command(curve.study, point.trial, home=curve.home) for name, point in chosen.items()}
    return "\n".join(f"<p>{what}:</p>\n<pre><code>{escape(command)}</code></pre>" for what, command in commands.items())


def _embedded(curve: Curve) -> str:
    """The chart's data as JSON that no name can break out of: `<` never appears in it."""
    values: dict[str, Any] = {
        "light": figure(curve, "light"),
        "dark": figure(curve, "dark"),
        "commands": {point.trial: export_command(curve.study, point.trial, home=curve.home) for point in curve.points},
    }
    return json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")
