"""Labels of several tokens for tests: a toy task of them, and their likelihoods as transformers itself has them, from its own loss."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ulpt_search.spaces.space import Reading
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts.label_tree import Tokens
from ulpt_search.workers.tasks import Task

from . import toy

TIED = ("red green", "red blue", "red", "green w3 w4")
"""The first two begin alike, the third is where they begin, the fourth is longer."""


def task(texts: Sequence[str] = TIED, **reading: Any) -> Task:
    """The toy task with these label texts; its rows keep three labels."""
    names = tuple(f"label{number}" for number in range(len(texts)))
    return replace(toy.task(), labels=names, descriptions=tuple(texts), reading=Reading(**reading))


@torch.no_grad()
def by_loss(backbone: Backbone, ids: Sequence[int], labels: Sequence[Tokens], *, prompt: Tensor | None = None) -> Tensor:
    """Log-likelihood (labels,) of every label behind one unpadded text, from the loss that the model computes of it: −loss · tokens.

    `prompt` (tokens, width) are embeddings in front of the text.
    """
    attend_by(backbone.model, "eager")
    return torch.stack([_one(backbone, torch.tensor([list(ids)]), label, prompt) for label in labels])


def _one(backbone: Backbone, ids: Tensor, label: Tokens, prompt: Tensor | None) -> Tensor:
    answer = torch.tensor([label])
    whole = ids if backbone.family == "encoder-decoder" else torch.cat([ids, answer], 1)
    front = 0 if prompt is None else len(prompt)
    given: dict[str, Tensor] = {"attention_mask": torch.ones(1, front + whole.shape[1], dtype=torch.long)}
    if prompt is None:
        given["input_ids"] = whole
    else:
        given["inputs_embeds"] = torch.cat([prompt[None], backbone.embed(whole)], 1)
    wanted = answer
    if backbone.family == "decoder":
        wanted = torch.cat([torch.full((1, front + ids.shape[1]), -100), answer], 1)
    loss: Tensor = backbone.model(**given, labels=wanted).loss
    return -loss * len(label)
