"""SaRA: train the weights that do little, the smallest ones, and half-way only those of them that still do little.

    S = {i : |w_i| < τ}      θ_S ← AdamW(θ_S, g_S)      at half the steps: S ← S ∩ {i : |w_i| < τ}      loss + λ ‖W_S‖_*

w_i is the frozen weight with what training added to it, or the element itself where it is added to none. τ is the quantile that
makes S a given fraction. W is one matrix a step, drawn at random, and W_S is W with zeros outside S; ‖W_S‖_* has the gradient U Vᵀ.
Hu et al. 2024, arXiv 2409.06633. The reference code takes |w| of the trained weights once for the mask and keeps it, which flips
the sign of every small negative weight; here signs stay.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...spaces.axes import Float
from ..method import hyperparameter
from ..methods.maths.linear_algebra import polar
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, largest, share


@dataclass(frozen=True)
class Sara(Optimizer):
    """Progressive sparse low-rank adaptation."""

    formula: ClassVar[str] = "fraction·N"
    citation: ClassVar[str] = "Hu et al. 2024, arXiv 2409.06633"
    published: ClassVar[str] = "1e-3·exp(-350 τ) (authors' code), λ 5e-4"
    deviations: ClassVar[str] = (
        "τ is a quantile, not 2e-3; moments go on at the second selection; signs stay, where the code makes small weights positive"
    )
    uses_reference: ClassVar[bool] = True
    uses_origin: ClassVar[bool] = True

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
        mask = state.vectors["mask"]
        losses, g = context.gradient(pack)
        g = (g + self.nuclear * towards_low_rank(pack, (state.reference + pack.flat) * mask, context) * pack.units) * mask
        pack.flat.sub_(context.adamw(pack, state, g) * mask)
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


def towards_low_rank(pack: Pack, weights: Tensor, context: StepContext) -> Tensor:
    """Gradient (elements,) of the nuclear norm of one matrix a trial, drawn anew each step, among `weights` (elements,)."""
    gradient = torch.zeros_like(weights)
    own, targets = pack.unflatten(weights), pack.unflatten(gradient)
    for position in range(pack.size):
        matrices = [
            (g, name, index)
            for g, group in enumerate(pack.groups)
            for index, part in enumerate(group.parts)
            for name, tensor in own[g].items()
            if part.position == position and tensor.ndim == 3 and min(tensor.shape[1:]) > 1
        ]
        if matrices:
            g, name, index = matrices[int(torch.randint(len(matrices), (), generator=context.draw(position, context.step)))]
            targets[g][name][index] = polar(own[g][name][index])
    return gradient
