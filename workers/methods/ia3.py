"""(IA)³: learnt vectors that rescale keys, values and the feed-forward's inner activations.

    k = l_k ⊙ W_k x      v = l_v ⊙ W_v x      W_down (l_ff ⊙ γ(W_up x))      l = 1 at the start

Liu et al. 2022, arXiv 2205.05638.  As in PEFT, the vector stands on a linear's output, and on the input of `down`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, Gates, Named, Tensors, hyperparameter


@dataclass(frozen=True)
class Ia3(Gates):
    """Infused adapter by inhibiting and amplifying inner activations."""

    formula: ClassVar[str] = "Σ out (k, v) + in (down) over the chosen linears"
    citation: ClassVar[str] = "Liu et al. 2022, arXiv 2205.05638"
    published: ClassVar[str] = "3e-3, Adafactor, 1,000 steps (T-Few's recipe)"
    deviations: ClassVar[str] = (
        "the study's loss alone: no unlikelihood, no length-normalised loss, no vectors trained on other tasks first"
    )

    lr: float = hyperparameter(0.03, Float(1e-3, 0.3, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("k,v,down", Choice(("k,v,down", "k,v", "v", "down")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ length of l."""
        return sum(_length(site) for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """l = 1."""
        return Tensors({f"{site.key}/l": torch.ones(_length(site)) for site in self.sites(shape)})

    def gates(self, p: Named, site: Linear) -> tuple[Tensor | None, Tensor | None]:
        """l in front of `down`, behind the others."""
        return (p["l"], None) if site.role == "down" else (None, p["l"])


def _length(site: Linear) -> int:
    return site.inputs if site.role == "down" else site.outputs
