"""Which results of a study were computed otherwise than its first."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..spaces.identity import other_numerics

NAMED = 10
"""Trials that a line names."""


def numerics_notes(computed: Iterable[tuple[str, Sequence[int]]]) -> list[str]:
    """Return one line for each difference in what computed the results.

    `computed`: its names, the first result's first, each with the trials that it computed; those of the first are not looked at.
    """
    first, odd = "", defaultdict[str, set[int]](set)
    for numerics, trials in computed:
        first = first or numerics
        if difference := other_numerics(first, numerics):
            odd[difference] |= set(trials)
    return [f"trials {_named(sorted(trials))}: computed with {difference}" for difference, trials in odd.items()]


def _named(trials: Sequence[int]) -> str:
    beyond = f" and {len(trials) - NAMED} more" if len(trials) > NAMED else ""
    return ", ".join(map(str, trials[:NAMED])) + beyond
