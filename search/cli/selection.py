"""Which trials of a study `show` shows, and in which order."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.records import Result, Trial

if TYPE_CHECKING:
    from ..ledger.reading import History

Key = Callable[[Trial], Any]


def _by_state(history: "History") -> Key:
    states = history.states
    return lambda trial: states[trial.number]


def _by_score(history: "History") -> Key:
    latest = history.latest_results
    return lambda trial: _merit(latest.get(trial.number))


ORDERS: Mapping[str, Callable[["History"], Key]] = {
    "trial": lambda _: lambda trial: trial.number,
    "score": _by_score,
    "parameters": lambda _: lambda trial: trial.parameters,
    "method": lambda _: lambda trial: trial.method,
    "state": _by_state,
}
"""What trials can be sorted by."""


def select_trials(history: "History", *, sort: str, top: int | None, methods: Sequence[str]) -> list[Trial]:
    """Return the trials of these methods (all where none is named), sorted, at most `top` of them.

    `sort`: one of `ORDERS`. Parameters: fewest first. Score: trials of the highest step first, the best of a step first, those
    without a score last. Of equals the lowest number comes first. Raises `WrongInput` for a method that the study has no trial of.
    """
    known = {trial.method for trial in history.trials}
    for method in methods:
        if method not in known:
            has = ", ".join(sorted(known)) or "no trials yet"
            raise WrongInput(f"--method {method}: study {history.record.name} has {has}.{did_you_mean(method, known)}")
    key = ORDERS[sort](history)
    chosen = [trial for trial in history.trials if not methods or trial.method in methods]
    return sorted(chosen, key=lambda trial: (key(trial), trial.number))[:top]


def _merit(result: Result | None) -> tuple[float, float]:
    """Ascending from the best: scores of different steps are not comparable, so the step decides first."""
    return (1.0, 0.0) if result is None else (-result.step, -result.score)
