"""Which results of a study were computed otherwise than its first."""

from collections.abc import Sequence

from ..spaces.identity import other_numerics
from ..spaces.records import Result

NAMED = 10
"""Trials that a line names."""


def numerics_notes(results: Sequence[Result]) -> list[str]:
    """Return one line for each difference in what computed the results; `results` in the order they were committed."""
    told = [(result.trial, result.numerics) for result in results if result.numerics is not None]
    odd: dict[str, dict[int, None]] = {}
    for trial, numerics in told:
        difference = other_numerics(told[0][1], numerics)
        if difference:
            odd.setdefault(difference, {})[trial] = None
    return [f"trials {_named(sorted(trials))}: computed with {difference}" for difference, trials in odd.items()]


def _named(trials: Sequence[int]) -> str:
    beyond = f" and {len(trials) - NAMED} more" if len(trials) > NAMED else ""
    return ", ".join(map(str, trials[:NAMED])) + beyond
