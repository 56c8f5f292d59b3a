"""DST, dynamic subset tuning: train everything, but let only a small subset be away from where it started.

    θ ← AdamW(θ, g)      in every silo: S ← the ε·|silo| elements with the largest |θ - θ₀|, and θ_i ← θ₀_i for i ∉ S

Stahlberg et al. 2024, arXiv 2411.08610.  A silo is a tensor of the adapter.  S moves while training goes on, so every element gets
gradients, moments and steps: all N count, though no more than about ε·N differ from θ₀ at any time, which is what the paper counts.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...spaces.axes import Float
from ..method import hyperparameter
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, largest, share


@dataclass(frozen=True)
class Dst(Optimizer):
    """Dynamic subset tuning."""

    formula: ClassVar[str] = "all; ε·N of them differ from the start"
    citation: ClassVar[str] = "Stahlberg et al. 2024, arXiv 2411.08610"
    published: ClassVar[str] = "not read: no code is public"
    deviations: ClassVar[str] = "a silo is a tensor of the adapter; the paper counts the ε·N elements that differ, here all N count"
    uses_origin: ClassVar[bool] = True

    fraction: float = hyperparameter(0.1, Float(1e-4, 0.5, log=True))

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """Everything moves; all but S goes back."""
        losses, g = context.gradient(pack)
        pack.flat.sub_(context.adamw(pack, state, g))
        for values, origins in zip(pack.unflatten(pack.flat), pack.unflatten(state.origin), strict=True):
            for name, value in values.items():
                value.copy_(self.silo(value.flatten(1), origins[name].flatten(1)).view_as(value))
        return losses

    def silo(self, value: Tensor, origin: Tensor) -> Tensor:
        """θ (trials, elements) with all but the ε·|silo| elements that went farthest back at `origin`."""
        return value.where(largest((value - origin).abs(), share(self.fraction, value.shape[1])), origin)
