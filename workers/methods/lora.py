"""LoRA: a low-rank update of chosen linears, with the variants that are searched beside it.

    y = W x + s B A x      A (r×in), B (out×r) trainable;  s = α/r, or α/√r with `rslora`

    init kaiming:     A ~ U(±1/√in), B = 0                                 Hu et al. 2022, arXiv 2106.09685, as PEFT has it
    init orthogonal:  A = Q₁ᵀ N_A / 10, B = N_B Q₂ / 10, B A = 0           rows of one orthogonal Q (r×r), in turn; N ~ N(0, 1)
    init pissa:       A, B = √S/√s of W's principal r, taken out of W       Meng et al. 2024, arXiv 2404.02948
    rslora:           s = α/√r                                              Kalajdzievski 2023, arXiv 2312.03732
    lr_ratio:         B's learning rate over A's (LoRA+)                    Hayou et al. 2024, arXiv 2402.12354
    dora:             y = m ⊙ (W + s B A) x / ‖W + s B A‖_rows, m = ‖W‖_rows + δ, δ (out) = 0 trainable;
                      the norm is taken as a constant                       Liu et al. 2024, arXiv 2402.09353

With pissa, A and B are what was added to the principal parts A₀, B₀, which is the same under Adam without decay: the update is
s ((B₀ + B)(A₀ + A) - B₀ A₀), of rank 2r, and zero at the start.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, normal, uniform
from .maths.linear_algebra import principal


@dataclass(frozen=True)
class Lora(LowRank):
    """Low-rank adaptation."""

    formula: ClassVar[str] = "Σ r·(in + out) + out·[dora] over the chosen linears"
    citation: ClassVar[str] = "Hu et al. 2022, arXiv 2106.09685"
    published: ClassVar[str] = "2e-4 to 5e-4 (paper, GPT-3 and GLUE); lr_ratio about 16 (LoRA+)"
    deviations: ClassVar[str] = "no dropout"

    rank: int = hyperparameter(1, Int(1, 16, log=True))
    alpha: float = hyperparameter(16.0, Float(1.0, 64.0, log=True), structural=False)
    rslora: bool = hyperparameter(False, Choice((False, True)), structural=False)
    init: str = hyperparameter("kaiming", Choice(("kaiming", "orthogonal", "pissa")))
    dora: bool = hyperparameter(False, Choice((False, True)))
    lr: float = hyperparameter(3e-3, Float(1e-4, 3e-2, log=True), structural=False)
    lr_ratio: float = hyperparameter(1.0, Float(1.0, 16.0, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def rate(self, name: str) -> float:
        """B's is `lr_ratio` times the others'."""
        return self.lr * self.lr_ratio if name.endswith("/B") else self.lr

    def unit(self, name: str, shape: Shape) -> float:
        """What B A adds is measured in what its linear puts out, a magnitude in the length of W's rows."""
        site = shape.linear(name)
        if name.endswith("/m"):
            return site.scale
        return site.scale if name.endswith("/B") and self.init == "kaiming" else 1.0

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ r·(in + out) + out·[dora]."""
        if self.init == "orthogonal" and self.rank % 2:
            raise WrongInput(f"lora.rank: {self.rank} is odd, and orthogonal starts take an even rank; use {self.rank + 1}")
        for site in self.sites(shape):
            if self.rank > min(site.inputs, site.outputs):
                raise WrongInput(f"lora.rank: {self.rank} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank")
        return sum(self.rank * (site.inputs + site.outputs) + site.outputs * self.dora for site in self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """A and B by `init` (0 with pissa, see above), δ = 0; the scaling s is frozen."""
        trainable = {}
        for site in self.sites(shape):
            trainable[f"{site.key}/A"], trainable[f"{site.key}/B"] = self._start(site, generator)
            if self.dora:
                trainable[f"{site.key}/m"] = torch.zeros(site.outputs)
        return Tensors(trainable, {"scaling": torch.tensor(self.alpha / (self.rank**0.5 if self.rslora else self.rank))})

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """s B and A; with pissa s [B₀ + B, -B₀] and [A₀ + A; A₀]."""
        s, b, a = p["scaling"], p["B"], p["A"]
        if self.init != "pissa":
            return s * b, a
        first_b, first_a = (factor.to(a.dtype) * s.rsqrt() for factor in principal(weight, self.rank))
        return s * torch.cat([first_b + b, -first_b], 1), torch.cat([first_a + a, first_a])

    def magnitude(self, p: Named, site: Linear, weight: Tensor) -> Tensor | None:
        """‖W‖_rows + δ with dora."""
        return weight.to(p["m"].dtype).norm(dim=1) + p["m"] if self.dora else None

    @property
    def reads_weight(self) -> bool:
        """With pissa for where it starts, with dora for the norms of its rows."""
        return self.dora or self.init == "pissa"

    @property
    def under_bias(self) -> bool:
        """With dora the magnitudes leave the bias alone."""
        return self.dora

    def _start(self, site: Linear, generator: Generator) -> tuple[Tensor, Tensor]:
        """A and B of one linear."""
        if self.init == "orthogonal":
            q = torch.linalg.qr(normal(self.rank, self.rank, generator=generator)).Q
            a, b = normal(self.rank // 2, site.inputs, generator=generator), normal(site.outputs, self.rank // 2, generator=generator)
            return q[0::2].mT @ a / 10, b @ q[1::2] / 10
        a = torch.zeros(self.rank, site.inputs)
        if self.init == "kaiming":
            a = uniform(self.rank, site.inputs, generator=generator, bound=site.inputs**-0.5)
        return a, torch.zeros(site.outputs, self.rank)
