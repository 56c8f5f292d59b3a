"""DPT: a soft prompt factored into two thin matrices.

    E = A B      A (n×r), B (r×d) trainable

Xiao et al. 2023, "Decomposed Prompt Tuning via Low-Rank Reparameterization", arXiv 2310.10094.  A ~ N(0, 1) and
B ~ N(0, rms²/r), so that the prompt starts at the scale of real tokens whatever r and the model.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ..method import Named, SoftPrompt, Tensors, hyperparameter, normal


@dataclass(frozen=True)
class Dpt(SoftPrompt):
    """Decomposed prompt tuning."""

    formula: ClassVar[str] = "r·(n + d)"
    citation: ClassVar[str] = "Xiao et al. 2023, arXiv 2310.10094"
    published: ClassVar[str] = "0.3 (paper, T5)"
    deviations: ClassVar[str] = "B starts at the embeddings' scale"

    rank: int = hyperparameter(2, Int(1, 64, log=True))
    prompt_length: int = hyperparameter(10, Int(1, 100, log=True))
    lr: float = hyperparameter(0.3, Float(0.01, 3.0, log=True), structural=False)

    @property
    def length(self) -> int:
        """n virtual tokens."""
        return self.prompt_length

    def parameters(self, shape: Shape) -> int:
        """r·(n + d)."""
        if self.rank > shape.width:
            raise WrongInput(f"dpt.rank: {self.rank} is above the model's width {shape.width}; lower rank")
        return self.rank * (self.prompt_length + shape.width)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """A ~ N(0, 1), B ~ N(0, rms²/r)."""
        a = normal(self.prompt_length, self.rank, generator=generator)
        b = normal(self.rank, shape.width, generator=generator, std=shape.embedding_rms * self.rank**-0.5)
        return Tensors({"A": a, "B": b})

    def unit(self, name: str, shape: Shape) -> float:
        """Each factor in the size that it starts with: a step of either moves the prompt alike."""
        return shape.embedding_rms * self.rank**-0.5 if name == "B" else 1.0

    def prompt(self, p: Named) -> Tensor:
        """E = A B, (n, d)."""
        return p["A"] @ p["B"]
