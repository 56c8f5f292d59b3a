"""Pruned prefix: key-value prompts that lose tokens and segments while they are trained.

    attention(q, [P̃ ; K], [P̃ ; V])      P̃ = u ⊙ (v ⊗ 1) ⊙ P      P (n×kv), token gates u (n), segment gates v (n×S) trainable

Made after E²VPT (Han et al. 2023, arXiv 2307.13770), which it is not: that one gates deep prompts among image patches, prunes once, by
|∂L/∂gate|, rewinds and trains again.  P serves keys and values alike (`shared`), or each has its own.  Gates start at 1; those below the
kept share of the largest are cut to 0, and a cut gate still hears its gradient (straight-through), so that it may return.
"""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Attention, Shape
from ..method import LAYERS, KeysValues, Named, Tensors, hyperparameter, normal

SHARES = Choice((1.0, 0.75, 0.5, 0.25))


@dataclass(frozen=True)
class PrunedPrefix(KeysValues):
    """Key-value prompts with pruning."""

    formula: ClassVar[str] = "Σ n·kv·(2 - [shared]) + n + n·S over the chosen layers"
    citation: ClassVar[str] = "after E²VPT, Han et al. 2023, arXiv 2307.13770"
    published: ClassVar[str] = "none: it is of no paper"
    deviations: ClassVar[str] = "a method of its own; E²VPT gates input and deep prompts, prunes once, rewinds and trains again"

    prefix_length: int = hyperparameter(4, Int(1, 64, log=True))
    segments: int = hyperparameter(8, Choice((4, 8, 16)))
    keep_tokens: float = hyperparameter(0.5, SHARES)
    keep_segments: float = hyperparameter(0.75, SHARES)
    shared: bool = hyperparameter(True, Choice((True, False)))
    init: float = hyperparameter(0.1, Float(0.01, 1.0, log=True), structural=False)
    lr: float = hyperparameter(0.01, Float(1e-4, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)

    @property
    def length(self) -> int:
        """n extra positions, the pruned ones included."""
        return self.prefix_length

    def sites(self, shape: Shape) -> tuple[Attention, ...]:
        """The self-attentions of the layers named by `layers`."""
        return shape.select_attentions(layers=self.layers)

    def parameters(self, shape: Shape) -> int:
        """Σ n·kv·(2 - [shared]) + n + n·S."""
        sites = self.sites(shape)
        odd = next((site for site in sites if site.kv % self.segments), None)
        if odd is not None:
            raise WrongInput(
                f"pruned_prefix.segments: {self.segments} segments do not divide the {odd.kv} keys of {odd.name}; choose another"
            )
        return sum(self.prefix_length * (site.kv * (2 - self.shared) + 1 + self.segments) for site in sites)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """P ~ N(0, (init·size)²), gates 1."""
        tensors = {}
        for site in self.sites(shape):
            for name in ("P",) if self.shared else ("Pk", "Pv"):
                std = self.init * _size(name, site)
                tensors[f"{site.key}/{name}"] = normal(self.prefix_length, site.kv, generator=generator, std=std)
            tensors[f"{site.key}/u"] = torch.ones(self.prefix_length)
            tensors[f"{site.key}/v"] = torch.ones(self.prefix_length, self.segments)
        return Tensors(tensors)

    def unit(self, name: str, shape: Shape) -> float:
        """The size of the attention's own keys and values for P; gates are of size 1."""
        plain = name.rpartition("/")[2]
        return _size(plain, shape.attention(name)) if plain.startswith("P") else 1.0

    def keys_values(self, p: Named, site: Attention) -> tuple[Tensor, Tensor]:
        """P̃ for keys and values, (n, kv) each."""
        tokens, segments = _pruned(p["u"], self.keep_tokens), _pruned(p["v"], self.keep_segments)
        gates = tokens[:, None] * segments.repeat_interleave(site.kv // self.segments, dim=1)
        keys, values = (p["P"], p["P"]) if self.shared else (p["Pk"], p["Pv"])
        return gates * keys, gates * values


def _size(name: str, site: Attention) -> float:
    """Root mean square of the keys, of the values, or of both where one P serves them, as the attention's weights give it."""
    sizes = {"Pk": site.keys, "Pv": site.values}
    return sizes.get(name, sqrt(site.keys * site.values))


def _pruned(gates: Tensor, share: float) -> Tensor:
    """The largest `share` of the last axis as they are, the others 0, with a straight-through gradient for all."""
    plain = gates.detach()
    least = plain.topk(max(1, round(share * gates.shape[-1]))).values[..., -1:]
    return torch.where(plain >= least, plain, 0.0) + (gates - plain)
