"""SpaRTA: train a few random entries of the weights.

    y = (W + ΔW) x      ΔW = δ at k random positions, 0 elsewhere      δ (k) = 0 at the start; positions frozen, from the seed

Rios et al. 2025, arXiv 2502.15975.  The paper draws every position with one probability, so its count is random and its
positions have to be stored; here every linear gets its share of exactly k, drawn evenly inside it. The axis of the learning rate
reaches above the paper's 2e-6 … 5e-5, which serve a thousand times as many entries.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, Named, Sparse, Tensors, hyperparameter
from .maths.sparse import distinct, shares


@dataclass(frozen=True)
class Sparta(Sparse):
    """Sparse random parameter adaptation."""

    formula: ClassVar[str] = "k"
    citation: ClassVar[str] = "Rios et al. 2025, arXiv 2502.15975"
    published: ClassVar[str] = "2e-6 to 5e-5 (authors' code)"
    deviations: ClassVar[str] = (
        "exactly k entries, in equal shares of every linear's size, from the seed; the paper draws each entry with one probability"
    )

    k: int = hyperparameter(1000, Int(1, 100_000, log=True))
    lr: float = hyperparameter(5e-3, Float(5e-5, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("v,o", Choice(("v,o", "q,v", "down", "all")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules` that get an entry."""
        return tuple(self._shares(shape))

    def parameters(self, shape: Shape) -> int:
        """k."""
        room = sum(site.inputs * site.outputs for site in shape.select(layers=self.layers, modules=self.modules))
        if self.k > room:
            raise WrongInput(f"sparta.k: {self.k} is above the {room} weights of the chosen linears; lower k or choose more linears")
        return self.k

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """δ = 0; frozen rows and columns of the entries."""
        trainable, frozen = {}, {}
        for site, count in self._shares(shape).items():
            positions = distinct(count, site.inputs * site.outputs, generator=generator)
            trainable[f"{site.key}/delta"] = torch.zeros(count)
            frozen[f"{site.key}/rows"], frozen[f"{site.key}/columns"] = positions // site.inputs, positions % site.inputs
        return Tensors(trainable, frozen)

    def unit(self, name: str, shape: Shape) -> float:
        """The size of what its linear puts out."""
        return shape.output(name)

    def entries(self, p: Named, site: Linear) -> tuple[Tensor, Tensor, Tensor]:
        """Positions and δ."""
        return p["rows"], p["columns"], p["delta"]

    def _shares(self, shape: Shape) -> dict[Linear, int]:
        """Entries of each linear that gets any, in proportion to its weights."""
        chosen = shape.select(layers=self.layers, modules=self.modules)
        counts = shares(self.k, [site.inputs * site.outputs for site in chosen])
        return {site: count for site, count in zip(chosen, counts, strict=True) if count}
