"""MELoRA: n small LoRAs side by side, each between its own slices of input and output.

    y = W x + (α/r) diag(B_1 A_1, …, B_n A_n) x      A_i (r × in/n) ~ U(±1/√(in/n)), B_i (out/n × r) = 0 trainable

Ren et al. 2024, arXiv 2402.17263.  Costs what LoRA of rank r costs and has rank n·r.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, uniform


@dataclass(frozen=True)
class Melora(LowRank):
    """Mini-ensemble low-rank adapters."""

    formula: ClassVar[str] = "Σ r·(in + out) over the chosen linears"
    citation: ClassVar[str] = "Ren et al. 2024, arXiv 2402.17263"
    published: ClassVar[str] = "4e-4, 5e-4 (GLUE), 3e-4 (Llama-2), authors' code"
    deviations: ClassVar[str] = "none"

    rank: int = hyperparameter(1, Int(1, 16, log=True))
    blocks: int = hyperparameter(4, Choice((2, 4, 8, 16)))
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
            width = site.inputs if site.inputs % self.blocks else site.outputs
            if width % self.blocks:
                raise WrongInput(f"melora.blocks: {self.blocks} does not divide the width {width} of {site.name}; choose a divisor of it")
            if self.rank * self.blocks > min(site.inputs, site.outputs):
                raise WrongInput(
                    f"melora.rank: {self.rank} in {self.blocks} blocks is above the width {min(site.inputs, site.outputs)} of {site.name};"
                    " lower rank or blocks"
                )
        return sum(self.rank * (site.inputs + site.outputs) for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """A_i ~ U(±1/√(in/n)), B_i = 0, stacked; the scaling α/r is frozen."""
        trainable = {}
        for site in self.sites(shape):
            into, out = site.inputs // self.blocks, site.outputs // self.blocks
            trainable[f"{site.key}/A"] = uniform(self.blocks, self.rank, into, generator=generator, bound=into**-0.5)
            trainable[f"{site.key}/B"] = torch.zeros(self.blocks, out, self.rank)
        return Tensors(trainable, {"scaling": torch.tensor(self.alpha / self.rank)})

    def unit(self, name: str, shape: Shape) -> float:
        """What B A adds is measured in what its linear puts out."""
        return shape.output(name) if name.endswith("/B") else 1.0

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(α/r) diag(B_i) and diag(A_i)."""
        return p["scaling"] * _diagonal(p["B"]), _diagonal(p["A"])


def _diagonal(blocks: Tensor) -> Tensor:
    """Blocks (n, rows, columns) as one block-diagonal matrix (n·rows, n·columns)."""
    n, rows, columns = blocks.shape
    same = torch.eye(n, dtype=blocks.dtype, device=blocks.device)
    return (blocks[:, :, None, :] * same[:, None, :, None]).reshape(n * rows, n * columns)
