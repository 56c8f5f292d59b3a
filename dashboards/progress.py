"""Where a running study stands, as a frozen value that every view is drawn from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..spaces.records import Job, Point, Problem
from .words import count

Phase = Literal["search", "finals"]


@dataclass(frozen=True)
class RunningJob:
    """A pack that is being trained now."""

    number: int
    description: str
    """What `describe` says of it."""
    seconds: float
    """Since it was handed out."""


@dataclass(frozen=True)
class Progress:
    """Counts are of trials of the present phase. All times are in seconds."""

    study: str
    budget: int
    planned: int
    done: int = 0
    """Trials that need no more steps, stopped ones included, failed ones not."""
    running: int = 0
    failed: int = 0
    done_before: int = 0
    """Those of `done` that were there when this command started: they do not count for the throughput."""
    rungs: Mapping[int, int] = field(default_factory=dict)
    """Step -> trials with a score at that step."""
    jobs: tuple[RunningJob, ...] = ()
    points: tuple[Point, ...] = ()
    """As `frontier.points` returns them: of the highest step so far."""
    failures: tuple[Problem, ...] = ()
    """In the order they happened."""
    elapsed: float = 0.0
    remaining: float | None = None
    """Estimate; None while there is nothing to estimate from."""
    limit: float | None = None
    """Where the time given is all used: how much that is. What is planned is then no more than where it began."""
    phase: Phase = "search"
    methods: tuple[str, ...] = ()
    """Every method of the space, for colours that stay."""

    @property
    def ended(self) -> int:
        """Trials that take no more work."""
        return self.done + self.failed

    @property
    def waiting(self) -> int:
        """Trials not started, or paused at a rung."""
        return max(0, self.planned - self.ended - self.running)

    @property
    def per_hour(self) -> float | None:
        """Trials an hour since this command started; None before the first."""
        new = self.done - self.done_before
        return new * 3600 / self.elapsed if new > 0 and self.elapsed > 0 else None


@dataclass(frozen=True)
class Range:
    """A decade of parameter counts, both ends included, and the best point in it."""

    low: int
    high: int
    best: Point | None

    @property
    def name(self) -> str:
        """`1,000–9,999`."""
        return f"{count(self.low)}–{count(self.high)}"


def ranges(points: Sequence[Point], budget: int) -> list[Range]:
    """Return every decade from the cheapest point to the budget, where the last one ends; cheapest first."""
    last = _decade(budget - 1)
    best: dict[int, Point] = {}
    for point in points:
        decade = min(last, _decade(point.trainable_parameters))
        best[decade] = max(best.get(decade, point), point, key=_quality)
    first = min(best, default=last + 1)
    return [Range(10**d, budget if d == last else 10 ** (d + 1) - 1, best.get(d)) for d in range(first, last + 1)]


def describe(job: Job) -> str:
    """Return `8 trials to step 100: lora ×3, ulpt ×5`, or `references: frozen, probe`."""
    if job.references:
        return f"references: {', '.join(job.references)}"
    methods = Counter(assignment.trial.method for assignment in job.assignments)
    parts = ", ".join(f"{method} ×{number}" for method, number in sorted(methods.items()))
    trials = len(job.assignments)
    return f"{trials} trial{'s' if trials != 1 else ''} to step {job.stop}: {parts}"


def _quality(point: Point) -> tuple[float, int, int]:
    return (point.score, -point.trainable_parameters, -point.trial)


def _decade(parameters: int) -> int:
    return len(str(max(1, parameters))) - 1
