"""ETHER: the frozen weight seen in a mirror, block by block.

    y = W H x + β      H = blockdiag_i(I - 2 û_i û_iᵀ),  û = u/|u|,  i = 1 … n      u_i (in/n) ~ U(±√(n/in)) trainable

Bini et al. 2024, arXiv 2405.20271.  W H = W - 2 (W U) Uᵀ, so the update has rank n; it is not the identity at the start.
The authors' code cuts W into groups of rows by a reshape where the paper multiplies by the block-diagonal H; this is the paper's.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, uniform
from .maths.reflections import block_width, directions


@dataclass(frozen=True)
class Ether(LowRank):
    """Efficient fine-tuning by hyperplane reflections."""

    formula: ClassVar[str] = "Σ in over the chosen linears, whatever the number of blocks"
    citation: ClassVar[str] = "Bini et al. 2024, arXiv 2405.20271"
    published: ClassVar[str] = "3e-4 to 2e-3 (GLUE), 2e-3 (Llama-2), paper"
    deviations: ClassVar[str] = (
        "H is the paper's block-diagonal matrix, where the authors' code cuts W into groups of rows by a reshape; the count is the same"
    )

    blocks: int = hyperparameter(4, Choice((1, 2, 4, 8, 16, 32)))
    lr: float = hyperparameter(2e-3, Float(3e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ in."""
        return sum(self.blocks * self._width(site) for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """u_i ~ U(±√(n/in)), the reference code's kaiming uniform."""
        sizes = {f"{site.key}/u": self._width(site) for site in self.sites(shape)}
        return Tensors({name: uniform(self.blocks, width, generator=generator, bound=width**-0.5) for name, width in sizes.items()})

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """-2 W U and Uᵀ."""
        U = directions(p["u"])
        return -2 * (weight @ U.to(weight.dtype)).to(U.dtype), U.mT

    def _width(self, site: Linear) -> int:
        return block_width(site.inputs, self.blocks, site=site.name, method="ether")
