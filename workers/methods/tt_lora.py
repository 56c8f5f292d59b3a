"""TT-LoRA: the whole update of a linear is one tensor train.

    y = W x + α ΔW x      ΔWᵀ (in×out) = TT(G_1 … G_D), cores of rank r; G_D = 0 at the start

Anjum et al. 2024, arXiv 2408.01008.  Width in and width out are each split into `order` balanced factors (the paper searches
shapes by hand), inputs first, so the update has the rank r of the bond between them.  The reference code starts from cores that
change the model at step 0; here the last core starts at zero.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter
from .maths.tensor_train import Train, factorise


@dataclass(frozen=True)
class TtLora(LowRank):
    """Tensor-train low-rank adaptation."""

    formula: ClassVar[str] = "Σ r_{i-1}·k_i·r_i over the cores, ∏k = in·out, of the chosen linears"
    citation: ClassVar[str] = "Anjum et al. 2024, arXiv 2408.01008"
    published: ClassVar[str] = "5e-3 (TT-LoRA MoE)"
    deviations: ClassVar[str] = (
        "balanced factors, where the paper searches shapes by hand; the last core is zero at the start, where third-party code "
        "starts from ΔW ≠ 0"
    )

    rank: int = hyperparameter(4, Int(1, 16, log=True))
    order: int = hyperparameter(4, Int(2, 6))
    alpha: float = hyperparameter(4.0, Float(0.5, 32.0, log=True), structural=False)
    lr: float = hyperparameter(5e-3, Float(5e-4, 5e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def train(self, site: Linear) -> Train:
        """ΔWᵀ."""
        if self.rank > min(site.inputs, site.outputs):
            raise WrongInput(f"tt_lora.rank: {self.rank} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank")
        dimensions = (*factorise(site.inputs, self.order), *factorise(site.outputs, self.order))
        return Train(site.inputs, site.outputs, dimensions, self.rank)

    def parameters(self, shape: Shape) -> int:
        """Σ r_{i-1}·k_i·r_i."""
        return sum(self.train(site).count for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Cores at the scale 1/√(in + out) of the product, the last one 0; α is frozen."""
        trainable: dict[str, Tensor] = {}
        for site in self.sites(shape):
            std = (site.inputs + site.outputs) ** -0.5
            trainable |= self.train(site).draw(f"{site.key}/G", generator=generator, std=std, zero=True)
        return Tensors(trainable, {"alpha": torch.tensor(self.alpha)})

    def unit(self, name: str, shape: Shape) -> float:
        """What the train adds is measured, in its last core, in what its linear puts out."""
        site = shape.linear(name)
        return site.scale if name == f"{site.key}/G{len(self.train(site).shape) - 1}" else 1.0

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The train cut between outputs and inputs: rank r."""
        left, right = self.train(site).unfold(p, "G")
        return p["alpha"] * right.mT, left.mT
