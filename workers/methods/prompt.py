"""Prompt tuning: n virtual tokens in front of the text.

    E (n×d) trainable

Lester, Al-Rfou & Constant 2021, arXiv 2104.08691.  Starts at the scale of the model's token embeddings, E ~ N(0, rms²), or as tokens
of its vocabulary, or as those of a text (`init: text`, `init_text`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.shape import Shape
from ..method import Named, SoftPrompt, Tensors, hyperparameter
from .maths.starts import STARTS, TEXT, check, start


@dataclass(frozen=True)
class Prompt(SoftPrompt):
    """Prompt tuning."""

    formula: ClassVar[str] = "n·d"
    citation: ClassVar[str] = "Lester, Al-Rfou & Constant 2021, arXiv 2104.08691"
    published: ClassVar[str] = "0.3 (paper and T-Few, T5)"
    deviations: ClassVar[str] = "none, but that embeddings' rms is the unit of the rate"

    prompt_length: int = hyperparameter(10, Int(1, 100, log=True))
    lr: float = hyperparameter(0.3, Float(0.01, 3.0, log=True), structural=False)

    init: str = hyperparameter("random", STARTS, structural=False)
    init_text: str = hyperparameter("", TEXT, structural=False)

    @property
    def length(self) -> int:
        """n virtual tokens."""
        return self.prompt_length

    def parameters(self, shape: Shape) -> int:
        """n·d."""
        check("prompt", self.init, self.init_text)
        return self.prompt_length * shape.width

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """E ~ N(0, rms²), or tokens of the vocabulary, or a text's."""
        return Tensors({"E": start(self.init, self.init_text, self.prompt_length, shape, generator)})

    def unit(self, name: str, shape: Shape) -> float:
        """The token embeddings' own size."""
        return shape.embedding_rms

    def prompt(self, p: Named) -> Tensor:
        """E, (n, d)."""
        return p["E"]
