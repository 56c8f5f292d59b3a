"""ULPT: a soft prompt that lives in a very small space.

    E = s ⊙ (Z P) + b      Z (n×r), s (d), b (d) trainable; P (r×d) frozen, regenerated from the seed

Wu, Hao & Mou 2025, arXiv 2502.04501, eq. 3.  P ~ N(0, 1/r), the scaling of the paper's theory section, times `gain` and the
root mean square of the token embeddings, so that the prompt starts at the scale of real tokens whatever r and the model.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.shape import Shape
from ..method import Named, SoftPrompt, Tensors, hyperparameter, normal


@dataclass(frozen=True)
class Ulpt(SoftPrompt):
    """Ultra-low-dimensional prompt tuning."""

    formula: ClassVar[str] = "n·r + d·[scale] + d·[shift]"
    citation: ClassVar[str] = "Wu, Hao & Mou 2025, arXiv 2502.04501"

    dim: int = hyperparameter(2, Int(2, 256, log=True))
    prompt_length: int = hyperparameter(10, Int(4, 32, log=True))
    lr: float = hyperparameter(0.03, Float(3e-3, 0.6, log=True), structural=False)
    scale: bool = hyperparameter(True, Choice((True, False)))
    shift: bool = hyperparameter(True, Choice((True, False)))
    gain: float = hyperparameter(1.0, Float(0.1, 3.0, log=True), structural=False)

    @property
    def length(self) -> int:
        """n virtual tokens."""
        return self.prompt_length

    def parameters(self, shape: Shape) -> int:
        """n·r + d·[scale] + d·[shift]."""
        return self.prompt_length * self.dim + shape.width * (self.scale + self.shift)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Z ~ N(0, 1), s = 1, b = 0; frozen P ~ N(0, 1/r) · gain · rms."""
        std = self.gain * shape.embedding_rms * self.dim**-0.5
        frozen = {"P": normal(self.dim, shape.width, generator=generator, std=std)}
        trainable = {"Z": normal(self.prompt_length, self.dim, generator=generator)}
        if self.scale:
            trainable["s"] = torch.ones(shape.width)
        if self.shift:
            trainable["b"] = torch.zeros(shape.width)
        return Tensors(trainable, frozen)

    def prompt(self, p: Named) -> Tensor:
        """E = s ⊙ (Z P) + b, (n, d)."""
        e = p["Z"] @ p["P"]
        e = e * p["s"] if self.scale else e
        return e + p["b"] if self.shift else e
