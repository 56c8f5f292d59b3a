"""SaRA: train the weights that do little, the smallest ones, and half-way only those of them that still do little.

    S = {i : |w_i| < τ}      θ_S ← AdamW(θ_S, g_S)      at half the steps: S ← S ∩ {i : |w_i| < τ}      loss + λ Σ ‖ΔW‖_*

w_i is the frozen weight with what training added to it, or the element itself where it is added to none. τ is the quantile that
makes S a given fraction. Hu et al. 2024, arXiv 2409.06633. The reference code takes |w| of the trained weights once for the mask
and keeps it, which flips the sign of every small negative weight; here signs stay. The nuclear norm ‖ΔW‖_* has the gradient U Vᵀ.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...spaces.axes import Float
from ..method import hyperparameter
from ..methods.maths.linear_algebra import polar
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, adam, largest, share


@dataclass(frozen=True)
class Sara(Optimizer):
    """Progressive sparse low-rank adaptation."""

    formula: ClassVar[str] = "fraction·N"
    citation: ClassVar[str] = "Hu et al. 2024, arXiv 2409.06633"
    uses_reference: ClassVar[bool] = True

    fraction: float = hyperparameter(0.1, Float(1e-4, 0.5, log=True))
    nuclear: float = hyperparameter(5e-4, Float(1e-5, 1e-2, log=True))

    def trainable(self, total: int) -> int:
        """The fraction of smallest weights."""
        return share(self.fraction, total)

    def vectors(self) -> tuple[str, ...]:
        """The moments, and S as ones and zeros."""
        return ("m", "v", "mask")

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """AdamW on S."""
        self._choose(pack, state, context)
        losses, g = context.gradient(pack)
        g = (g + self.nuclear * _towards_low_rank(pack, pack.flat - state.origin) * pack.units) * state.vectors["mask"]
        change = adam(state.vectors["m"], state.vectors["v"], g, step=context.step)
        pack.flat.sub_(context.rates * change * state.vectors["mask"])
        return losses

    def _choose(self, pack: Pack, state: State, context: StepContext) -> None:
        first, again = context.step == 0, context.step == max(1, context.horizon // 2)
        if not (first or again):
            return
        mask = state.vectors["mask"]
        for place in pack.places:
            weights = (state.reference[place] + state.origin[place]).abs()
            small = largest(-weights, self.trainable(len(place)))
            if first:
                mask[place] = small.to(mask.dtype)
            else:
                now = (state.reference[place] + pack.flat[place]).abs()
                mask[place] *= (now <= weights[small].max()).to(mask.dtype)


def _towards_low_rank(pack: Pack, change: Tensor) -> Tensor:
    """Gradient of the sum of nuclear norms of every matrix among the trials' tensors, (elements,)."""
    gradient = torch.zeros_like(change)
    for values, target in zip(pack.unflatten(change), pack.unflatten(gradient), strict=True):
        for name, tensor in values.items():
            if tensor.ndim == 3 and min(tensor.shape[1:]) > 1:
                target[name].copy_(polar(tensor))
    return gradient
