"""AdaMix: adapters of which every step trains a random one, and which are averaged in the end.

    y ← y + U gelu(D y + c) + b      D = Σ_m a_m D_m,  c = Σ_m a_m c_m      m = 1 … M

    a: one expert, drawn anew for each site and step, while training; 1/M otherwise.   `share_up=False`: U_m, b_m likewise

Wang et al. 2022, arXiv 2205.12410.  D_m (r×d), U (d×r) ~ N(0, 0.02²).  The count is of what is trained; after averaging one
adapter is left.  A step is two passes with experts of their own, and to the first one's loss is added ½ (KL(p‖q) + KL(q‖p)) of the
two passes' answers p and q.
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

STD = 0.02
"""Of the authors' BERT and RoBERTa, whose `initializer_range` their adapters start from."""


@dataclass(frozen=True)
class Adamix(LinearEffect):
    """Mixture of adaptations."""

    formula: ClassVar[str] = "Σ M·(d·r + r) + M_up·(r·d + d) over the chosen linears, d = out, M_up = 1 or M"
    citation: ClassVar[str] = "Wang et al. 2022, arXiv 2205.12410"
    published: ClassVar[str] = "3e-4 (RoBERTa-large), 4e-4 (BERT), GLUE, authors' code"
    deviations: ClassVar[str] = "none; what is counted is what is trained, and the paper counts the one adapter that is left"
    consistency: ClassVar[bool] = True

    experts: int = hyperparameter(4, Int(2, 8))
    rank: int = hyperparameter(4, Int(1, 64, log=True))
    share_up: bool = hyperparameter(True, Choice((True, False)))
    lr: float = hyperparameter(3e-3, Float(1e-4, 1e-2, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("down", Choice(("down", "o,down", "o")))

    @property
    def ups(self) -> int:
        """Number of up projections of a site."""
        return 1 if self.share_up else self.experts

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ M·(d·r + r) + M_up·(r·d + d)."""
        if shape.answers.kind == "generation":
            raise WrongInput("adamix: its two passes agree on labels' scores, of which answers in writing have none; take adapter")
        for site in self.sites(shape):
            if self.rank > site.outputs:
                raise WrongInput(f"adamix.rank: {self.rank} is above the width {site.outputs} of {site.name}; lower rank")
        return sum(
            self.experts * (site.outputs * self.rank + self.rank) + self.ups * (self.rank * site.outputs + site.outputs)
            for site in self.sites(shape)
        )

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """D, U ~ N(0, 0.02²), c = b = 0; the mixing weights are frozen at 1/M, the average that is evaluated."""
        trainable, frozen = {}, {}
        for site in self.sites(shape):
            trainable[f"{site.key}/D"] = normal(self.experts, self.rank, site.outputs, generator=generator, std=STD)
            trainable[f"{site.key}/c"] = torch.zeros(self.experts, self.rank)
            trainable[f"{site.key}/U"] = normal(self.ups, site.outputs, self.rank, generator=generator, std=STD)
            trainable[f"{site.key}/b"] = torch.zeros(self.ups, site.outputs)
            frozen[f"{site.key}/down"] = torch.full((self.experts,), 1 / self.experts)
            frozen[f"{site.key}/up"] = torch.full((self.ups,), 1 / self.ups)
        return Tensors(trainable, frozen)

    def noise(self, shape: Shape, generator: Generator) -> dict[str, Tensor]:
        """The step's expert of every site, as mixing weights."""
        counts = {f"{site.key}/{side}": count for site in self.sites(shape) for side, count in (("down", self.experts), ("up", self.ups))}
        return {name: (torch.arange(count) == torch.randint(count, (), generator=generator)).float() for name, count in counts.items()}

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """y + U gelu(D y + c) + b for the mixed weights."""
        D, c = _mix(p["down"], p["D"]), _mix(p["down"], p["c"])
        U, b = _mix(p["up"], p["U"]), _mix(p["up"], p["b"])
        return y + bottleneck(y, D, c, U, b)


def _mix(weights: Tensor, experts: Tensor) -> Tensor:
    """Σ_m a_m E_m of `experts` (M, ...)."""
    return (weights.reshape(-1, *[1] * (experts.ndim - 1)) * experts).sum(0)
