"""P-tuning: a soft prompt that a small network computes, thrown away after training.

    E = W₃ γ(W₂ γ(W₁ x + b₁) + b₂) + b₃      x (n×d), W₁ (h×d), W₂ (h×h), W₃ (d×h), b trainable; γ = ReLU

Liu et al. 2021, arXiv 2103.10385; the network is PEFT's MLP.  He's init (x ~ N(0, 1), hidden weights N(0, 2/in),
W₃ ~ N(0, rms²/h), biases 0) starts the prompt at the scale of real tokens.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.shape import Shape
from ..method import Named, SoftPrompt, Tensors, hyperparameter, normal


@dataclass(frozen=True)
class PTuning(SoftPrompt):
    """P-tuning with an MLP."""

    formula: ClassVar[str] = "n·d + (d·h + h) + (h² + h) + (h·d + d)"
    citation: ClassVar[str] = "Liu et al. 2021, arXiv 2103.10385"
    published: ClassVar[str] = "not read"
    deviations: ClassVar[str] = (
        "the network is PEFT's MLP, where the paper has an LSTM in front; its output starts at the embeddings' scale"
    )

    prompt_length: int = hyperparameter(5, Int(1, 100, log=True))
    hidden: int = hyperparameter(8, Int(1, 256, log=True))
    lr: float = hyperparameter(0.3, Float(1e-3, 1.0, log=True), structural=False)

    @property
    def length(self) -> int:
        """n virtual tokens."""
        return self.prompt_length

    def parameters(self, shape: Shape) -> int:
        """n·d + (d·h + h) + (h² + h) + (h·d + d)."""
        d, h = shape.width, self.hidden
        return self.prompt_length * d + (d * h + h) + (h * h + h) + (h * d + d)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """He's init."""
        d, h = shape.width, self.hidden
        tensors = {"x": normal(self.prompt_length, d, generator=generator)}
        for number, outputs, inputs, gain in ((1, h, d, 2**0.5), (2, h, h, 2**0.5), (3, d, h, shape.embedding_rms)):
            tensors[f"W{number}"] = normal(outputs, inputs, generator=generator, std=gain * inputs**-0.5)
            tensors[f"b{number}"] = torch.zeros(outputs)
        return Tensors(tensors)

    def unit(self, name: str, shape: Shape) -> float:
        """What moves each layer's output by the rate times its size, √2 or rms: a step adds up over a weight's inputs."""
        outcome = shape.embedding_rms if name.endswith("3") else 2**0.5
        inputs = shape.width if name == "W1" else self.hidden
        return 1.0 if name == "x" else outcome / (inputs if name.startswith("W") else 1)

    def prompt(self, p: Named) -> Tensor:
        """E, (n, d)."""
        inner = torch.relu(p["x"] @ p["W1"].mT + p["b1"])
        outer = torch.relu(inner @ p["W2"].mT + p["b2"])
        return outer @ p["W3"].mT + p["b3"]
