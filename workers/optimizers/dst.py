"""DST, dynamic subset tuning: train everything, but let only a small subset be away from where it started.

    θ ← AdamW(θ, g)      S ← the ε·N elements with the largest |θ - θ₀|      θ_i ← θ₀_i for i ∉ S

Stahlberg et al. 2024, arXiv 2411.08610.  S moves while training goes on. The paper takes a subset of every parameter group
("silo"); a trial's adapter is one silo here. Count: ε·N, all that is ever kept of a trial besides the optimiser's state.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...spaces.axes import Float
from ..method import hyperparameter
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, adam, largest, share


@dataclass(frozen=True)
class Dst(Optimizer):
    """Dynamic subset tuning."""

    formula: ClassVar[str] = "ε·N"
    citation: ClassVar[str] = "Stahlberg et al. 2024, arXiv 2411.08610"

    fraction: float = hyperparameter(0.1, Float(1e-4, 0.5, log=True))

    def trainable(self, total: int) -> int:
        """ε·N."""
        return share(self.fraction, total)

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """Everything moves; all but S goes back."""
        losses, g = context.gradient(pack)
        pack.flat.sub_(context.rates * adam(state.vectors["m"], state.vectors["v"], g, step=context.step))
        for place in pack.places:
            moved = ((pack.flat[place] - state.origin[place]) / pack.units[place]).abs()
            back = place[~largest(moved, self.trainable(len(place)))]
            pack.flat[back] = state.origin[back]
        return losses
