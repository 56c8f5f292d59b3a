"""Language models: the logits of one token of each label word, where the answer begins.

* decoder: behind the last token of `text … answer:`;
* encoder-decoder: at the first decoder position.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ....spaces.errors import WrongInput
from ...tasks import Task
from ..backbone import Backbone
from .label_head import LabelHead
from .readout import Readout, precise


class Words(Readout):
    """`words` (labels,) are the tokens that stand for the labels."""

    about: ClassVar[str] = "logit of one token of each label word, where the answer begins"

    def __init__(self, backbone: Backbone, task: Task) -> None:
        self._backbone = backbone
        self.words = _first_tokens(backbone, task)
        self._head = LabelHead(backbone.model, self.words) if backbone.family == "decoder" else None

    def scores(
        self, embeds: Tensor, *, fronts: Tensor, lengths: Tensor, shifts: Tensor | None = None, types: Tensor | None = None
    ) -> Tensor:
        """Logits behind each row's last token, or at the decoder's start."""
        given = self._backbone.conventions.inputs(embeds, fronts=fronts, lengths=lengths, shifts=shifts, types=types)
        model = self._backbone.model
        if self._head is not None:
            with self._head.at(fronts + lengths - 1):
                return precise(model(**given, use_cache=False).logits[:, 0])
        return precise(model(**given, decoder_input_ids=self._start(len(embeds)), use_cache=False).logits[:, 0, self.words])

    def plain(self, ids: Tensor, types: Tensor | None) -> Tensor:
        """The same of token ids, out of the logits of all words."""
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        given = given if types is None else {**given, "token_type_ids": types}
        if self._head is None:
            given["decoder_input_ids"] = self._start(1)
        return precise(self._backbone.model(**given).logits[:, -1, self.words])

    def _start(self, rows: int) -> Tensor:
        return torch.full((rows, 1), int(self._backbone.model.config.decoder_start_token_id), device=self._backbone.device)


def _first_tokens(backbone: Backbone, task: Task) -> Tensor:
    tokenizer, tokens = backbone.tokenizer, []
    for word in task.descriptions:
        spaced = word if backbone.family == "encoder-decoder" else f" {word}"
        tokens.append(tokenizer(spaced, add_special_tokens=False)["input_ids"])
    width = _distinguishing(tokens)
    if width is None:
        raise WrongInput(
            f"task {task.name}: the label words {', '.join(task.descriptions)} cannot be told apart by one token; set task.labels"
        )
    return torch.tensor([ids[width] for ids in tokens], device=backbone.device)


def _distinguishing(tokens: Sequence[Sequence[int]]) -> int | None:
    """The first position at which every label word has a token of its own (a tokenizer may begin all words alike)."""
    shortest = min(len(ids) for ids in tokens)
    return next((i for i in range(shortest) if len({ids[i] for ids in tokens}) == len(tokens)), None)
