"""What stands beside a curve: the same task, read by the same splits, without a search. Never a trial, a finalist or promoted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ReferenceKind = Literal["frozen", "probe", "ceiling"]
KINDS: tuple[ReferenceKind, ...] = ("frozen", "probe")
"""Measured unless a person says no."""
CEILING: tuple[ReferenceKind, ...] = ("ceiling",)
"""Full fine-tuning: measured only where a person asks for it."""


@dataclass(frozen=True)
class Reference:
    """One measurement. Choices in it follow from the validation split; the test split is reported only."""

    kind: ReferenceKind
    about: str
    """What was measured and what was chosen: `frozen model, cosine ...`, `linear probe on the mean of the text's states, C = 1`."""
    parameters: int
    """Trained elements: C·d + C of a probe with C labels on d features, 0 of the frozen model, all linears' of the ceiling."""
    score: float
    """In validation, as `Result.score`."""
    variance: float
    test_score: float
    test_variance: float
    seconds: float
    numerics: str
    others: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Further metrics on the test split, as they are."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "others": dict(self.others)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Reference":
        """Return the reference that `to_json` wrote."""
        return cls(**values)
