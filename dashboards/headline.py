"""The one sentence about a curve that a reader in a hurry needs."""

from .curve import Curve
from .verdicts import cheapest_tie
from .words import count, mean_over_seeds, metric


def headline(curve: Curve) -> str:
    """Return what the best adapter is, and the cheapest that ties with it."""
    if not curve.front:
        return "No trial has been scored yet; this page fills while the search runs."
    best, cheap = curve.front[-1], cheapest_tie(curve.front)
    tested = f" ({mean_over_seeds(best)} on the test split)" if best.test_score is not None else ""
    named = f"{best.method} with {count(best.trainable_parameters)} parameters"
    line = f"The best adapter is {named}: {curve.metric} {metric(best.score)} in validation{tested}."
    if cheap is None:
        return line
    return f"{line} The cheapest that ties with it is {cheap.method} with {count(cheap.trainable_parameters)}, trial {cheap.trial}."
