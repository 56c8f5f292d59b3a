"""AdamW: one fused update for all trials of a pack, each element with its own learning rate.

    m ← β₁ m + (1-β₁) g      v ← β₂ v + (1-β₂) g²      θ ← θ - lr · m̂ / (√v̂ + ε)

Loshchilov & Hutter 2019, arXiv 1711.05101, with weight decay 0: a prompt's scale must not be pulled to zero.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, adam


@dataclass(frozen=True)
class AdamW(Optimizer):
    """The default rule."""

    formula: ClassVar[str] = "all"
    citation: ClassVar[str] = "Loshchilov & Hutter 2019, arXiv 1711.05101"

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """θ ← θ - lr · m̂ / (√v̂ + ε)."""
        losses, g = context.gradient(pack)
        pack.flat.sub_(context.rates * adam(state.vectors["m"], state.vectors["v"], g, step=context.step))
        return losses
