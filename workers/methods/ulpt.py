"""ULPT: a soft prompt that lives in a very small space.

    E = s ⊙ (Z P) + b      Z (n×r), s (d), b (d) trainable; P (r×d) frozen, regenerated from the seed

Wu, Hao & Mou 2025, arXiv 2502.04501, eq. 3.  Z ~ N(0, 1); P is drawn as `init` says, times `gain`:

    scaled   N(0, rms²/r)      the paper's theory section, in the token embeddings' own size: starts like real tokens whatever r and model
    t5       U(±√(6/(r+d)))    the paper's code for T5
    llama    U(±1/√r)          the paper's code for Llama
    normal   N(0, 1)           the paper's text

The published three are numbers, whatever the model.  b is trained in units of rms, so that at `scaled` one rate moves the share of
the prompt that Z holds and the share that all tokens have in common equally far; the references train the three at one rate
without units, where rms decides how much of ULPT is a mere shift.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float, Int
from ...spaces.shape import Shape
from ..method import Named, SoftPrompt, Tensors, hyperparameter, normal, uniform

BOUNDS: dict[str, Callable[[int, int], float]] = {
    "t5": lambda r, d: (6 / (r + d)) ** 0.5,
    "llama": lambda r, d: r**-0.5,
}
"""Largest magnitude of P's entries in the inits that draw them evenly."""


@dataclass(frozen=True)
class Ulpt(SoftPrompt):
    """Ultra-low-dimensional prompt tuning."""

    formula: ClassVar[str] = "n·r + d·[scale] + d·[shift]"
    citation: ClassVar[str] = "Wu, Hao & Mou 2025, arXiv 2502.04501"
    published: ClassVar[str] = "0.6, one for Z, s and b (authors' code, T5); 1e-2 (authors' code, Llama)"
    deviations: ClassVar[str] = (
        "b is trained in units of the embeddings' rms; at the default start P is scaled by that rms, which the published starts "
        "(`init`) are not"
    )

    dim: int = hyperparameter(2, Int(2, 256, log=True))
    prompt_length: int = hyperparameter(10, Int(2, 128, log=True))
    lr: float = hyperparameter(0.3, Float(0.01, 3.0, log=True), structural=False)
    scale: bool = hyperparameter(True, Choice((True, False)))
    shift: bool = hyperparameter(True, Choice((True, False)))
    gain: float = hyperparameter(1.0, Float(0.1, 3.0, log=True), structural=False)
    init: str = hyperparameter("scaled", Choice(("scaled", "t5", "llama", "normal")), structural=False)

    @property
    def length(self) -> int:
        """n virtual tokens."""
        return self.prompt_length

    def parameters(self, shape: Shape) -> int:
        """n·r + d·[scale] + d·[shift]."""
        return self.prompt_length * self.dim + shape.width * (self.scale + self.shift)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Z ~ N(0, 1), s = 1, b = 0; frozen P ~ `init` · gain."""
        frozen = {"P": self._projection(shape, generator)}
        trainable = {"Z": normal(self.prompt_length, self.dim, generator=generator)}
        if self.scale:
            trainable["s"] = torch.ones(shape.width)
        if self.shift:
            trainable["b"] = torch.zeros(shape.width)
        return Tensors(trainable, frozen)

    def unit(self, name: str, shape: Shape) -> float:
        """b in the token embeddings' own size; Z and s, of size 1, multiply what has that size already."""
        return shape.embedding_rms if name == "b" else 1.0

    def prompt(self, p: Named) -> Tensor:
        """E = s ⊙ (Z P) + b, (n, d)."""
        e = p["Z"] @ p["P"]
        e = e * p["s"] if self.scale else e
        return e + p["b"] if self.shift else e

    def _projection(self, shape: Shape, generator: Generator) -> Tensor:
        """P (r, d)."""
        size = (self.dim, shape.width)
        if self.init in BOUNDS:
            return uniform(*size, generator=generator, bound=self.gain * BOUNDS[self.init](*size))
        std = 1.0 if self.init == "normal" else shape.embedding_rms * self.dim**-0.5
        return normal(*size, generator=generator, std=self.gain * std)
