"""A language model's logits of a few words at one place in each row, by the model's own path from hidden states to logits.

Families scale, divide or cap what their head computes. Those steps stay the model's: only the head itself is stood in for while it
runs, by one that looks at one place a row and knows only the words asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from ....spaces.errors import WrongInput


class LabelHead:
    """The stand-in for the head of one model, for the tokens `words` (labels,)."""

    def __init__(self, model: PreTrainedModel, words: Tensor) -> None:
        self._words = words
        self._head, self._parent, self._attribute = _head_of(model)

    @contextmanager
    def at(self, last: Tensor) -> Iterator[None]:
        """Let the model compute logits (rows, 1, labels): those of the words at the places `last` (rows,)."""
        self._parent._modules[self._attribute] = _Narrow(self._head, self._words, last)
        try:
            yield
        finally:
            self._parent._modules[self._attribute] = self._head


class PlaceHead:
    """The stand-in for the head of one model that knows all words, and looks at a few places of each row."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._head, self._parent, self._attribute = _head_of(model)

    @contextmanager
    def at(self, places: Tensor) -> Iterator[None]:
        """Let the model compute logits (rows, places, vocabulary): those at `places` (rows, places)."""
        self._parent._modules[self._attribute] = _Picking(self._head, places)
        try:
            yield
        finally:
            self._parent._modules[self._attribute] = self._head


def _head_of(model: PreTrainedModel) -> tuple[nn.Module, nn.Module, str]:
    """The head, the module that holds it and its name there."""
    head = model.get_output_embeddings()
    name = next((name for name, module in model.named_modules() if module is head), None)
    if head is None or name is None:
        raise WrongInput(f"model: a {model.config.model_type} shows no head that scores words; give another language model")
    parent, _, attribute = name.rpartition(".")
    return head, model.get_submodule(parent), attribute


class _StandIn(nn.Module):
    """Everything but its forward pass is the head's."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        object.__setattr__(self, "_head", head)  # not a child: nothing is registered twice

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_head"], name)


class _Picking(_StandIn):
    def __init__(self, head: nn.Module, places: Tensor) -> None:
        super().__init__(head)
        self._places = places

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits (rows, places, vocabulary) of hidden states (rows, tokens, width)."""
        rows = torch.arange(len(hidden), device=hidden.device)[:, None]
        logits: Tensor = self._head(hidden[rows, self._places.to(hidden.device)])
        return logits


class _Narrow(_StandIn):
    def __init__(self, head: nn.Module, words: Tensor, last: Tensor) -> None:
        super().__init__(head)
        self._words, self._last = words, last

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits (rows, 1, labels) of hidden states (rows, tokens, width)."""
        picked = hidden[torch.arange(len(hidden), device=hidden.device), self._last.to(hidden.device)]
        if type(self._head) is not nn.Linear:  # its weight may be stored in another form
            logits: Tensor = self._head(picked[:, None])
            return logits[..., self._words.to(logits.device)]
        words = self._words.to(self._head.weight.device)
        bias = None if self._head.bias is None else self._head.bias[words]
        weight = self._head.weight[words]
        return linear(picked.to(weight.device), weight, bias)[:, None]
