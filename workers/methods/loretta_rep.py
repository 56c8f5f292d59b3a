"""LoRETTA rep: LoRA with both factors as tensor trains.

    y = W x + (α/b) B A x      Aᵀ (in×b) = TT(A_1 …), B (out×b) = TT(B_1 …), cores of rank r; B's last core 0 at the start

Yang et al. 2024, arXiv 2402.11417.  The published tables of shapes give way to factors near 8 (`balanced`); a table's own shapes
can be written as `shape: 8x8x12x8,8x8x8x4x9`.  The reference code starts from B ≠ 0 though the paper starts from the unchanged
model; here the model is unchanged.  Its norms are trained by composing: `loretta_rep+ln_tuning`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter
from .maths.tensor_train import Train, shaped


@dataclass(frozen=True)
class LorettaRep(LowRank):
    """Low-rank economic tensor-train adaptation, reparameterised."""

    formula: ClassVar[str] = "Σ r_{i-1}·k_i·r_i over the cores, ∏k = b·in and b·out, of the chosen linears"
    citation: ClassVar[str] = "Yang et al. 2024, arXiv 2402.11417"
    published: ClassVar[str] = "1e-4, 5e-4 (paper, GLUE)"
    deviations: ClassVar[str] = (
        "shapes have factors near 8 unless given, and the paper's are tables; the update is zero at the start, as in the paper, "
        "not in its code; norms by composing with ln_tuning"
    )

    rank: int = hyperparameter(5, Int(1, 20, log=True))
    bottleneck: int = hyperparameter(8, Choice((4, 8, 16)))
    shape: str = hyperparameter("balanced", Choice(("balanced",)))
    alpha: float = hyperparameter(16.0, Float(1.0, 64.0, log=True), structural=False)
    lr: float = hyperparameter(3e-3, Float(1e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def trains(self, site: Linear) -> tuple[Train, Train]:
        """Aᵀ and B."""
        widest = max(self.rank, self.bottleneck)
        if widest > min(site.inputs, site.outputs):
            raise WrongInput(
                f"loretta_rep: {widest} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank or bottleneck"
            )
        return self._train(site.inputs), self._train(site.outputs)

    def parameters(self, shape: Shape) -> int:
        """Σ r_{i-1}·k_i·r_i."""
        return sum(train.count for site in self.sites(shape) for train in self.trains(site))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Cores at the scale 1/√(width + b) of their product, B's last one 0; α/b is frozen."""
        trainable: dict[str, Tensor] = {}
        for site in self.sites(shape):
            for name, train in zip("AB", self.trains(site), strict=True):
                std = (train.rows + self.bottleneck) ** -0.5
                trainable |= train.draw(f"{site.key}/{name}", generator=generator, std=std, zero=name == "B")
        return Tensors(trainable, {"scaling": torch.tensor(self.alpha / self.bottleneck)})

    def unit(self, name: str, shape: Shape) -> float:
        """What B A adds is measured, in B's last core, in what its linear puts out."""
        site = shape.linear(name)
        return site.scale if name == f"{site.key}/B{len(self.trains(site)[1].shape) - 1}" else 1.0

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """ΔW cut where it is narrowest: rank min(r, b)."""
        a, b = self.trains(site)
        (a_left, a_right), (b_left, b_right) = a.unfold(p, "A"), b.unfold(p, "B")
        return p["scaling"] * b_left @ (b_right @ a_right.mT), a_left.mT

    def _train(self, width: int) -> Train:
        dimensions = shaped(self.shape, width, self.bottleneck, hyperparameter="loretta_rep.shape")
        return Train(width, self.bottleneck, dimensions, self.rank)
