"""Where a whole soft prompt starts."""

import torch
from torch import Generator, Tensor

from ....spaces.axes import Choice
from ....spaces.errors import WrongInput
from ....spaces.shape import Shape
from ...method import normal

STARTS = Choice(("random", "vocabulary"), also=("text",))
TEXT = Choice(("",), also=None, quiet=True)


def check(method: str, kind: str, text: str) -> None:
    """Raise `WrongInput` where a prompt of `method` is to start from a text and there is none."""
    if kind == "text" and not text.strip():
        raise WrongInput(f"{method}.init_text: empty, but init is text; give the text to start from, or take init: vocabulary")


def start(kind: str, text: str, length: int, shape: Shape, generator: Generator) -> Tensor:
    """Return E (length, width): `random` is N(0, rms²), `vocabulary` the embeddings of tokens drawn without repetition.

    `text` is the embeddings of a text's tokens, special ones included, from its beginning again where it is too short: PEFT's
    PromptTuningInit.TEXT. Lester, Al-Rfou & Constant 2021 and PEFT found words better than noise. `ValueError` where they are asked of a
    shape without weights.
    """
    if kind == "random":
        return normal(length, shape.width, generator=generator, std=shape.embedding_rms)
    if shape.rows is None or shape.words is None:
        raise ValueError(f"a prompt that starts from the {kind} needs a model whose weights are loaded, got a bare shape")
    if kind == "vocabulary":
        return torch.tensor(shape.rows(torch.randperm(shape.vocabulary, generator=generator)[:length].tolist()))
    ids = shape.words(text)
    return torch.tensor(shape.rows([ids[place % len(ids)] for place in range(length)]))
