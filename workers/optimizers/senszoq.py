"""SensZOQ: zeroth-order training of the few most sensitive elements.

    S = the fraction of elements with the largest Σ g²      z ~ N(0, I) on S
    ĝ = (L(θ + ε z) - L(θ - ε z)) / 2ε      θ_S ← θ_S - lr · ĝ · z

Guo et al. 2024, arXiv 2406.02913: a static mask by the empirical Fisher diagonal, 0.1 % of a model. The paper takes the gradients from a
text corpus and keeps the rest of the weights in 4 bits; here they come from the trial's own first steps, in which nothing
moves, and the frozen model keeps its precision. After these every step is two forward passes.
"""

from dataclasses import dataclass
from typing import ClassVar
from zlib import crc32

import torch
from torch import Tensor

from ...spaces.axes import Float, Int
from ..method import hyperparameter
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, largest, share


@dataclass(frozen=True)
class Senszoq(Optimizer):
    """Sensitive zeroth-order optimisation."""

    formula: ClassVar[str] = "fraction·N"
    citation: ClassVar[str] = "Guo et al. 2024, arXiv 2406.02913"
    published: ClassVar[str] = "not read"
    deviations: ClassVar[str] = (
        "sensitivities are of the trial's own first steps, the paper's of a text corpus; the frozen model keeps its precision, "
        "the paper's has 4 bits"
    )

    fraction: float = hyperparameter(0.1, Float(1e-4, 1.0, log=True))
    lr: float = hyperparameter(1e-3, Float(1e-6, 0.1, log=True))
    eps: float = hyperparameter(1e-3, Float(1e-4, 1e-2, log=True))
    calibration: int = hyperparameter(4, Int(1, 16))

    def trainable(self, total: int) -> int:
        """|S|."""
        return share(self.fraction, total)

    def rates(self, pack: Pack) -> Tensor:
        """The rule's own: a step along a random direction says nothing of the method's."""
        return self.lr * pack.units

    def vectors(self) -> tuple[str, ...]:
        """Σ g², and S as ones and zeros."""
        return ("fisher", "mask")

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """Sum up sensitivities first; then SPSA on S."""
        fisher, mask = state.vectors["fisher"], state.vectors["mask"]
        look = min(self.calibration, max(1, context.horizon // 2))  # a short run must not be all calibration
        if context.step < look:
            losses, g = context.gradient(pack)
            fisher.add_(g.square())
            return losses
        if context.step == look:
            for place in pack.places:
                mask[place] = largest(fisher[place], self.trainable(len(place))).to(mask.dtype)
        z = gaussian(pack, context) * mask
        losses, slope = context.slope(pack, z, eps=self.eps)
        pack.flat.sub_(context.rates * slope[pack.owner] * z)
        return losses


def gaussian(pack: Pack, context: StepContext) -> Tensor:
    """Draw N(0, 1) for every element, (elements,), each tensor from its trial's seed, its name and the step."""

    def draw(position: int, name: str, size: torch.Size) -> Tensor:
        return torch.randn(size, generator=context.draw(position, context.step, crc32(name.encode())))

    return pack.fill(draw)
