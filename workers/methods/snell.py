"""SNELL: a sparse update whose entries are distances between learnt points.

    ΔW_ij = 0.1 (|b_i - a_j| - |b'_i - a'_j|)      a, a' (in×r/2), b, b' (out×r/2) trainable, U(±1/√(in·r/2)), U(±1/√(out·r/2))

    y = (W + S(ΔW)) x      S(D) = D ⊙ max(|D| - t, 0), t the s-quantile of |D|, taken as a constant;  S(D) = D where s = 0

Shen et al. 2024, arXiv 2411.01800: the kernel makes an update of full rank out of factors of rank r, the weights compete for the
share 1 - s that is not zero. Not the identity at the start. The authors' code keeps D |D| above t instead of D (|D| - t); this is
the paper's S. S squares small numbers, so the axis of the learning rate reaches above the paper's 1e-3, which serves thousands of
steps.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, Dense, Named, Tensors, hyperparameter, uniform

SCALE = 0.1


@dataclass(frozen=True)
class Snell(Dense):
    """Sparse tuning with kernelised low-rank learning."""

    formula: ClassVar[str] = "Σ r·(in + out) over the chosen linears"
    citation: ClassVar[str] = "Shen et al. 2024, arXiv 2411.01800"
    published: ClassVar[str] = "1e-3 (paper, vision transformers)"
    deviations: ClassVar[str] = "S is the paper's D ⊙ max(|D| - t, 0), where the authors' code keeps D |D| above t"

    rank: int = hyperparameter(2, Choice((2, 4, 8, 16, 32)))
    sparsity: float = hyperparameter(0.3, Choice((0.0, 0.3, 0.6, 0.9)))
    lr: float = hyperparameter(0.03, Float(1e-3, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ r·(in + out)."""
        if self.rank % 2:
            raise WrongInput(f"snell.rank: {self.rank} is odd, and each of the two kernels takes half; use {self.rank + 1}")
        return sum(self.rank * (site.inputs + site.outputs) for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Points of both kernels, from PyTorch's kaiming uniform with a = √5 on (2, width, r/2)."""
        half, trainable = self.rank // 2, {}
        for site in self.sites(shape):
            for name, width in (("a", site.inputs), ("b", site.outputs)):
                trainable[f"{site.key}/{name}"] = uniform(2, width, half, generator=generator, bound=(width * half) ** -0.5)
        return Tensors(trainable)

    def delta(self, p: Named, site: Linear, weight: Tensor) -> Tensor:
        """S(ΔW)."""
        distances = _distances(p["b"], p["a"])
        D = SCALE * (distances[0] - distances[1])
        if self.sparsity == 0:
            return D
        closed = max(1, round(self.sparsity * site.inputs * site.outputs))
        t = D.detach().abs().flatten().kthvalue(closed).values
        return D * (D.abs() - t).clamp(min=0)


def _distances(b: Tensor, a: Tensor) -> Tensor:
    """Euclidean distances (kernels, out, in) of points `b` (kernels, out, k) and `a` (kernels, in, k)."""
    squares = b.square().sum(-1)[:, :, None] + a.square().sum(-1)[:, None, :] - 2 * b @ a.mT
    return squares.clamp(min=torch.finfo(squares.dtype).eps).sqrt()
