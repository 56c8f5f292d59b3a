"""ETHER+: ETHER relaxed, so that it starts as the identity and may act on both sides of the weight.

    y = H_out W H_in x + β      H = blockdiag_i(I - û_i û_iᵀ + v̂_i v̂_iᵀ)      u_i (width/n) ~ U(±√(n/width)), v_i = -u_i trainable

Bini et al. 2024, arXiv 2405.20271.  With H = I + P Qᵀ, P = [-U V], Q = [U V], the update is

    H_out W H_in - W = P_out (Q_outᵀ W) + (H_out W P_in) Q_inᵀ      of rank 2n a side

The authors' code cuts W into groups by a reshape where the paper multiplies by the block-diagonal H; this is the paper's.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, uniform
from .maths.reflections import block_width, directions


@dataclass(frozen=True)
class EtherPlus(LowRank):
    """Relaxed hyperplane reflections."""

    formula: ClassVar[str] = "Σ 2·(in + out·[both_sides]) over the chosen linears, whatever the number of blocks"
    citation: ClassVar[str] = "Bini et al. 2024, arXiv 2405.20271"
    published: ClassVar[str] = "5e-3 (Llama-2), paper"
    deviations: ClassVar[str] = (
        "H is the paper's block-diagonal matrix, where the authors' code cuts W into groups of rows by a reshape; the count is the same"
    )

    blocks: int = hyperparameter(4, Choice((1, 2, 4, 8, 16, 32)))
    both_sides: bool = hyperparameter(True, Choice((True, False)))
    lr: float = hyperparameter(5e-3, Float(3e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ 2·(in + out·[both_sides])."""
        return sum(2 * self.blocks * width for site in self.sites(shape) for width in self._widths(site).values())

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """u_i ~ U(±√(n/width)) and v_i = -u_i."""
        trainable = {}
        for site in self.sites(shape):
            for side, width in self._widths(site).items():
                u = uniform(self.blocks, width, generator=generator, bound=width**-0.5)
                trainable[f"{site.key}/u_{side}"], trainable[f"{site.key}/v_{side}"] = u, -u
        return Tensors(trainable)

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """[P_out, H_out W P_in] and [Q_outᵀ W; Q_inᵀ]."""
        P, Q = _sides(p["u_in"], p["v_in"])
        WP = _product(weight, P)
        if not self.both_sides:
            return WP, Q.mT
        P_out, Q_out = _sides(p["u_out"], p["v_out"])
        return torch.cat([P_out, WP + P_out @ (Q_out.mT @ WP)], 1), torch.cat([_product(weight.mT, Q_out).mT, Q.mT])

    def _widths(self, site: Linear) -> dict[str, int]:
        widths = {"in": site.inputs, "out": site.outputs} if self.both_sides else {"in": site.inputs}
        return {side: block_width(width, self.blocks, site=site.name, method="ether_plus") for side, width in widths.items()}


def _sides(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """P = [-U V] and Q = [U V], (width, 2n) each."""
    U, V = directions(u), directions(v)
    return torch.cat([-U, V], 1), torch.cat([U, V], 1)


def _product(weight: Tensor, factor: Tensor) -> Tensor:
    return (weight @ factor.to(weight.dtype)).to(factor.dtype)
