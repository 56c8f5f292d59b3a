"""AdamW on the flat vector of a pack: one fused update for all trials, each element with its own learning rate.

    m ← β₁ m + (1-β₁) g      v ← β₂ v + (1-β₂) g²      θ ← θ - lr · m̂ / (√v̂ + ε)

Loshchilov & Hutter 2019, arXiv 1711.05101, with weight decay 0: a prompt's scale must not be pulled to zero.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdamW:
    """Moments of a flat vector, each of its shape."""

    m: Tensor
    v: Tensor

    @classmethod
    def start(cls, flat: Tensor) -> "AdamW":
        """Return the state before the first step."""
        return cls(torch.zeros_like(flat), torch.zeros_like(flat))

    def tensors(self) -> dict[str, Tensor]:
        """What has to be kept to continue: vectors of the shape of the values."""
        return {"m": self.m, "v": self.v}

    @torch.no_grad()
    def update(self, flat: Tensor, gradient: Tensor, *, rates: Tensor, step: int) -> None:
        """Move `flat` (elements,) in place by its `gradient` with learning rates `rates` (elements,); `step` counts from 0."""
        self.m.lerp_(gradient, 1 - BETA1)
        self.v.lerp_(gradient.square(), 1 - BETA2)
        first, second = 1 - BETA1 ** (step + 1), 1 - BETA2 ** (step + 1)
        flat.sub_(rates / first * self.m / (self.v.div(second).sqrt_().add_(EPSILON)))
