"""Which configurations are retrained, and under which seeds, so that the curve can be reported honestly."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ...dashboards.frontier import frontier
from ...dashboards.points import searched_points
from ...spaces.records import Result, Trial
from ...spaces.space import Size, Space
from .search_space import configuration

UNNUMBERED = -1  # a trial gets its number when it is handed out
FRESH = 1000  # the first seed of the finals; a space that searches more seeds than this moves it up

MOST_SEEDS = 10  # of a finalist, however much time there is: from here on intervals are as wide as the rows make them


def fresh_seeds(space: Space, *, more: int = 0) -> tuple[int, ...]:
    """Return the `space.finalists` seeds of the finals, and so many more, none of which the search draws from."""
    start = max(FRESH, space.seeds)
    return tuple(range(start, start + space.finalists + more))


def finalists(trials: Mapping[int, Trial], results: Iterable[Result], *, size: Size = "parameters") -> list[Trial]:
    """Return the search trials on the validation frontier at the highest step, smallest first, each configuration once.

    Two trials that differ only in their seed would be retrained as the same thing; the cheapest, then best, stands for both.
    """
    once: dict[tuple[object, ...], Trial] = {}
    for point in frontier(searched_points(trials.values(), results), size=size):
        trial = trials[point.trial]
        once.setdefault(configuration(trial), trial)
    return list(once.values())


def wanted(chosen: Iterable[Trial], *, known: Iterable[Trial], seeds: tuple[int, ...]) -> Iterator[Trial]:
    """Yield the final trials of the chosen finalists: those already known, and new ones that have no number yet."""
    existing = {(trial.finalist, trial.seed): trial for trial in known if trial.purpose == "final"}
    for finalist in chosen:
        for seed in seeds:
            yield existing.get((finalist.number, seed)) or retrained(finalist, seed=seed)


def retrained(finalist: Trial, *, seed: int) -> Trial:
    """Return the final trial, not yet numbered, that repeats a finalist from scratch under a fresh seed."""
    return replace(finalist, number=UNNUMBERED, seed=seed, purpose="final", finalist=finalist.number)
