"""What the sampler is told of one step: a bounded choice of its results, so that a proposal costs the same in a long search."""

from collections import deque

from ...dashboards.frontier import frontier
from ...dashboards.points import searched_points
from ...spaces.records import Point, Result, Trial

Entry = tuple[Trial, Result]

BEST = 48  # kept for good: the first layers of the frontier
RECENT = 48  # and the latest, which say where the search has just been


class SamplerHistory:
    """The best results of a step, layer by layer of the frontier, and its latest ones.

    A result that is dropped has at least `BEST` others in its own or better layers, and later results can only push it
    further down: so the layers that are kept are those of all results. A function of the sequence of `add`.
    """

    def __init__(self) -> None:
        self._best: list[Entry] = []
        self._recent: deque[Entry] = deque(maxlen=RECENT)
        self._seen: set[int] = set()

    def __len__(self) -> int:
        """How many results were added, kept or not."""
        return len(self._seen)

    def __contains__(self, trial: int) -> bool:
        """Whether a result of this trial was added, kept or not."""
        return trial in self._seen

    def add(self, trial: Trial, result: Result) -> None:
        """Enter a result with a finite score."""
        self._seen.add(trial.number)
        self._best.append((trial, result))
        self._recent.append((trial, result))
        if len(self._best) >= 2 * BEST:
            self._best = _best(self._best)

    def chosen(self) -> list[Entry]:
        """Return the kept results by trial number, at most `2 · BEST + RECENT`."""
        entries = {trial.number: (trial, result) for trial, result in (*self._best, *self._recent)}
        return [entries[number] for number in sorted(entries)]


def _best(entries: list[Entry]) -> list[Entry]:
    kept = {point.trial for point in _layers(searched_points([t for t, _ in entries], [r for _, r in entries]))}
    return [(trial, result) for trial, result in entries if trial.number in kept]


def _layers(rest: list[Point]) -> list[Point]:
    """The first `BEST` points, frontier after frontier."""
    chosen: list[Point] = []
    while rest and len(chosen) < BEST:
        layer = frontier(rest)
        chosen += layer
        taken = {point.trial for point in layer}
        rest = [point for point in rest if point.trial not in taken]
    return chosen[:BEST]
