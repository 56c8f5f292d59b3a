"""Results on stdout: JSON for programs, tables for people."""

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from ...spaces.secrecy import masked

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...dashboards.curve import Curve
    from ...spaces.shape import Shape
    from ...workers.exports import Exported, Verdict
    from ..home import Home
    from ..keeping.checking import StudyCheck
    from ..keeping.clearing import Litter
    from ..ledger.reading import Summary
    from ..ledger.shown import Shown
    from ..request import Request
    from ..running.cost_estimate import CeilingCost, LabelText, SearchPlan
    from ..running.driver import Ended
    from ..running.writing_cost import WritingCost
    from .doctor import Check
    from .listings import Listing, MethodListing, RuleListing
    from .reproduction import Reproduction


PAGE = 1000
"""Most rows of a table of trials; `show --skip` turns the page."""
TOGETHER = 100  # items of a long list that are printed at once
_UNWRAPPED = 100_000
"""Columns in which no row of a table ever wraps."""


def print_json(values: object) -> None:
    """Print values as JSON."""
    click.echo(_dumped(values))


def print_json_with(name: str, items: Iterable[object], *, head: Mapping[str, object], tail: Mapping[str, object]) -> None:
    """Print one object, as `print_json` would: `head`, the list of the items called `name`, `tail`. Items are printed as they come."""
    click.echo(f"{_dumped(head)[:-2]},\n  {json.dumps(name)}: [", nl=False)
    before, end, left = "", "", iter(items)
    while some := list(islice(left, TOGETHER)):
        click.echo(before + ",".join("\n" + _dumped(item) for item in some).replace("\n", "\n    "), nl=False)
        before, end = ",", "\n  "
    click.echo(f"{end}],{_dumped(tail)[1:]}")


def _dumped(values: object) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False)


def print_reproduction(found: "Reproduction") -> None:
    """Print a paper's table with ours beside it, in per cent."""
    from ...dashboards.reproduced import reproduced_table

    published = found.published
    theirs = {row.method: row.scores for row in published.rows}
    ours = {one.task: (one.ulpt, one.best) for one in found.ours}
    _show(reproduced_table(theirs, ours, metrics={one.task: one.metric for one in found.ours}, width=_columns()))
    click.echo(f"\npublished: {published.source}; ours: test scores of what is best in validation, means over fresh seeds")
    for line in found.differences:
        click.echo(f"differs: {line}")
    if not any(one.best for one in found.ours):
        click.echo(f"none of ours is measured yet: ulpt-search reproduce {published.suite} --run")


def print_plan(plan: "SearchPlan") -> None:
    """Print what fits, and the cost."""
    from ...dashboards.rows import plan_row
    from ...dashboards.tables import plan_table
    from ...dashboards.words import duration

    rows = [plan_row(method=name, **one.to_json()) for name, one in plan.methods.items()]
    _show(plan_table(rows, width=_columns()))
    cost = plan.cost
    climbs = ", ".join(f"{trials} to step {step}" for step, trials in cost.rungs.items())
    click.echo(f"\n{plan.study}: {plan.space.trials} trials on {plan.space.task.name} with {plan.space.model.name}; expected {climbs}")
    click.echo(f"{'answers' if 'answers' in plan.readout else 'labels'} are read as the {plan.readout}")
    if plan.heads:
        click.echo(f"heads read {plan.heads}")
    for line in label_lines(plan.labels):
        click.echo(line)
    click.echo(plan.frozen_scores.said if plan.frozen_scores.agree is False else f"frozen scores: {plan.frozen_scores.said}")
    click.echo(modules_line(plan.modules, plan.untouched))
    if plan.memory is not None:
        click.echo(str(plan.memory))
    for method, promise in plan.exports.items():
        if promise.why:
            click.echo(f"{method}: {promise.why}")
    click.echo(f"finals: about {cost.finals} trials under fresh seeds; {cost.trial_steps:,} trial-steps in all")
    click.echo(f"at most {cost.operations:.1e} floating-point operations, with every text as long as allowed")
    if plan.seconds is not None:
        workers = f"{plan.workers} worker{'s' * (plan.workers > 1)}"
        click.echo(f"about {duration(plan.seconds)} by {workers}, as fast as an earlier run has measured; loading and exports come on top")
    if plan.ceiling is not None:
        click.echo(ceiling_line(plan.ceiling))
    if plan.writing is not None:
        click.echo(writing_line(plan.writing))
    for note in plan.notes:
        click.echo(f"{plan.space.task.name}: {note}")


def writing_line(cost: "WritingCost") -> str:
    """What writing answers takes, in one line."""
    from ...dashboards.words import duration

    long = "" if cost.seconds is None else f": about {duration(cost.seconds)} more, if all are so long"
    return f"answers of {cost.tokens} tokens at most are written to {cost.rung_rows:,} rows at rungs, {cost.final_rows:,} of finals{long}"


def ceiling_line(cost: "CeilingCost") -> str:
    """What full fine-tuning would take."""
    from ...dashboards.words import duration

    least, most = cost.steps
    took = " and ".join(map(duration, cost.seconds)) if cost.seconds else "a time that no run has measured here"
    return (
        f"ceiling: full fine-tuning of {cost.parameters:,} parameters after the search, {least:,} to {most:,} steps one trial at a time; "
        f"{'between ' * bool(cost.seconds)}{took} by one worker, and more where packs are what makes trials fast"
    )


def modules_line(modules: Mapping[str, int], untouched: Sequence[str]) -> str:
    """Which linears methods may touch, and which weights of the blocks none does."""
    touched = f"linears that methods may touch: {', '.join(f'{role} ({count})' for role, count in modules.items())}"
    return touched if not untouched else f"{touched}; none touches {', '.join(untouched)}, which trials cannot share"


LABELS_SHOWN = 12
"""A plan shows at most this many labels' texts; `--json` all."""
ORIGINS = {
    "name": "its name",
    "task.labels": "from task.labels",
    "ours": "written by hand for this set of labels; label_texts: names goes without",
}


def label_lines(labels: "Sequence[LabelText]") -> Iterator[str]:
    """What stands for each label and whose words these are, a line a label; one line for all where they are their own names."""
    if any(label.origin == "rows" for label in labels):
        yield f"every row has its own choices, {len(labels)} at most"
        return
    if all(label.origin == "name" for label in labels):
        shown = ", ".join(label.text for label in labels[:LABELS_SHOWN])
        more = f" and {len(labels) - LABELS_SHOWN} more" if len(labels) > LABELS_SHOWN else ""
        yield from [f"label texts are the labels' names: {shown}{more}"] * bool(labels)
        return
    for label in labels[:LABELS_SHOWN]:
        yield f"  {label.label}: {label.text!r} ({ORIGINS[label.origin]})"
    if len(labels) > LABELS_SHOWN:
        yield f"  and {len(labels) - LABELS_SHOWN} more"


def print_studies(found: "Sequence[Summary]", home: "Home") -> None:
    """Print one line a study."""
    from ...dashboards.rows import study_row
    from ...dashboards.tables import studies_table

    if not found:
        click.echo(f"no studies under {home.root} yet; start with ulpt-search run --space ulpt --budget 1e4", err=True)
        return
    _show(studies_table([study_row(**summary.to_json()) for summary in found], width=_columns()))


def print_study(study: "Shown", numbers: Sequence[int]) -> None:
    """Print a study's settings and those of its trials that were asked for, in this order."""
    from ...dashboards.numerics import numerics_notes
    from ...dashboards.rows import trial_rows
    from ...dashboards.tables import trials_table

    record, space = study.record, study.space
    settings = f"budget {record.budget:,}, seed {record.seed}, since {record.created[:16]}"
    click.echo(f"{record.name}: {space.task.name} with {space.model.name}, {settings}")
    click.echo("".join(f"{space.task.name}: {note}\n" for note in record.task_notes))
    page, every = study.page(numbers[:PAGE]), len(study.outlines)
    rows = trial_rows(page.trials, page.results, page.problems, last_step=space.training.steps)
    _show(trials_table(rows, width=_columns()))
    if len(rows) < every:
        more = "; --skip, --sort and --method show others, --json all of them" if len(rows) < len(numbers) else ""
        click.echo(f"\n{len(rows)} of {every} trials{more}")
    for line in numerics_notes(study.ledger.numerics(record.name)):
        click.echo(f"\n{line}")


def print_frontier(curve: "Curve") -> None:
    """Print the curve as a table, with what must be said of it."""
    from ...dashboards.tables import frontier_table
    from ...dashboards.verdicts import notes

    if curve.front:
        _show(frontier_table(curve, width=_columns()))
    click.echo("\n".join(["", *notes(curve)]))


def print_export(report: "Exported") -> None:
    """Print where an adapter is and how it was checked."""
    click.echo(
        f"{report.path}: trial {report.trial} as {report.format}, {report.trainable_parameters:,} parameters; "
        f"reloaded in a fresh process, {report.proof}"
    )
    if report.note:
        click.echo(f"{report.path}: {report.note}")


def print_verdict(verdict: "Verdict") -> None:
    """Print one line a check."""
    marks = {True: "ok", False: "NO", None: "--"}
    for check in verdict.checks:
        click.echo(f"{marks[check.fine]} {check.name}: {check.detail}")
    if verdict.note:
        click.echo(f"   {verdict.note}")


def print_study_checks(checks: "Sequence[StudyCheck]") -> None:
    """Print one line a check of a study."""
    for check in checks:
        click.echo(f"{'ok' if check.fine else 'NO'} {check.name}: {check.detail}")


def print_litter(found: "Sequence[Litter]", *, deleted: bool) -> None:
    """Print what nothing needs, and what to do about it."""
    for litter in found:
        click.echo(f"{litter.kind}: {litter.files:,} files, {litter.bytes / 1e6:,.1f} MB{', deleted' if deleted else ''}")
    if not found:
        click.echo("nothing to clear away")
    elif not deleted:
        click.echo("nothing was deleted; --yes deletes this")


def print_predictions(answers: Sequence[Mapping[str, Any]], *, jsonl: bool = False) -> None:
    """Print one line a text: its label and how likely that is, the number on it, all its labels, or its answer as it is written."""
    for answer in answers:
        if jsonl or "answer" in answer:
            click.echo(json.dumps(answer, ensure_ascii=False) if jsonl else answer["answer"])
            continue
        text = answer["text"] if isinstance(answer["text"], str) else " | ".join(answer["text"])
        if "number" in answer:
            click.echo(f"{answer['number']:.3f}\t{text}")
        elif "labels" in answer:
            click.echo(f"{', '.join(answer['labels']) or '-'}\t{text}")
        else:
            click.echo(f"{answer['label']}\t{answer['probability']:.3f}\t{text}")


def print_evaluation(report: Mapping[str, Any]) -> None:
    """Print a score."""
    click.echo(f"{report['task']}, {report['split']} split: {report['metric']} {report['score']:.4f} over {report['rows']:,} rows")
    for name, value in report.get("others", {}).items():
        click.echo(f"{name} {value:.4f}")


def print_methods(listings: "Sequence[MethodListing]", *, stock: Sequence[str], shape: "Shape | None" = None) -> None:
    """Print the catalogue, what of the model it may touch, and the names of PEFT's own methods."""
    from ...dashboards.rows import method_row
    from ...dashboards.tables import methods_table

    rows = [
        method_row(
            name=o.name,
            formula=o.formula,
            citation=o.citation,
            source=o.source,
            floor=o.floor,
            axes=o.axes,
            exports=o.exports,
            packable=o.packable,
        )
        for o in listings
    ]
    _show(methods_table(rows, width=_columns()))
    if shape is not None:
        click.echo(f"\n{modules_line(shape.roles, shape.apart)}")
    click.echo("\nJoined by +, methods stack: ulpt+bitfit. A training rule is joined alike, lora+subzero: ulpt-search methods --rules.")
    click.echo(f"PEFT's own, by their config classes, each alone in its pass: {', '.join(stock)}.")


def print_rules(listings: "Sequence[RuleListing]") -> None:
    """Print the training rules."""
    from ...dashboards.rows import rule_row
    from ...dashboards.tables import rules_table

    _show(rules_table([rule_row(name=o.name, formula=o.formula, citation=o.citation, axes=o.axes) for o in listings], width=_columns()))


def print_listings(listings: "Sequence[Listing]") -> None:
    """Print names with what they are for."""
    width = max(len(listing.name) for listing in listings)
    for listing in listings:
        click.echo(f"{listing.name:<{width}}  {listing.about}")
        if listing.path:
            click.echo(f"{'':<{width}}  {listing.path}")


def print_checks(checks: "Sequence[Check]") -> None:
    """Print what was found, and what to do where something is missing."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok " if check.fine else "NO " if check.needed else " - "
        click.echo(f"{mark} {check.name:<{width}}  {check.found}")
        if check.remedy and not check.fine:
            click.echo(f"    {'':<{width}}  {check.remedy}")


def print_end(request: "Request", end: "Ended") -> None:
    """Print how a run has ended, and where everything lies."""
    places = _places(request.places, end)
    if request.as_json:
        curve = [point.to_json() for point in end.history.curve.front]
        print_json({"study": end.history.record.name, "seconds": round(end.seconds, 1), "frontier": curve, "places": places})
    else:
        _print_last_screen(end, places=places, home=request.home)


def _places(home: "Home", end: "Ended") -> dict[str, str]:
    adapter = {"best adapter": str(end.best)} if end.best else {}
    kept = {"ledger": masked(home.ledger_url), "adapters": masked(home.store), "MLflow": masked(home.tracking_uri)}
    return {"curve": str(home.pages / end.history.record.name / "frontier.html"), **adapter, **kept}


def _print_last_screen(end: "Ended", *, places: Mapping[str, str], home: str) -> None:
    from ...dashboards.screens import final_screen

    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") not in ("utf8", "utf16")
    curve = replace(end.history.curve, home=home)
    _show(final_screen(curve, places=places, seconds=end.seconds, width=_width(), wraps=_columns() is not None, ascii_only=plain))


def _show(drawn: "RenderableType") -> None:
    from rich.console import Console

    width = _UNWRAPPED if _columns() is None else _width()
    Console(width=width).print(drawn, crop=False)  # a command to paste is never cut


def _columns() -> int | None:
    """The width that tables have to fit; None where a program reads them, which gets one line a row."""
    return _width() if sys.stdout.isatty() else None


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns
