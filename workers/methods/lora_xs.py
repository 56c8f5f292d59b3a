"""LoRA-XS: LoRA between the frozen principal parts of the weight; only the small matrix between them is trained.

    y = W x + (α/r) B R A x      R (r×r) ~ N(0, (1e-5)²) trainable;  B = U_r (out×r), A = S_r V_rᵀ (r×in) frozen, W ≈ U_r S_r V_rᵀ

Bałazy et al. 2024, arXiv 2405.17604.  The count does not depend on the model's width.  U and V have fixed signs here, so that a stored
R means the same on every machine.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, LowRank, Named, Tensors, hyperparameter, normal
from .maths.linear_algebra import principal

STD = 1e-5


@dataclass(frozen=True)
class LoraXs(LowRank):
    """Low-rank adaptation with an extremely small number of parameters."""

    formula: ClassVar[str] = "Σ r² over the chosen linears"
    citation: ClassVar[str] = "Bałazy et al. 2024, arXiv 2405.17604"
    published: ClassVar[str] = "1e-4, 5e-4, 1e-3 (authors' script, GLUE on RoBERTa-large)"
    deviations: ClassVar[str] = "signs of the singular vectors are fixed"

    rank: int = hyperparameter(8, Int(2, 64, log=True))
    alpha: float = hyperparameter(16.0, Float(1.0, 64.0, log=True), structural=False)
    lr: float = hyperparameter(0.02, Float(1e-4, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """Σ r²."""
        for site in self.sites(shape):
            if self.rank > min(site.inputs, site.outputs):
                raise WrongInput(
                    f"lora_xs.rank: {self.rank} is above the width {min(site.inputs, site.outputs)} of {site.name}; lower rank"
                )
        return self.rank**2 * len(self.sites(shape))

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """R ~ N(0, (1e-5)²); the scaling α/r is frozen."""
        trainable = {f"{site.key}/R": normal(self.rank, self.rank, generator=generator, std=STD) for site in self.sites(shape)}
        return Tensors(trainable, {"scaling": torch.tensor(self.alpha / self.rank)})

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(α/r) U R and S Vᵀ; √S is the length of the columns of `principal`'s U √S."""
        left, right = (factor.to(p["R"].dtype) for factor in principal(weight, self.rank))
        root = left.norm(dim=0).clamp_min(torch.finfo(left.dtype).tiny)
        return p["scaling"] * (left / root) @ p["R"], root[:, None] * right
