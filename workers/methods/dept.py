"""DePT: a short soft prompt, and a low-rank update of the text's own embeddings by position.

    [E ; x_i + (α/√r) a_i B]      E (m×d), A = (a_i) (s×r), B (r×d) = 0 at the start, all trainable

Shi & Lipani 2024, arXiv 2309.05173.  Positions count from the first token of the text, and the text is right-padded, so no
fixed length is needed; tokens behind the s-th stay as they are.  PEFT has no form for the update: native export only.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from ...spaces.axes import Choice, Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ..method import Named, SoftPrompt, Tensors, hyperparameter, uniform
from .maths.starts import STARTS, TEXT, check, start


@dataclass(frozen=True)
class Dept(SoftPrompt):
    """Decomposed prompt tuning of text and prompt; the pair A, B has a learning rate of its own."""

    exports: ClassVar[tuple[str, ...]] = ("native",)
    formula: ClassVar[str] = "m·d + r·(s + d)"
    citation: ClassVar[str] = "Shi & Lipani 2024, arXiv 2309.05173"
    published: ClassVar[str] = "0.3, 0.4 for the prompt; 5e-4, 5e-3, 0.3 for the pair (authors' code)"
    deviations: ClassVar[str] = "positions count from the first token of right-padded text, where the paper pads all texts to one length"

    prompt_length: int = hyperparameter(4, Int(1, 60, log=True))
    rank: int = hyperparameter(2, Int(1, 64, log=True))
    positions: int = hyperparameter(128, Choice((32, 64, 128, 256)))
    alpha: float = hyperparameter(8.0, Float(1.0, 64.0, log=True), structural=False)
    lr: float = hyperparameter(0.3, Float(0.01, 3.0, log=True), structural=False)
    lr_pair: float = hyperparameter(0.03, Float(1e-3, 0.3, log=True), structural=False)

    init: str = hyperparameter("random", STARTS, structural=False)
    init_text: str = hyperparameter("", TEXT, structural=False)

    @property
    def length(self) -> int:
        """m virtual tokens."""
        return self.prompt_length

    def parameters(self, shape: Shape) -> int:
        """m·d + r·(s + d)."""
        check("dept", self.init, self.init_text)
        largest = min(self.positions, shape.width)
        if self.rank > largest:
            raise WrongInput(f"dept.rank: {self.rank} is above {largest}, the smaller of positions and width; lower rank")
        return self.prompt_length * shape.width + self.rank * (self.positions + shape.width)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """E ~ N(0, rms²) or tokens of the vocabulary or a text, A ~ U(±1/√r), B = 0; α/√r is frozen."""
        e = start(self.init, self.init_text, self.prompt_length, shape, generator)
        a = uniform(self.positions, self.rank, generator=generator, bound=self.rank**-0.5)
        frozen = {"scaling": torch.tensor(self.alpha * self.rank**-0.5)}
        return Tensors({"E": e, "A": a, "B": torch.zeros(self.rank, shape.width)}, frozen)

    def rate(self, name: str) -> float:
        """`lr` for the prompt, `lr_pair` for A and B."""
        return self.lr if name == "E" else self.lr_pair

    def unit(self, name: str, shape: Shape) -> float:
        """The token embeddings' own size for what is added to them, E and B; A in the size that it starts with."""
        return self.rank**-0.5 if name == "A" else shape.embedding_rms

    def prompt(self, p: Named) -> Tensor:
        """E, (m, d)."""
        return p["E"]

    def embeddings(self, p: Named, x: Tensor) -> Tensor:
        """x_i + (α/√r) a_i B for the first s tokens."""
        tokens = min(len(x), self.positions)
        update = p["scaling"] * p["A"][:tokens] @ p["B"]
        return x + pad(update, (0, 0, 0, len(x) - tokens))
