"""Adapters: a bottleneck behind each sublayer, in front of its residual connection.

    y ← y + U gelu(D y + c) + b      D (r×d), U (d×r) ~ N(0, 0.01²), c = b = 0

Houlsby et al. 2019, arXiv 1902.00751.  `o` and `down` are the last linears of the attention and of the feed-forward. The
paper trains the layer norms beside them: compose with a method for norms to have that.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, LinearEffect, Named, Tensors, hyperparameter, normal
from .maths.bottleneck import bottleneck


@dataclass(frozen=True)
class Adapter(LinearEffect):
    """Bottleneck adapters."""

    formula: ClassVar[str] = "Σ 2·d·r + r + d over the chosen linears, d = out"
    citation: ClassVar[str] = "Houlsby et al. 2019, arXiv 1902.00751"
    published: ClassVar[str] = "3e-5 to 3e-3 (paper, GLUE on BERT-large)"
    deviations: ClassVar[str] = "norms are not trained beside it: compose with ln_tuning for that; the normal start is not truncated"

    rank: int = hyperparameter(4, Int(1, 64, log=True))
    lr: float = hyperparameter(3e-3, Float(1e-4, 1e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("o,down", Choice(("o,down", "down", "o")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ 2·d·r + r + d."""
        for site in self.sites(shape):
            if self.rank > site.outputs:
                raise WrongInput(f"adapter.rank: {self.rank} is above the width {site.outputs} of {site.name}; lower rank")
        return sum(2 * site.outputs * self.rank + self.rank + site.outputs for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """D, U ~ N(0, 0.01²), c = b = 0."""
        trainable = {}
        for site in self.sites(shape):
            trainable[f"{site.key}/D"] = normal(self.rank, site.outputs, generator=generator, std=0.01)
            trainable[f"{site.key}/c"] = torch.zeros(self.rank)
            trainable[f"{site.key}/U"] = normal(site.outputs, self.rank, generator=generator, std=0.01)
            trainable[f"{site.key}/b"] = torch.zeros(site.outputs)
        return Tensors(trainable)

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """y + U gelu(D y + c) + b."""
        return y + bottleneck(y, p["D"], p["c"], p["U"], p["b"])
