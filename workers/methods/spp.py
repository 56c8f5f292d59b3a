"""SPP: an update that is zero wherever the frozen weight is, so that a pruned model stays pruned.

    ΔW = s · W ⊙ (b 1ᵀ) ⊙ repeat(A)      A (r×in) ~ U(±1/√in), b (out) = 0 trainable; each row of A serves out/r rows of W

Lu et al. 2024, arXiv 2405.16057, with r = 16 and s = 2.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, Dense, Named, Tensors, hyperparameter, uniform


@dataclass(frozen=True)
class Spp(Dense):
    """Sparsity-preserved parameter-efficient fine-tuning."""

    formula: ClassVar[str] = "Σ r·in + out over the chosen linears"
    citation: ClassVar[str] = "Lu et al. 2024, arXiv 2405.16057"
    published: ClassVar[str] = "4e-3, 3 epochs (authors' code)"
    deviations: ClassVar[str] = "no pruning step: it serves weights that are sparse already, and works on any"

    rank: int = hyperparameter(16, Choice((1, 2, 4, 8, 16)))
    scale: float = hyperparameter(2.0, Float(0.5, 8.0, log=True), structural=False)
    lr: float = hyperparameter(4e-3, Float(4e-4, 4e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("all", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ r·in + out."""
        for site in self.sites(shape):
            if site.outputs % self.rank:
                below = next(n for n in range(self.rank, 0, -1) if site.outputs % n == 0)
                raise WrongInput(f"spp.rank: {self.rank} does not divide the {site.outputs} outputs of {site.name}; use {below}")
        return sum(self.rank * site.inputs + site.outputs for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """A ~ U(±1/√in), b = 0; the scaling s is frozen."""
        trainable = {}
        for site in self.sites(shape):
            trainable[f"{site.key}/A"] = uniform(self.rank, site.inputs, generator=generator, bound=site.inputs**-0.5)
            trainable[f"{site.key}/b"] = torch.zeros(site.outputs)
        return Tensors(trainable, {"s": torch.tensor(self.scale)})

    def delta(self, p: Named, site: Linear, weight: Tensor) -> Tensor:
        """s · W ⊙ (b 1ᵀ) ⊙ repeat(A)."""
        rows = p["A"].repeat_interleave(site.outputs // self.rank, 0)
        return p["s"] * weight * p["b"][:, None] * rows
