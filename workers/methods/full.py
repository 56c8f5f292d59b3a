"""Full fine-tuning of chosen linears: every weight is trained, as its difference from the frozen one.

    y = (W + ΔW) x      ΔW (outputs×inputs) = 0 trainable

The ceiling that the other methods are measured against, and what rules such as `full+senszoq` choose their few weights from.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, Dense, Named, Tensors, hyperparameter


@dataclass(frozen=True)
class Full(Dense):
    """Full fine-tuning."""

    formula: ClassVar[str] = "Σ in·out over the chosen linears"
    citation: ClassVar[str] = "Devlin et al. 2019, arXiv 1810.04805"
    published: ClassVar[str] = "1e-6 to 5e-5"
    deviations: ClassVar[str] = "none but that linears alone are trained: no embeddings, no norms, no biases"

    lr: float = hyperparameter(5e-5, Float(1e-6, 1e-3, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("all", Choice(("all", "q,v", "down")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ in·out."""
        return sum(site.inputs * site.outputs for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """ΔW = 0."""
        return Tensors({f"{site.key}/weight": torch.zeros(site.outputs, site.inputs) for site in self.sites(shape)})

    def unit(self, name: str, shape: Shape) -> float:
        """The size of what its linear puts out."""
        return shape.output(name)

    def delta(self, p: Named, site: Linear, weight: Tensor) -> Tensor:
        """ΔW."""
        return p["weight"]
