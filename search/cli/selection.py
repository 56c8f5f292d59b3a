"""Which trials of a study `show` shows, and in which order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.records import Result, Trial
from ..ledger.reading import History


def select_trials(history: History, *, sort: str, top: int | None, methods: Sequence[str]) -> list[Trial]:
    """Return the trials of these methods (all where none is named), sorted, at most `top` of them.

    `sort`: trial, parameters (fewest first), method, state, or score: trials of the highest step first, the best of a step
    first, those without a score last. Of equals the lowest number comes first. Raises `WrongInput` for a method that the
    study has no trial of.
    """
    known = {trial.method for trial in history.trials}
    for method in methods:
        if method not in known:
            has = ", ".join(sorted(known)) or "no trials yet"
            raise WrongInput(f"--method {method}: study {history.record.name} has {has}.{did_you_mean(method, known)}")
    chosen = [trial for trial in history.trials if not methods or trial.method in methods]
    return sorted(chosen, key=_order(history, sort))[:top]


def _order(history: History, sort: str) -> Callable[[Trial], Any]:
    latest = history.latest_results
    states = history.states
    keys: Mapping[str, Callable[[Trial], Any]] = {
        "trial": lambda trial: trial.number,
        "parameters": lambda trial: (trial.parameters, trial.number),
        "method": lambda trial: (trial.method, trial.number),
        "state": lambda trial: (states[trial.number], trial.number),
        "score": lambda trial: (*_merit(latest.get(trial.number)), trial.number),
    }
    return keys[sort]


def _merit(result: Result | None) -> tuple[float, float]:
    """Ascending from the best: scores of different steps are not comparable, so the step decides first."""
    return (1.0, 0.0) if result is None else (-result.step, -result.score)
