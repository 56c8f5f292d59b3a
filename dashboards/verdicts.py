"""What may honestly be said about a curve: who can be told from whom, how much could have been seen, and what choosing costs.

Choices follow from validation: the smallest adapter worth taking is one that validation does not tell from the best. The test split only
reports. Comparisons pair the same rows of both sides and are corrected for their number (Holm).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from statistics import NormalDist
from typing import TypeVar

from ..spaces.records import Point, Split
from ..spaces.references import CEILING, Reference
from .crossed import Comparison, compare, cost_of_choice, holm
from .curve import Curve
from .intervals import LEVEL, TAIL, Interval, difference, over_rows
from .points import Ends, Tables
from .words import count, metric

LOST = 1 - LEVEL

Key = TypeVar("Key")


def interval_of(point: Point, split: Split) -> Interval | None:
    """Return a point's 95 % interval on a split; None on the test split before the finals."""
    if split == "validation":
        return Interval(point.score, point.score_low, point.score_high)
    if point.test_score is None or point.test_low is None or point.test_high is None:
        return None
    return Interval(point.test_score, point.test_low, point.test_high)


def reported(curve: Curve) -> list[Interval]:
    """Return the interval that is shown of each point of a frontier: on the test split after the finals, else of validation."""
    split: Split = "test" if curve.has_finals else "validation"
    return [found for point in curve.front if (found := interval_of(point, split)) is not None]


def comparison(a: Point, b: Point, split: Split, tables: Tables) -> Comparison | None:
    """Return what a split says of `a - b`: paired where the rows of both were kept, else from the two intervals as if independent.

    None where one of them has no score there. A measured point is never compared with a searched one.
    """
    one, other = interval_of(a, split), interval_of(b, split)
    if one is None or other is None or bool(a.finals) != bool(b.finals):
        return None
    left, right = (tables.get(point.trial, {}).get(split) for point in (a, b))
    if left is None or right is None or left.shape[1] != right.shape[1]:
        return _unpaired(difference(one, other))
    found = compare(left, right)
    shift = one.centre - other.centre - found.interval.centre  # of a metric that is no mean over rows
    return replace(found, interval=Interval(one.centre - other.centre, found.interval.low + shift, found.interval.high + shift))


def against_best(curve: Curve, split: Split = "validation") -> dict[int, Comparison]:
    """Return, for every other point of the frontier, what a split says of the best one minus it; p corrected for their number."""
    found = {point.trial: comparison(curve.front[-1], point, split, curve.tables) for point in curve.front[:-1]}
    return _corrected({trial: one for trial, one in found.items() if one is not None})


def not_told_apart(curve: Curve) -> dict[int, tuple[int, ...]]:
    """Return trial -> the others of the frontier that it is not told from: all pairs, corrected for their number.

    On the test split, which only reports; before the finals in validation.
    """
    split: Split = "test" if curve.has_finals else "validation"
    pairs = {(a.trial, b.trial): comparison(a, b, split, curve.tables) for a, b in combinations(curve.front, 2)}
    known = _corrected({pair: one for pair, one in pairs.items() if one is not None})
    alike = {frozenset(pair) for pair, one in known.items() if one.p >= LOST}
    return {a.trial: tuple(b.trial for b in curve.front if frozenset((a.trial, b.trial)) in alike) for a in curve.front}


def cheapest_alternative(curve: Curve) -> Point | None:
    """Return the smallest point of the frontier that validation does not tell from the best; None where that is no advice.

    None before the finals, where nothing is smaller, and where validation tells no point from the best: then it says nothing of size.
    """
    front, said = curve.front, against_best(curve)
    alike = [point for point in front[:-1] if point.trial in said and said[point.trial].p >= LOST]
    if not curve.has_finals or not alike or len(alike) == len(front) - 1:
        return None
    return alike[0]


def notes(curve: Curve) -> list[str]:
    """Return the sentences that belong under every rendering of the curve."""
    if not curve.front:
        return ["No trial has been scored yet."]
    if not curve.has_finals:
        chosen = f"These scores were chosen for being high, among {_competitors(curve)}"
        return [f"{chosen}: expect less of new data. Nothing has been retrained yet.", *beside(curve), *curve.remarks]
    return [_chosen(curve), _smaller(curve), _reported(curve), *_unknown(curve), *beside(curve), *curve.remarks]


def beside(curve: Curve) -> list[str]:
    """Return a sentence for each reference, with its scores and 95 % intervals over rows."""
    return [_beside(one, curve.ends) for one in curve.references]


def _beside(one: Reference, ends: Ends) -> str:
    found = (over_rows(one.score, one.variance), over_rows(one.test_score, one.test_variance))
    validation, test = (replace(each, low=max(ends[0], each.low), high=min(ends[1], each.high)) for each in found)
    size = f"{count(one.parameters)} parameters" if one.parameters else "nothing trained"
    return f"Reference, {one.about} ({size}): validation {_interval(validation)}, test {_interval(test)}, over rows."


def under_probe(curve: Curve) -> str:
    """Return in a sentence that the curve is under the linear probe at as many parameters or more; empty where it is not.

    Scores of validation, on which both were chosen.
    """
    probe = next((one for one in curve.references if one.kind == "probe"), None)
    if probe is None or not curve.front or _at(curve, probe.parameters) >= probe.score:
        return ""
    named = f"a linear probe with {count(probe.parameters)} parameters: {metric(probe.score)} in validation"
    reached = next((point for point in curve.front if point.score >= probe.score), None)
    if reached is None:
        over = ", more than the budget" if probe.parameters > curve.budget else ""
        return f"The curve is under {named}{over}."
    return f"Up to {count(reached.trainable_parameters)} parameters the curve is under {named}."


def ceiling(curve: Curve) -> str:
    """Return in a sentence what full fine-tuning has in validation; empty where it was not asked for."""
    one = next((one for one in curve.references if one.kind in CEILING), None)
    return "" if one is None else f"Full fine-tuning has {metric(one.score)} with {count(one.parameters)} parameters."


def _at(curve: Curve, parameters: int) -> float:
    """The best score of the curve at a size; below its smallest point there is none."""
    return max((point.score for point in curve.front if point.trainable_parameters <= parameters), default=-math.inf)


def blind(curve: Curve) -> bool:
    """Whether validation tells no point of a measured frontier of two or more from its best."""
    said = against_best(curve)
    return curve.has_finals and len(curve.front) > 1 and bool(said) and all(one.p >= LOST for one in said.values())


def visible(curve: Curve) -> float:
    """Return the smallest difference from the best that every comparison with it could have seen; 0 without comparisons."""
    return max((one.visible for one in against_best(curve).values()), default=0.0)


def _competitors(curve: Curve) -> str:
    return f"{count(curve.competed)} trials over all steps"


def _chosen(curve: Curve) -> str:
    retrained = f"{count(len(curve.points))} configuration{'s' * (len(curve.points) > 1)} retrained over fresh seeds"
    ranked = f"{_competitors(curve)} competed; {retrained} and ranked by their validation mean"
    kept = [own["validation"] for own in (curve.tables.get(point.trial, {}) for point in curve.points) if "validation" in own]
    if len(kept) != len(curve.points):
        return f"{ranked}. Being the best flatters it (winner's curse); how much is not known, since its rows were not kept."
    cost = metric(cost_of_choice(kept))
    how = "chosen on one half of the rows and judged on the other"
    return f"{ranked}. Being the best flatters it by about {cost} (winner's curse, {how}). The test split has decided nothing."


def _smaller(curve: Curve) -> str:
    best, cheap = curve.front[-1], cheapest_alternative(curve)
    named = f"the best one, trial {best.trial} ({count(best.trainable_parameters)} parameters)"
    if len(curve.front) == 1:
        return f"No smaller configuration that was retrained is on the curve beside {named}."
    if blind(curve):
        unseen = f"differences under {metric(visible(curve))} are not seen"
        return f"Validation tells no smaller point of the curve from {named}: {unseen}. That says nothing of which size is enough."
    if cheap is None:
        return f"Validation tells every smaller point of the curve from {named}."
    said, share = against_best(curve), cheap.trainable_parameters / best.trainable_parameters
    one = said[cheap.trial]
    size = f"Trial {cheap.trial} has {count(cheap.trainable_parameters)} parameters, {share * 100:.0f} % as many"
    below = f"{_interval(one.interval)} below it on the same rows, this pair alone; p = {one.p:.2g}, {_corrections(said)}"
    unseen = f"differences under {metric(one.visible)} are not seen, so that is not equality"
    return f"{size}; validation does not tell it from {named}: {below}; {unseen}."


def _reported(curve: Curve) -> str:
    said = against_best(curve, "test")
    best = f"On the test split the best one has {_test(curve.front[-1])}"
    apart = [str(trial) for trial, one in said.items() if one.p < LOST]
    if not said:
        return f"{best}."
    told = f"trial{'s' * (len(apart) > 1)} {', '.join(apart)}" if apart else "no other point of the curve"
    return f"{best} and is told from {told}, on the same rows, {_corrections(said)}."


def _unknown(curve: Curve) -> list[str]:
    """What the finals cannot say."""
    said = []
    if curve.incomplete:
        several = curve.incomplete > 1
        named = f"{count(curve.incomplete)} configuration{'s' * several} of the finals {'are' if several else 'is'}"
        said.append(f"{named} not ranked: fewer of {'their' if several else 'its'} seeds have come than of the others', or some failed.")
    if len(curve.front[0].seeds) == 1:
        said.append("One seed a configuration says nothing of other seeds: the intervals are those of the rows alone.")
    return said


def _corrections(said: Mapping[int, Comparison]) -> str:
    return "one comparison" if len(said) == 1 else f"corrected for {len(said)} comparisons"


def _test(point: Point) -> str:
    if point.test_score is None or point.test_low is None or point.test_high is None:
        return "no score"
    return f"{metric(point.test_score)} [{metric(point.test_low)}, {metric(point.test_high)}]"


def _interval(of: Interval) -> str:
    known = f"[{metric(of.low)}, {metric(of.high)}]" if of.low < of.high else "(no interval: no row moves it)"
    return f"{metric(of.centre)} {known}"


def _unpaired(of: Interval) -> Comparison:
    """The comparison that an interval alone stands for; an empty one tells everything apart but equals."""
    half = (of.high - of.low) / 2
    if half == 0:
        return Comparison(of, 1.0 if of.centre == 0 else 0.0, 0.0)
    side = of.low if of.centre >= 0 else of.high
    error = abs(of.centre - side) / NormalDist().inv_cdf(TAIL)
    p = 2 * NormalDist().cdf(-abs(of.centre) / error) if error else 0.0
    return Comparison(of, p, half)


def _corrected(found: Mapping[Key, Comparison]) -> dict[Key, Comparison]:
    corrected = holm([one.p for one in found.values()])
    return {key: replace(one, p=p) for (key, one), p in zip(found.items(), corrected, strict=True)}
