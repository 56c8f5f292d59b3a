"""What the sampler is told of one step: a bounded choice of its results, so that a proposal costs the same in a long search."""

from bisect import bisect_right
from collections import deque

from ...spaces.records import Result, Trial

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
    kept = {number for layer in _layers(entries) for number in layer}
    return [(trial, result) for trial, result in entries if trial.number in kept]


def _layers(entries: list[Entry]) -> list[list[int]]:
    """The first `BEST` trials, frontier after frontier: what `dashboards.frontier` leaves is the next frontier's, in O(n log n).

    Smallest first, and of equal sizes best first, a trial belongs to the first frontier whose last score it beats; these fall from
    frontier to frontier.
    """
    layers: list[list[int]] = []
    last: list[float] = []  # minus the best score so far, ascending
    for _, score, number in sorted((trial.parameters, -result.score, trial.number) for trial, result in entries):
        layer = bisect_right(last, score)
        if layer == len(layers):
            layers.append([])
            last.append(score)
        layers[layer].append(number)
        last[layer] = score
    chosen, room = [], BEST
    for layer_of in layers:
        chosen.append(layer_of[:room])
        room -= len(chosen[-1])
    return chosen
