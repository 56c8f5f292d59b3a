"""LoRTA: one low-rank tensor for all layers, modules and heads.

    ΔW of head h of module m in layer l:   (α/r) B diag(H_h ⊙ M_m ⊙ L_l) Aᵀ
    A (d×r), H (heads×r), M (modules×r), L (layers×r) trainable, B (head_dim×r) = 0 trainable, all shared

Hounie et al. 2024, arXiv 2410.04060.  Heads lie on the outputs of q, k, v and on the inputs of o; cross-attention's q, k, v, o
are four further modules.  The rank of every linear's update is r.  A starts as `init` says:

    published   U(±1/√r)      the authors' code, whatever the width
    scaled      U(±1/√d)      √(d/r) times smaller, so that Aᵀ x has about x's own size on any model; at a rate of 0.01 the better start on
                              MiniLM in few steps (docs/log.md)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Attention, Linear, Shape
from ..method import LAYERS, LowRank, Named, Tensors, hyperparameter, uniform

KEYS, OUTPUTS = ("k", "v", "cross_k", "cross_v"), ("o", "cross_o")
MODULES = ("q", "k", "v", "o", "cross_q", "cross_k", "cross_v", "cross_o")
MEMBERS = {**{role: (role,) for role in MODULES}, "qkv": ("q", "k", "v"), "cross_kv": ("cross_k", "cross_v")}
"""Role of a linear -> the attention's modules that it computes."""


@dataclass(frozen=True)
class Lorta(LowRank):
    """Low-rank tensor adaptation."""

    formula: ClassVar[str] = "r·(d + head_dim + heads + layers + modules), once; twice (q,o and k,v) with grouped-query attention"
    citation: ClassVar[str] = "Hounie et al. 2024, arXiv 2410.04060"
    published: ClassVar[str] = "4e-3 to 5e-2 (authors' scripts, GLUE)"
    deviations: ClassVar[str] = (
        "two tensors with grouped-query attention, for which the reference has no form; `init: scaled` is not of the reference"
    )

    rank: int = hyperparameter(4, Int(1, 64, log=True))
    alpha: float = hyperparameter(16.0, Float(1.0, 64.0, log=True), structural=False)
    lr: float = hyperparameter(1e-3, Float(3e-4, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,k,v,o", Choice(("q,k,v,o", "q,o", "k,v", "q,v")))
    init: str = hyperparameter("published", Choice(("published", "scaled")), structural=False)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """r·(d + head_dim + heads + layers + modules), for each tensor."""
        return sum(self.rank * sum(sizes.values()) for sizes in self._sizes(shape).values())

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """A ~ U(±1/√r), or U(±1/√d) if scaled, H, M, L ~ U(±√(6/r)), B = 0; each linear's rows of L and M, and α/r, are frozen."""
        trainable: dict[str, Tensor] = {}
        for tensor, sizes in self._sizes(shape).items():
            fan = sizes["A"] if self.init == "scaled" else self.rank
            trainable[f"A{tensor}"] = uniform(sizes["A"], self.rank, generator=generator, bound=fan**-0.5)
            trainable[f"B{tensor}"] = torch.zeros(sizes["B"], self.rank)
            for name in "HML":
                trainable[f"{name}{tensor}"] = uniform(sizes[name], self.rank, generator=generator, bound=(6 / self.rank) ** 0.5)
        frozen, layers = {"scaling": torch.tensor(self.alpha / self.rank)}, _layers(self.sites(shape))
        for sites in self._groups(shape).values():
            members = _members(sites)
            for site in sites:
                frozen[f"{site.key}/layer"] = torch.tensor([layers.index(site.layer)])
                frozen[f"{site.key}/modules"] = torch.tensor([members.index(member) for member in MEMBERS[site.role]])
        return Tensors(trainable, frozen)

    def unit(self, name: str, shape: Shape) -> float:
        """B in the size of what its linears put out, all together."""
        sites = self._groups(shape)[name[1:]] if name[0] == "B" else ()
        return sqrt(fmean(site.scale**2 for site in sites)) if sites else 1.0

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(α/r) (M ⊙ L ⊙ H ⊙ B) over all its heads, and Aᵀ; for o the other way round."""
        tensor = "_kv" if site.role in KEYS and "A_kv" in p else ""
        a, b, h, m, layer = (p[name + tensor] for name in "ABHML")
        here = m.index_select(0, p["modules"]) * layer.index_select(0, p["layer"])
        heads = (here[:, None, None] * h[:, None] * b).flatten(0, 2)
        return (p["scaling"] * a, heads.mT) if site.role in OUTPUTS else (p["scaling"] * heads, a.mT)

    def _groups(self, shape: Shape) -> dict[str, list[Linear]]:
        """Suffix of a tensor's names -> the linears that share it."""
        sites = self.sites(shape)
        odd = next((site.role for site in sites if site.role not in MEMBERS), None)
        if odd is not None:
            raise WrongInput(f"lorta.modules: {odd!r} has no heads; choose among q, k, v, o")
        grouped = any(attention.heads != attention.kv_heads for attention in shape.attentions)
        groups: dict[str, list[Linear]] = {}
        for site in sites:
            groups.setdefault("_kv" if grouped and site.role in KEYS else "", []).append(site)
        return groups

    def _sizes(self, shape: Shape) -> dict[str, dict[str, int]]:
        """Suffix of a tensor's names -> length of each of its factors."""
        attentions = {attention.layer: attention for attention in shape.attentions}
        sizes: dict[str, dict[str, int]] = {}
        for tensor, sites in self._groups(shape).items():
            found = {_slices(site, attentions[site.layer]) for site in sites}
            if len(found) > 1:
                raise WrongInput("lorta: the chosen layers differ in width or heads; limit layers to those alike, or use lora")
            ((width, heads, head_dim),) = found
            sizes[tensor] = {"A": width, "B": head_dim, "H": heads, "M": len(_members(sites)), "L": len(_layers(self.sites(shape)))}
        return sizes


def _slices(site: Linear, attention: Attention) -> tuple[int, int, int]:
    """Width, heads and head size of a linear; `WrongInput` where its features are not made of such heads."""
    heads = attention.kv_heads if site.role in KEYS else attention.heads
    width, features = (site.outputs, site.inputs) if site.role in OUTPUTS else (site.inputs, site.outputs)
    if features != heads * attention.head_dim * len(MEMBERS[site.role]):
        raise WrongInput(f"lorta: {site.name} has {features} features, not {heads} heads of {attention.head_dim} each; use lora")
    return width, heads, attention.head_dim


def _members(sites: Sequence[Linear]) -> tuple[str, ...]:
    """The attention's modules that some linears compute, in the order of their rows in M."""
    return tuple(member for member in MODULES if any(member in MEMBERS[site.role] for site in sites))


def _layers(sites: Sequence[Linear]) -> list[int]:
    """Layer of each row of L."""
    return sorted({site.layer for site in sites})
