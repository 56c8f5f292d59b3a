"""VeRA: two random matrices shared by all linears, and two small vectors for each.

    y = W x + b ⊙ (B (d ⊙ (A x)))      A (r×in), B (out×r) frozen, regenerated from the seed; d (r) = d₀, b (out) = 0 trainable

Kopiczko, Blankevoort & Asano 2024, arXiv 2310.11454.  As in PEFT, one pair of the largest size is drawn, kaiming uniform, and each
linear takes the rows and columns that it needs.  The rank costs hardly any parameters, but time and memory: A and B are r·(in + out).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, uniform


@dataclass(frozen=True)
class Vera(LowRank):
    """Vector-based random matrix adaptation."""

    formula: ClassVar[str] = "Σ out + r over the chosen linears"
    citation: ClassVar[str] = "Kopiczko, Blankevoort & Asano 2024, arXiv 2310.11454"
    published: ClassVar[str] = "4e-3 to 3e-2 (paper, GLUE)"
    deviations: ClassVar[str] = "none"

    rank: int = hyperparameter(64, Int(1, 1024, log=True))
    d_initial: float = hyperparameter(0.1, Float(1e-3, 1.0, log=True), structural=False)
    lr: float = hyperparameter(0.01, Float(1e-3, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ out + r."""
        return sum(site.outputs + self.rank for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """d = d₀, b = 0; frozen A ~ U(±√(6/in)), B ~ U(±√(6/r)) at the largest in and out."""
        sites = self.sites(shape)
        inputs, outputs = max(site.inputs for site in sites), max(site.outputs for site in sites)
        frozen = {
            "A": uniform(self.rank, inputs, generator=generator, bound=(6 / inputs) ** 0.5),
            "B": uniform(outputs, self.rank, generator=generator, bound=(6 / self.rank) ** 0.5),
        }
        trainable = {f"{site.key}/d": torch.full((self.rank,), self.d_initial) for site in sites}
        return Tensors(trainable | {f"{site.key}/b": torch.zeros(site.outputs) for site in sites}, frozen)

    def unit(self, name: str, shape: Shape) -> float:
        """What b scales is measured in what its linear puts out."""
        return shape.output(name) if name.endswith("/b") else 1.0

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """b ⊙ B and d ⊙ A, cut to the linear's size."""
        return p["b"][:, None] * p["B"][: site.outputs], p["d"][:, None] * p["A"][:, : site.inputs]
