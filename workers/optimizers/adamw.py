"""AdamW: one fused update for all trials of a pack, each element with its own learning rate.

    m ← β₁ m + (1-β₁) g      v ← β₂ v + (1-β₂) g²      θ ← θ - lr · (m̂ / (√v̂ + ε) + λ θ)

Loshchilov & Hutter 2019, arXiv 1711.05101. λ, β and ε are the study's (`weight_decay: 0.01`); λ is 0 unless it says otherwise, for
a prompt's scale must not be pulled to zero. What a method learns as a difference from the frozen model is pulled towards that.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext


@dataclass(frozen=True)
class AdamW(Optimizer):
    """The default rule."""

    formula: ClassVar[str] = "all"
    citation: ClassVar[str] = "Loshchilov & Hutter 2019, arXiv 1711.05101"
    published: ClassVar[str] = "–"
    deviations: ClassVar[str] = "none"

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """θ ← θ - lr · (m̂ / (√v̂ + ε) + λ θ)."""
        losses, g = context.gradient(pack)
        pack.flat.sub_(context.adamw(pack, state, g))
        return losses
