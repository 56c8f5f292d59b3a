"""BitFit: train the biases, nothing else.

    y = W x + b + δ      x̂ ⊙ γ + β + δ      δ = 0 at the start, for every linear and norm that has a bias

Ben Zaken, Goldberg & Ravfogel 2022, arXiv 2106.10199.  δ is learnt instead of b, which is the same under Adam without decay
and leaves the frozen bias untouched.  The paper's subset of half the biases is `modules: q,up` with `norm_biases: false`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Norm, Shape
from ..method import LAYERS, Biases, Named, NormEffect, Tensors, hyperparameter


@dataclass(frozen=True)
class Bitfit(Biases, NormEffect):
    """Bias-term fine-tuning."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")
    formula: ClassVar[str] = "Σ out over the chosen linears that have a bias + Σ d over the norms that have one, [norm_biases]"
    citation: ClassVar[str] = "Ben Zaken, Goldberg & Ravfogel 2022, arXiv 2106.10199"
    published: ClassVar[str] = "1e-4 to 1e-3 (paper, GLUE on BERT)"
    deviations: ClassVar[str] = (
        "a bias is learnt as a difference, so weight decay pulls it to the frozen one; biases outside linears and norms "
        "(DeBERTa's q_bias) stay"
    )

    lr: float = hyperparameter(3e-3, Float(1e-4, 3e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("all", Choice(("all", "q,up", "q,v", "down")))
    norm_biases: bool = hyperparameter(True, Choice((True, False)))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules` that have a bias."""
        sites = tuple(site for site in shape.select(layers=self.layers, modules=self.modules) if site.bias)
        if not sites:
            raise WrongInput(f"bitfit: none of this model's {self.modules!r} linears has a bias; use ia3 or lora instead")
        return sites

    def norms(self, shape: Shape) -> tuple[Norm, ...]:
        """The norms of the chosen layers that have a bias; those outside the layers with `all` only."""
        chosen = shape.select_layers(self.layers) | ({-1} if self.layers == "all" else set())
        return tuple(norm for norm in shape.norms if norm.bias and norm.layer in chosen) if self.norm_biases else ()

    def parameters(self, shape: Shape) -> int:
        """Σ out + Σ d."""
        return sum(site.outputs for site in self.sites(shape)) + sum(norm.width for norm in self.norms(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """δ = 0."""
        widths = {site.key: site.outputs for site in self.sites(shape)} | {norm.key: norm.width for norm in self.norms(shape)}
        return Tensors({f"{key}/delta": torch.zeros(width) for key, width in widths.items()})

    def unit(self, name: str, shape: Shape) -> float:
        """The size of what its linear or norm puts out."""
        return shape.output(name)

    def bias(self, p: Named, site: Linear) -> Tensor:
        """δ of a linear, (out,)."""
        return p["delta"]

    def affine(self, p: Named, site: Norm) -> tuple[Tensor | None, Tensor | None]:
        """δ of a norm, (d,)."""
        return None, p["delta"]
