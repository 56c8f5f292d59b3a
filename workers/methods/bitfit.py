"""BitFit: train the biases, nothing else.

    y = W x + b + δ      δ (out) = 0 at the start

Ben Zaken, Goldberg & Ravfogel 2022, arXiv 2106.10199.  δ is learnt instead of b, which is the same under Adam without decay
and leaves the frozen bias untouched.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, Biases, Named, Tensors, hyperparameter


@dataclass(frozen=True)
class Bitfit(Biases):
    """Bias-term fine-tuning."""

    formula: ClassVar[str] = "Σ out over the chosen linears that have a bias"
    citation: ClassVar[str] = "Ben Zaken, Goldberg & Ravfogel 2022, arXiv 2106.10199"

    lr: float = hyperparameter(3e-3, Float(1e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", Choice(("q,v", "q,k,v", "down", "all")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules` that have a bias."""
        sites = tuple(site for site in shape.select(layers=self.layers, modules=self.modules) if site.bias)
        if not sites:
            raise WrongInput(f"bitfit: none of this model's {self.modules!r} linears has a bias; use ia3 or lora instead")
        return sites

    def parameters(self, shape: Shape) -> int:
        """Σ out."""
        return sum(site.outputs for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """δ = 0."""
        return Tensors({f"{site.key}/delta": torch.zeros(site.outputs) for site in self.sites(shape)})

    def bias(self, p: Named, site: Linear) -> Tensor:
        """δ, (out,)."""
        return p["delta"]
