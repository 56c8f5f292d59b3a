"""Uni-LoRA: every entry of every LoRA factor is an entry of one short vector.

    y = W x + B A x      (A, B of all linears, flattened) = P θ      θ (d) ~ U(±0.02) trainable
    P (D×d) frozen: one entry a row, 1/√n_j in column j, which is used n_j = ⌊D/d⌋ or ⌈D/d⌉ times, so that PᵀP = I

Li et al. 2025, arXiv 2506.00799.  θ must not be zero, so the model is changed a little at step 0.
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
class Unilora(LowRank):
    """LoRA from one vector."""

    formula: ClassVar[str] = "d"
    citation: ClassVar[str] = "Li et al. 2025, arXiv 2506.00799"
    published: ClassVar[str] = "not read"
    deviations: ClassVar[str] = "none that is known: compared with PEFT's, not with the authors' code"

    length: int = hyperparameter(256, Int(8, 65536, log=True))
    rank: int = hyperparameter(4, Int(1, 16, log=True))
    lr: float = hyperparameter(0.02, Float(1e-3, 0.5, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """d."""
        for site in self.sites(shape):
            if self.rank > min(site.inputs, site.outputs):
                raise WrongInput(
                    f"unilora.rank: {self.rank} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank"
                )
        if self.length > self._entries(shape):
            raise WrongInput(
                f"unilora.length: {self.length} is above the {self._entries(shape)} LoRA entries to fill; lower length or raise rank"
            )
        return self.length

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """θ ~ U(±0.02); frozen: which entry of θ stands where in A and B, shuffled, and 1/√n."""
        theta = uniform(self.length, generator=generator, bound=0.02)
        places = torch.randperm(self._entries(shape), generator=generator) % self.length
        frozen = {"scale": torch.bincount(places, minlength=self.length).float().rsqrt()}
        sites = self.sites(shape)
        sizes = [size for site in sites for size in (self.rank * site.inputs, site.outputs * self.rank)]
        pieces = iter(places.split(sizes))
        for site in sites:
            frozen[f"{site.key}/A"] = next(pieces).view(self.rank, site.inputs)
            frozen[f"{site.key}/B"] = next(pieces).view(site.outputs, self.rank)
        return Tensors({"theta": theta}, frozen)

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """B and A, gathered from θ/√n."""
        entries = p["theta"] * p["scale"]
        return entries[p["B"]], entries[p["A"]]

    def _entries(self, shape: Shape) -> int:
        """D."""
        return sum(self.rank * (site.inputs + site.outputs) for site in self.sites(shape))
