"""Which trials of a study `show` shows, and in which order."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...spaces.errors import WrongInput, did_you_mean

if TYPE_CHECKING:
    from ..ledger.outlines import Outline
    from ..ledger.shown import Shown

Key = Callable[["Outline"], Any]


def _by_state(shown: "Shown") -> Key:
    states = shown.states
    return lambda one: states[one.number]


ORDERS: Mapping[str, Callable[["Shown"], Key]] = {
    "trial": lambda _: lambda one: one.number,
    "score": lambda _: _merit,
    "parameters": lambda _: lambda one: one.parameters,
    "method": lambda _: lambda one: one.method,
    "state": _by_state,
}
"""What trials can be sorted by."""


def select_trials(shown: "Shown", *, sort: str, top: int | None, methods: Sequence[str]) -> list[int]:
    """Return the numbers of the trials of these methods (all where none is named), sorted, at most `top` of them.

    `sort`: one of `ORDERS`. Parameters: fewest first. Score: trials of the highest step first, the best of a step first, those
    without a score last. Of equals the lowest number comes first. Raises `WrongInput` for a method that the study has no trial of.
    """
    known = {one.method for one in shown.outlines}
    for method in methods:
        if method not in known:
            has = ", ".join(sorted(known)) or "no trials yet"
            raise WrongInput(f"--method {method}: study {shown.record.name} has {has}.{did_you_mean(method, known)}")
    key = ORDERS[sort](shown)
    chosen = [one for one in shown.outlines if not methods or one.method in methods]
    return [one.number for one in sorted(chosen, key=lambda one: (key(one), one.number))[:top]]


def _merit(one: "Outline") -> tuple[float, float]:
    """Ascending from the best: scores of different steps are not comparable, so the step decides first."""
    if one.step is None or one.score is None or not math.isfinite(one.score):
        return (1.0, 0.0)
    return (-one.step, -one.score)
