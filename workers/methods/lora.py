"""LoRA: a low-rank update of chosen linears.

    y = W x + (α/r) B A x      A (r×in) ~ U(±1/√in), B (out×r) = 0 trainable

Hu et al. 2022, arXiv 2106.09685; A's init is PEFT's (kaiming uniform with a = √5).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, uniform


@dataclass(frozen=True)
class Lora(LowRank):
    """Low-rank adaptation."""

    formula: ClassVar[str] = "Σ r·(in + out) over the chosen linears"
    citation: ClassVar[str] = "Hu et al. 2022, arXiv 2106.09685"

    rank: int = hyperparameter(1, Int(1, 16, log=True))
    alpha: float = hyperparameter(16.0, Float(1.0, 64.0, log=True), structural=False)
    lr: float = hyperparameter(3e-3, Float(1e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ r·(in + out)."""
        for site in self.sites(shape):
            if self.rank > min(site.inputs, site.outputs):
                raise WrongInput(f"lora.rank: {self.rank} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank")
        return sum(self.rank * (site.inputs + site.outputs) for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """A ~ U(±1/√in), B = 0; the scaling α/r is frozen."""
        trainable = {}
        for site in self.sites(shape):
            trainable[f"{site.key}/A"] = uniform(self.rank, site.inputs, generator=generator, bound=site.inputs**-0.5)
            trainable[f"{site.key}/B"] = torch.zeros(site.outputs, self.rank)
        return Tensors(trainable, {"scaling": torch.tensor(self.alpha / self.rank)})

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(α/r) B and A."""
        return p["scaling"] * p["B"], p["A"]
