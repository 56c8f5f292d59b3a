"""LoRETTA adp: a bottleneck adapter whose two matrices are tensor trains, behind the chosen linears.

    y ← y + U σ(D y + c) + e      Dᵀ (out×b) = TT(D_1 …), U (out×b) = TT(U_1 …), cores of rank r, c (b), e (out)

Yang et al. 2024, arXiv 2402.11417.  U's last core, c and e are 0 at the start: the paper starts from the unchanged model, its
code does not.  σ is ReLU in the paper and tanh in the code.  The published tables of shapes give way to factors near 8
(`balanced`) or can be written as `shape: 16x16x16x4x4x4`.  Norms are trained by composing: `loretta_adp+ln_tuning`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, LinearEffect, Named, Tensors, hyperparameter
from .maths.tensor_train import Train, shaped


@dataclass(frozen=True)
class LorettaAdp(LinearEffect):
    """Low-rank economic tensor-train adaptation, adapters."""

    formula: ClassVar[str] = "Σ 2·(r_{i-1}·k_i·r_i over the cores, ∏k = b·out) + [bias]·(b + out) over the chosen linears"
    citation: ClassVar[str] = "Yang et al. 2024, arXiv 2402.11417"
    published: ClassVar[str] = "1e-4, 5e-4 (paper, GLUE)"
    deviations: ClassVar[str] = (
        "shapes have factors near 8 unless given, and the paper's are tables; the change is zero at the start, as in the paper, "
        "not in its code; norms by composing with ln_tuning"
    )

    rank: int = hyperparameter(5, Int(1, 20, log=True))
    bottleneck: int = hyperparameter(64, Choice((8, 16, 32, 64)))
    bias: bool = hyperparameter(True, Choice((True, False)))
    activation: str = hyperparameter("relu", Choice(("relu", "tanh")))
    shape: str = hyperparameter("balanced", Choice(("balanced",)))
    lr: float = hyperparameter(3e-3, Float(1e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("o,down", Choice(("o,down", "o", "down")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def train(self, site: Linear) -> Train:
        """Dᵀ, and U alike."""
        if self.rank > site.outputs:
            raise WrongInput(f"loretta_adp.rank: {self.rank} is above the width {site.outputs} of {site.name}; lower rank")
        dimensions = shaped(self.shape, site.outputs, self.bottleneck, hyperparameter="loretta_adp.shape")
        return Train(site.outputs, self.bottleneck, dimensions, self.rank)

    def parameters(self, shape: Shape) -> int:
        """Σ 2·count of a train + [bias]·(b + out)."""
        return sum(2 * self.train(site).count + self.bias * (self.bottleneck + site.outputs) for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Cores at the scale 1/√(out + b) of their product; U's last one, c and e are 0."""
        trainable: dict[str, Tensor] = {}
        for site in self.sites(shape):
            train, std = self.train(site), (site.outputs + self.bottleneck) ** -0.5
            trainable |= train.draw(f"{site.key}/D", generator=generator, std=std, zero=False)
            trainable |= train.draw(f"{site.key}/U", generator=generator, std=std, zero=True)
            if self.bias:
                trainable |= {f"{site.key}/c": torch.zeros(self.bottleneck), f"{site.key}/e": torch.zeros(site.outputs)}
        return Tensors(trainable)

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """y + U σ(D y + c) + e, both trains cut at the bond between width and bottleneck."""
        train = self.train(site)
        (d_left, d_right), (u_left, u_right) = (_cast(train.unfold(p, name), y) for name in "DU")
        hidden = y @ d_left @ d_right
        hidden = hidden + p["c"] if self.bias else hidden
        hidden = (torch.relu(hidden) if self.activation == "relu" else torch.tanh(hidden)).to(y.dtype)
        changed = y + hidden @ u_right.mT @ u_left.mT
        return changed + p["e"] if self.bias else changed


def _cast(factors: tuple[Tensor, Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    left, right = factors
    return left.to(y.dtype), right.to(y.dtype)
