"""FineGates: gates on the rows and columns of frozen weights, which training may close.

    y = g_out ⊙ (W (g_in ⊙ x) + β + δ)      g = clip(tanh μ + 1/2 + ε, 0, 1)      μ ~ N(1, 0.1²), δ (out) = 0 trainable

    ε ~ N(0, 0.1²) drawn anew each step while training, 0 otherwise;   added to the loss, as a mean over all gate vectors:

    λ · |mean Φ((tanh μ + 1/2) / (1/2)) - (1 - target)|

Svirsky et al. 2024, arXiv 2412.12951.  Gates start open and saturated, where only noise and penalty move them.  δ stands for the
trained bias of the linears that have one.  The authors' code gives a random bias to linears that have none; this does not.  λ and
target are theirs; their rate of 1e-3 serves a hundred epochs, in a few hundred steps it leaves every gate open.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, Gates, Named, Tensors, hyperparameter, normal

NOISE, PENALTY_NOISE = 0.1, 0.5


@dataclass(frozen=True)
class Finegates(Gates):
    """Stochastic gates on the frozen weights."""

    formula: ClassVar[str] = "Σ in·[in] + out·[out] over the chosen linears + Σ out over those with a bias, [biases]"
    citation: ClassVar[str] = "Svirsky et al. 2024, arXiv 2412.12951"
    published: ClassVar[str] = "1e-3, constant, 100 epochs of GLUE, λ 50, target 0.4 (authors' code)"
    deviations: ClassVar[str] = (
        "linears without a bias get none, where the authors' code gives a random one; the default rate is 0.02, for hundreds of steps"
    )

    target: float = hyperparameter(0.4, Float(0.0, 0.5), structural=False)
    strength: float = hyperparameter(50.0, Float(0.1, 50.0, log=True), structural=False)
    lr: float = hyperparameter(0.02, Float(1e-3, 0.1, log=True), structural=False)
    sides: str = hyperparameter("in,out", Choice(("in,out", "in", "out")))
    biases: bool = hyperparameter(True, Choice((True, False)))
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("all", Choice(("all", "q,v", "v", "down")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ in·[in] + out·[out] + out·[biases]."""
        return sum(self._widths(shape).values()) + sum(site.outputs for site in self.sites(shape) if self._trains_bias(site))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """μ ~ N(1, 0.1²), δ = 0; frozen: ε = 0, λ and target."""
        widths = self._widths(shape)
        trainable = {f"{name}/mu_{side}": 1 + normal(width, generator=generator, std=0.1) for (name, side), width in widths.items()}
        trainable |= {f"{site.key}/delta": torch.zeros(site.outputs) for site in self.sites(shape) if self._trains_bias(site)}
        frozen = {f"{name}/noise_{side}": torch.zeros(width) for (name, side), width in widths.items()}
        return Tensors(trainable, frozen | {"strength": torch.tensor(self.strength), "target": torch.tensor(self.target)})

    def unit(self, name: str, shape: Shape) -> float:
        """Of δ the size of what its linear puts out."""
        return shape.linear(name).scale if name.endswith("/delta") else 1.0

    def noise(self, shape: Shape, generator: Generator) -> dict[str, Tensor]:
        """ε of a training step."""
        widths = self._widths(shape)
        return {f"{name}/noise_{side}": normal(width, generator=generator, std=NOISE) for (name, side), width in widths.items()}

    def gates(self, p: Named, site: Linear) -> tuple[Tensor | None, Tensor | None]:
        """g_in and g_out."""
        g = {side: (p[f"mu_{side}"].tanh() + 0.5 + p[f"noise_{side}"]).clamp(0, 1) for side in self.sides.split(",")}
        return g.get("in"), g.get("out")

    def shift(self, p: Named, site: Linear) -> Tensor | None:
        """δ, in front of g_out."""
        return p["delta"] if self._trains_bias(site) else None

    def penalty(self, p: Named) -> Tensor:
        """λ · |P(open) - (1 - target)|, the mean over gate vectors."""
        logits = [tensor for name, tensor in p.items() if name.rpartition("/")[2].startswith("mu_")]
        open_ = torch.stack([torch.special.ndtr((mu.tanh() + 0.5) / PENALTY_NOISE).mean() for mu in logits])
        return p["strength"] * (open_ - (1 - p["target"])).abs().mean()

    def _trains_bias(self, site: Linear) -> bool:
        return self.biases and site.bias

    def _widths(self, shape: Shape) -> dict[tuple[str, str], int]:
        """Length of the gate vector of each linear and side."""
        sides = self.sides.split(",")
        return {(site.key, side): site.inputs if side == "in" else site.outputs for site in self.sites(shape) for side in sides}
