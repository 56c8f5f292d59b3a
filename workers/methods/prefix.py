"""Prefix tuning: n extra keys and values in front of the chosen self-attentions.

    attention(q, [P_k ; K], [P_v ; V])      P_k, P_v (n×kv) trainable, a pair for each attention

Li & Liang 2021, arXiv 2101.00190, in the direct form of P-tuning v2 (Liu et al. 2022, arXiv 2110.07602), without the network that
computes the pairs during training.  P_k ~ N(0, (init·k)²), P_v ~ N(0, (init·v)²), where k and v are the size of the attention's own
keys and values as its weights give it.  In an encoder-decoder, `last:50%` are the decoder's: PEFT knows only those.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.shape import Attention, Shape
from ..method import LAYERS, KeysValues, Named, Tensors, hyperparameter, normal


@dataclass(frozen=True)
class Prefix(KeysValues):
    """Prefix tuning."""

    formula: ClassVar[str] = "Σ 2·n·kv over the chosen layers"
    citation: ClassVar[str] = "Li & Liang 2021, arXiv 2101.00190"
    published: ClassVar[str] = "3e-3 with a network of 512 (T-Few's comparison)"
    deviations: ClassVar[str] = "the direct form: no network computes the pairs while they are trained"

    prefix_length: int = hyperparameter(2, Int(1, 64, log=True))
    init: float = hyperparameter(0.1, Float(0.01, 1.0, log=True), structural=False)
    lr: float = hyperparameter(0.01, Float(1e-4, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)

    @property
    def length(self) -> int:
        """n extra positions."""
        return self.prefix_length

    def sites(self, shape: Shape) -> tuple[Attention, ...]:
        """The self-attentions of the layers named by `layers`."""
        return shape.select_attentions(layers=self.layers)

    def parameters(self, shape: Shape) -> int:
        """Σ 2·n·kv."""
        return sum(2 * self.prefix_length * site.kv for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """P_k ~ N(0, (init·k)²), P_v ~ N(0, (init·v)²)."""
        tensors = {}
        for site in self.sites(shape):
            for name, size in (("Pk", site.keys), ("Pv", site.values)):
                tensors[f"{site.key}/{name}"] = normal(self.prefix_length, site.kv, generator=generator, std=self.init * size)
        return Tensors(tensors)

    def unit(self, name: str, shape: Shape) -> float:
        """The size of the attention's own keys or values."""
        site = shape.attention(name)
        return site.keys if name.endswith("Pk") else site.values

    def keys_values(self, p: Named, site: Attention) -> tuple[Tensor, Tensor]:
        """P_k and P_v, (n, kv) each."""
        return p["Pk"], p["Pv"]
