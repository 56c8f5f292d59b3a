"""TinyLoRA: a handful of numbers that mix random matrices in the principal subspace of each weight.

    y = W x + U_r √S_r (Σ_i v_i P_i) √S_r V_rᵀ x      v (u) = 0 trainable; P_i (r×r) ~ N(0, 1/r) frozen, regenerated from the seed

Morris et al. 2026, arXiv 2602.04118; distribution of P and the split of S as in PEFT.  `weight_tying` says how far neighbouring
linears share their v: not at all (0), all of them (1).  PEFT takes the signs of U and V as its solver leaves them; here they are fixed,
so that a stored v means the same on every machine.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, normal
from .maths.linear_algebra import principal


@dataclass(frozen=True)
class Tinylora(LowRank):
    """Adaptation by as little as one number."""

    formula: ClassVar[str] = "u·groups, groups = (1 - weight_tying) of the chosen linears, at least 1"
    citation: ClassVar[str] = "Morris et al. 2026, arXiv 2602.04118"
    published: ClassVar[str] = "not read: the paper's are for reinforcement learning"
    deviations: ClassVar[str] = "P's distribution and the split of S are PEFT's; signs of the singular vectors are fixed"

    length: int = hyperparameter(16, Int(1, 1024, log=True))
    rank: int = hyperparameter(2, Int(1, 16, log=True))
    weight_tying: float = hyperparameter(0.0, Choice((0.0, 0.5, 0.75, 1.0)))
    lr: float = hyperparameter(0.01, Float(1e-4, 0.3, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """u·groups."""
        for site in self.sites(shape):
            if self.rank > min(site.inputs, site.outputs):
                raise WrongInput(
                    f"tinylora.rank: {self.rank} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank"
                )
        if not 0 <= self.weight_tying <= 1:
            raise WrongInput(f"tinylora.weight_tying: {self.weight_tying} is not between 0 (no sharing) and 1 (one v for all)")
        return self.length * self._groups(shape)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """v = 0 for each group; frozen: each linear's P_i ~ N(0, 1/r) and the number of its group."""
        groups, sites = self._groups(shape), self.sites(shape)
        frozen: dict[str, Tensor] = {}
        for number, site in enumerate(sites):
            frozen[f"{site.key}/P"] = normal(self.length, self.rank, self.rank, generator=generator, std=self.rank**-0.5)
            frozen[f"{site.key}/group"] = torch.tensor([min(number // (len(sites) // groups), groups - 1)])
        return Tensors({"v": torch.zeros(groups, self.length)}, frozen)

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """U √S and (Σ v_i P_i) √S Vᵀ."""
        b, a = (factor.to(p["P"].dtype) for factor in principal(weight, self.rank))
        v = p["v"].index_select(0, p["group"])[0]
        return b, torch.einsum("i,ijk->jk", v, p["P"]) @ a

    def _groups(self, shape: Shape) -> int:
        return max(1, round(len(self.sites(shape)) * (1 - self.weight_tying)))
