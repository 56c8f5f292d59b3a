"""LN tuning: train the scale and shift of the norms.

    y = x̂ ⊙ (γ + δγ) + (β + δβ)      δγ, δβ (d) = 0 at the start

Zhao et al. 2024, arXiv 2312.11420.  Differences are learnt instead of γ and β, which is the same under Adam without decay and leaves
the frozen norm untouched.  RMS norms have no β; norms outside the layers are touched by `all` only.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Norm, Shape
from ..method import LAYERS, Named, NormEffect, Tensors, hyperparameter


@dataclass(frozen=True)
class LnTuning(NormEffect):
    """Tuning of LayerNorms and RMSNorms."""

    formula: ClassVar[str] = "Σ d·(1 + [shift]) over the chosen norms"
    citation: ClassVar[str] = "Zhao et al. 2024, arXiv 2312.11420"
    published: ClassVar[str] = "3e-4 (T-Few's comparison)"
    deviations: ClassVar[str] = "none"

    lr: float = hyperparameter(3e-3, Float(1e-4, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    shift: bool = hyperparameter(True, Choice((True, False)))

    def norms(self, shape: Shape) -> tuple[Norm, ...]:
        """The norms of the layers named by `layers`; those outside the layers with `all` only."""
        chosen = shape.select_layers(self.layers)
        sites = tuple(norm for norm in shape.norms if norm.layer in chosen or self.layers == "all")
        if not sites:
            raise WrongInput(f"ln_tuning: this model has no norm with a learnt scale in layers {self.layers!r}; use bitfit or ia3 instead")
        return sites

    def parameters(self, shape: Shape) -> int:
        """Σ d·(1 + [shift])."""
        return sum(site.width * (1 + self._shifts(site)) for site in self.norms(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """δγ = δβ = 0."""
        tensors = {f"{site.key}/gamma": torch.zeros(site.width) for site in self.norms(shape)}
        return Tensors(tensors | {f"{site.key}/beta": torch.zeros(site.width) for site in self.norms(shape) if self._shifts(site)})

    def unit(self, name: str, shape: Shape) -> float:
        """The norm's gain, for what it puts out has that size."""
        return shape.output(name)

    def affine(self, p: Named, site: Norm) -> tuple[Tensor, Tensor | None]:
        """δγ and δβ, (d,) each."""
        return p["gamma"], p["beta"] if self._shifts(site) else None

    def _shifts(self, site: Norm) -> bool:
        return self.shift and site.bias
