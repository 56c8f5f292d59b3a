"""What the drawings of a curve agree on about the parameter axis."""

import math

from ..spaces.references import CEILING, Reference
from .curve import Curve


def parameter_range(curve: Curve) -> tuple[float, float]:
    """Return the ends of the parameter axis: every trial and the budget, with air of a twelfth of the range (in decades)."""
    beside = [one.parameters for one in curve.references if one.parameters and one.kind not in CEILING]
    numbers = [curve.budget, *(point.trainable_parameters for point in curve.drawn), *beside]
    low, high = math.log10(max(1, min(numbers))), math.log10(max(1, *numbers))
    air = max(0.1, (high - low) * 0.08)
    return 10 ** (low - air), 10 ** (high + air)


def reference_start(one: Reference, low: float, high: float) -> float:
    """Return where on the axis a reference's line begins: at its size; at the left where that is 0, or far beyond as a ceiling's."""
    return low if one.kind in CEILING else min(max(low, one.parameters), high)


def decimal_ticks(low: float, high: float, *, factors: tuple[int, ...]) -> list[int]:
    """Return the whole numbers `factor · 10^n` from `low` to `high`, ascending."""
    decades = range(max(0, math.floor(math.log10(low))), math.ceil(math.log10(high)) + 1)
    return [factor * 10**decade for decade in decades for factor in factors if low <= factor * 10**decade <= high]
