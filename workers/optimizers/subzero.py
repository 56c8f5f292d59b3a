"""SubZero: zeroth-order training along random directions of low rank.

    Z = √(mn/r²) · U R Vᵀ      U (m×r), V (n×r) orthonormal, new every F steps; R (r×r) ~ N(0, 1), new every step
    ĝ = (L(θ + ε Z) - L(θ - ε Z)) / 2ε      θ ← θ - lr · ĝ · Z

Yu et al. 2024, arXiv 2410.08989. An adapter's matrix is seen as the most square one with as many elements (LoRA's 4×384 as 32×48),
a whole weight (`full+subzero`) as it is; vectors and stacks of matrices, and what has a side of at most r, are perturbed plainly.
Every step is two forward passes, and nothing is remembered. The paper keeps the rate constant: `schedule: constant`.
"""

from dataclasses import dataclass
from math import isqrt
from typing import ClassVar
from zlib import crc32

import torch
from torch import Tensor

from ...spaces.axes import Float, Int
from ..method import hyperparameter
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext


@dataclass(frozen=True)
class Subzero(Optimizer):
    """Zeroth-order optimisation in random subspaces."""

    formula: ClassVar[str] = "all"
    citation: ClassVar[str] = "Yu et al. 2024, arXiv 2410.08989"
    published: ClassVar[str] = "1e-3 with r 24, F 1,000, ε 1e-2, constant, 20,000 steps (authors' script, prompts of OPT-1.3B)"
    deviations: ClassVar[str] = "directions are in units (see below), as every rule's"

    rank: int = hyperparameter(8, Int(2, 32, log=True))
    refresh: int = hyperparameter(100, Int(10, 2000, log=True))
    lr: float = hyperparameter(1e-3, Float(1e-6, 0.1, log=True))
    eps: float = hyperparameter(1e-3, Float(1e-4, 1e-2, log=True))

    def rates(self, pack: Pack) -> Tensor:
        """The rule's own: a step along a random direction says nothing of the method's."""
        return self.lr * pack.units

    def vectors(self) -> tuple[str, ...]:
        """Nothing: a direction comes from the seed and the step."""
        return ()

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """SPSA along Z."""

        def draw(position: int, name: str, size: torch.Size) -> Tensor:
            return self.direction(name, size, context, position)

        z = pack.fill(draw)
        losses, slope = context.slope(pack, z, eps=self.eps)
        pack.flat.sub_(context.rates * slope[pack.owner] * z)
        return losses

    def direction(self, name: str, size: torch.Size, context: StepContext, position: int) -> Tensor:
        """Z of the tensor called `name`, of its size."""
        key = crc32(name.encode())
        fresh = context.draw(position, key, 1, context.step)
        m, n = matrix(name, size)
        if min(m, n) <= self.rank:
            return torch.randn(size, generator=fresh)
        basis = context.draw(position, key, 0, context.step // self.refresh)
        u, v = (torch.linalg.qr(torch.randn(side, self.rank, generator=basis)).Q for side in (m, n))
        r = torch.randn(self.rank, self.rank, generator=fresh)
        z: Tensor = (m * n) ** 0.5 / self.rank * (u @ r @ v.mT)
        return z.reshape(size)


def matrix(name: str, size: torch.Size) -> tuple[int, int]:
    """Rows and columns of the matrix that a tensor is seen as; one row where it is none."""
    total, sides = size.numel(), [side for side in size if side > 1]
    if len(sides) != 2:
        return 1, total
    if name.endswith("/weight"):
        return sides[0], sides[1]
    rows = next(side for side in range(isqrt(total), 0, -1) if total % side == 0)
    return rows, total // rows
