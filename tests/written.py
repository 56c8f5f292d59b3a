"""A toy task of written answers: a few words to be said again from the last one on, which a tiny model can learn a little of."""

from collections.abc import Sequence

import torch

from ulpt_search.spaces.space import Decoding
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.tasks import Conversation, Rows, Task, Turn
from ulpt_search.workers.training.trainer import Trainer

from . import toy


def rows(count: int = 48, *, seed: int = 5) -> Rows:
    """Questions of 2 to 9 words, answers of 1 to 4: colours, as many as the first word says."""
    draw = torch.Generator().manual_seed(seed)
    return of([_pair(draw) for _ in range(count)])


def _pair(draw: torch.Generator) -> tuple[str, str]:
    size, length = (int(torch.randint(low, high, (1,), generator=draw)) for low, high in ((1, 5), (1, 9)))
    words = torch.randint(10, 60, (length,), generator=draw).tolist()
    return " ".join([f"w{size}", *(f"w{word}" for word in words)]), " ".join(("red", "green", "blue", "red")[:size])


def of(pairs: Sequence[tuple[str, str]]) -> Rows:
    """Rows of questions with their answers."""
    talks = tuple(Conversation((Turn("user", question), Turn("assistant", answer))) for question, answer in pairs)
    return Rows(tuple(question for question, _ in pairs), (None,) * len(pairs), (0.0,) * len(pairs), conversations=talks)


def task(metric: str = "perplexity", *metrics: str, decoding: Decoding = Decoding()) -> Task:  # noqa: B008 - frozen
    """The toy task; all splits are the same rows."""
    data = rows()
    return Task("said", "generation", (), (), metric, data, data, data, "said", metrics=metrics, decoding=decoding)


def trainer(backbone: Backbone, *, steps: int = 20) -> Trainer:
    """A trainer of the toy task."""
    made = toy.trainer(backbone, steps=steps)
    return Trainer(backbone, readout_of(backbone, task()), made.training)


def data(backbone: Backbone) -> Encoded:
    """Its rows."""
    return encode(backbone, rows(), max_tokens=32)
