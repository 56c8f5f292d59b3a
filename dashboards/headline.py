"""The one sentence about a curve that a reader in a hurry needs."""

from .curve import Curve
from .verdicts import against_best, blind, ceiling, cheapest_alternative, under_probe, visible
from .words import count, mean_over_seeds, metric


def headline(curve: Curve) -> str:
    """Return what the best adapter is, and the smallest that validation does not tell from it, or that the data cannot say."""
    if not curve.front:
        return "No trial has been scored yet; this page fills while the search runs."
    best, cheap = curve.front[-1], cheapest_alternative(curve)
    tested = f" ({mean_over_seeds(best)} on the test split)" if best.test_score is not None else ""
    named = f"{best.method} with {count(best.trainable_parameters)} parameters"
    line = f"The best adapter is {named}: {curve.metric} {metric(best.score)} in validation{tested}."
    line = " ".join(filter(None, (line, under_probe(curve), ceiling(curve))))
    if blind(curve):
        return f"{line} The data cannot tell the adapters of this curve apart: differences under {metric(visible(curve))} are not seen."
    if cheap is None:
        return line
    unseen = f"differences under {metric(against_best(curve)[cheap.trial].visible)} are not seen"
    return (
        f"{line} Validation does not tell it from {cheap.method} with {count(cheap.trainable_parameters)}, trial {cheap.trial}; {unseen}."
    )
