"""Where a whole soft prompt starts."""

import torch
from torch import Generator, Tensor

from ....spaces.axes import Choice
from ....spaces.shape import Shape
from ...method import normal

STARTS = Choice(("random", "vocabulary"))


def start(kind: str, length: int, shape: Shape, generator: Generator) -> Tensor:
    """Return E (length, width): `random` is N(0, rms²), `vocabulary` the embeddings of tokens drawn without repetition.

    Lester, Al-Rfou & Constant 2021 and PEFT found the second better. `ValueError` where it is asked of a shape without weights.
    """
    if kind == "random":
        return normal(length, shape.width, generator=generator, std=shape.embedding_rms)
    if shape.rows is None:
        raise ValueError("a prompt that starts from the vocabulary needs a model whose weights are loaded, got a bare shape")
    return torch.tensor(shape.rows(torch.randperm(shape.vocabulary, generator=generator)[:length].tolist()))
