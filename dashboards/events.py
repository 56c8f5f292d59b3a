"""What happened between two looks at a running study, in plain lines for logs and pipes."""

from collections.abc import Iterator

from ..spaces.errors import one_line
from ..spaces.records import Point
from .progress import Progress, Range, ranges
from .screens import PHASES, counts, times
from .words import count, duration, metric

SECONDS_BETWEEN_COUNTS = 60.0
SHARE_BETWEEN_COUNTS = 0.2


def events(previous: Progress | None, current: Progress, *, quiet: bool = False) -> list[str]:
    """Return one line per event, in a fixed order: phase, steps reached, bests, failures, counts.

    `quiet` leaves the phase, the failures and the end.
    """
    news = () if quiet else _news(previous, current)
    return [*_phase(previous, current), *news, *_failures(previous, current), *_counts(previous, current, quiet=quiet)]


def _phase(previous: Progress | None, current: Progress) -> Iterator[str]:
    if previous is None or previous.phase != current.phase:
        what = f"{current.study}: {PHASES[current.phase]}"
        until = "" if current.limit is None else f", and more until {duration(current.limit)} have passed"
        yield f"{what}; {count(current.planned)} trials planned{until}, budget {count(current.budget)} parameters"


def _news(previous: Progress | None, current: Progress) -> Iterator[str]:
    known = set(previous.rungs) if previous else set()
    for step in sorted(set(current.rungs) - known):
        yield f"first scores at step {step}"
    before = {each.low: each.best for each in _ranges(previous)}
    for each in _ranges(current):
        if each.best is not None and _improves(each.best, before.get(each.low)):
            best = each.best
            yield (
                f"best of {each.name} parameters: {metric(best.score)} with {best.method}, "
                f"{count(best.trainable_parameters)} parameters (trial {best.trial}, step {best.steps})"
            )


def _ranges(progress: Progress | None) -> list[Range]:
    return ranges(progress.points, progress.budget) if progress else []


def _improves(new: Point, old: Point | None) -> bool:
    """Whether `new` is news. The same trial again at a higher step is not."""
    return old is None or (new.trial != old.trial and (new.steps, new.score) > (old.steps, old.score))


def _failures(previous: Progress | None, current: Progress) -> Iterator[str]:
    for problem in current.failures[len(previous.failures) if previous else 0 :]:
        what = "failed" if problem.fatal else "gave no result this time"
        yield f"trial {problem.trial} {what}: {one_line(problem.error)}"


def _counts(previous: Progress | None, current: Progress, *, quiet: bool) -> Iterator[str]:
    """One line for as many scores as a fifth of the trials, per minute, and at the end.

    Scores only grow in number; trials that are done become fewer whenever one of them goes on to a higher step.
    """
    if previous is None:
        return
    ended = current.ended >= current.planned > previous.ended
    marks = [int(sum(p.rungs.values()) / max(1, current.planned) / SHARE_BETWEEN_COUNTS + 1e-9) for p in (previous, current)]
    minutes = [int(p.elapsed / SECONDS_BETWEEN_COUNTS) for p in (previous, current)]
    if ended or (not quiet and (marks[0] != marks[1] or minutes[0] != minutes[1])):
        yield f"{counts(current)} of {count(current.planned)} trials; {times(current)}"
