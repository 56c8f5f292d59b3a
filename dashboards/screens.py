"""What a person sees while a search runs, and when it has ended: pure functions of values to rich renderables."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..spaces.errors import one_line
from .curve import Curve
from .palette import Style, styles
from .progress import Progress, Range, ranges
from .tables import frontier_table
from .textplot import plot
from .verdicts import notes
from .words import command, configuration, count, duration, export_command, metric, shell

PHASES = {"search": "searching", "finals": "finals: retraining the frontier over fresh seeds"}


def live_screen(progress: Progress, *, width: int, height: int = 24) -> RenderableType:
    """Return the screen of a running study in at most `height` lines (never fewer than its first three)."""
    found = ranges(progress.points, progress.budget)
    spare = height - 6 - (len(found) + 2 if found else 0)
    failures = progress.failures[-max(0, min(3, spare - 4)) :] if spare > 4 else ()
    spare -= len(failures) + 2 if failures else 0
    jobs = progress.jobs[: max(0, min(6, spare - 2))]
    parts: list[RenderableType] = [*_head(progress, width)]
    if found and height >= 8 + len(found):
        parts += [Text(), Text(f"best so far, at step {progress.points[0].steps}", style="dim"), _best(progress, found)]
    if jobs:
        parts += [Text(), Text("running", style="dim"), *(_fit(f"{job.description}  {duration(job.seconds)}", width) for job in jobs)]
    if failures:
        parts += [Text(), Text(f"failures, the last {len(failures)} of {len(progress.failures)}", style="dim")]
        parts += [_fit(f"trial {problem.trial}: {one_line(problem.error)}", width, style="red") for problem in failures]
    return Group(*parts)


def counts(progress: Progress) -> str:
    """Return `22 done, 8 running, 9 waiting, 1 failed`, without the zeros but for the first."""
    kinds = (("running", progress.running), ("waiting", progress.waiting), ("failed", progress.failed))
    return ", ".join([f"{count(progress.done)} done", *(f"{count(number)} {kind}" for kind, number in kinds if number)])


def times(progress: Progress) -> str:
    """Return `3:12 elapsed, about 1:40 left`."""
    left = "" if progress.remaining is None else f", about {duration(progress.remaining)} left"
    return f"{duration(progress.elapsed)} elapsed{left}"


def final_screen(
    curve: Curve, *, places: Mapping[str, str], seconds: float, width: int = 80, wraps: bool = True, ascii_only: bool = False
) -> RenderableType:
    """Return the last screen of `run`: the curve, what may be said of it, where everything is and what to type next.

    `places` is what is kept -> where, in the order to be shown; `seconds` the time this command took. Where nothing `wraps`, a row of
    the table is one line however long.
    """
    parts: list[RenderableType] = [
        Text.assemble((curve.study, "bold"), f" · {curve.caption} · {duration(seconds)}"),
        Text(),
        plot(curve, width=width, ascii_only=ascii_only),
        Text(),
    ]
    if curve.front:
        parts += [frontier_table(curve, width=width if wraps else None), Text()]
    parts += [Text(f"{note}\n") for note in notes(curve)]
    commands = [Text(f"  {line}", no_wrap=True, overflow="ignore") for line in next_commands(curve)]
    return Group(*parts, _pairs(places), Text(), Text("next", style="bold"), *commands)


def next_commands(curve: Curve) -> list[str]:
    """Return what to type now, as lines that can be pasted."""
    study = shell(curve.study)
    ui = command("ui", home=curve.home)
    if not curve.front:
        return [command(f"show {study}", home=curve.home), ui]
    page = command(f"frontier {study} --html {shell(curve.study + '.html')}", home=curve.home)
    return [page, ui, export_command(curve.study, curve.front[-1].exported, home=curve.home)]


def _head(progress: Progress, width: int) -> list[RenderableType]:
    about = f" · {PHASES[progress.phase]} · budget {count(progress.budget)} parameters"
    title = Text.assemble((progress.study, "bold"), about, no_wrap=True, overflow="ellipsis")
    share = f"{count(progress.ended)}/{count(progress.planned)} trials"
    total, completed = float(progress.planned), float(progress.ended)
    if progress.limit is not None:
        share = f"{count(progress.ended)} trials, {duration(min(progress.elapsed, progress.limit))} of {duration(progress.limit)}"
        total, completed = progress.limit, min(progress.elapsed, progress.limit)
    bar = Table.grid(padding=(0, 1), expand=False)
    bar.add_row(ProgressBar(total=max(1, total), completed=completed, width=max(10, width - len(share) - 2)), Text(share))
    pace = "" if progress.per_hour is None else f" · {count(round(progress.per_hour))} trials an hour"
    steps = "  ".join(f"{step}: {count(trials)}" for step, trials in sorted(progress.rungs.items()))
    rungs = [_fit(f"trials scored at step  {steps}", width)] if steps else []
    return [title, bar, _fit(counts(progress), width), _fit(times(progress) + pace, width), *rungs]


def _best(progress: Progress, found: Sequence[Range]) -> Table:
    drawn = styles((*progress.methods, *(point.method for point in progress.points)))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", min_width=max(len(each.name) for each in found))
    grid.add_column(min_width=5)
    grid.add_column(min_width=max(len(each.best.method) for each in found if each.best))
    grid.add_column(justify="right", min_width=len(count(progress.budget)))
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for each in found:
        grid.add_row(*_best_cells(each, drawn))
    return grid


def _best_cells(each: Range, drawn: Mapping[str, Style]) -> list[Text]:
    if each.best is None:
        return [Text(each.name, style="dim"), Text("–", style="dim")]
    best = each.best
    name = Text(best.method, style=f"bold {drawn[best.method].terminal}")
    detail = Text(f"trial {best.trial}: {configuration(best.hyperparameters)}", style="dim")
    return [Text(each.name), Text(metric(best.score), style="bold"), name, Text(count(best.trainable_parameters)), detail]


def _pairs(places: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, place in places.items():
        grid.add_row(Text(name, style="dim"), Text(place, overflow="fold"))
    return grid


def _fit(text: str, width: int, *, style: str = "") -> Text:
    line = Text(text, style=style, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line
