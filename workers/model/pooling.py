"""Hidden states and where a text is read in them: one vector a row, prompt and padding left out.

The states are those of the model's body, as its own `…ForSequenceClassification` gets them: what families do between them and the
logits of words (scales, caps) is no part of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces.errors import WrongInput
from .backbone import Backbone
from .readouts.readout import precise


class Body:
    """The part of one model that computes hidden states: all of an encoder, a decoder without its head, an encoder-decoder's decoder."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    @cached_property
    def module(self) -> nn.Module:
        """The module whose output they are; `WrongInput` where a family has none of its own."""
        model: Any = self._backbone.model
        if self._backbone.kind == "encoder":
            return model  # type: ignore[no-any-return]
        found = model.get_decoder() if self._backbone.family == "encoder-decoder" else model.base_model
        found = getattr(found, "decoder", found)  # OPT's class with a head passes by the module around its decoder
        if found is None or found is model:
            raise WrongInput(f"head: a {model.config.model_type} shows no hidden states apart from its logits; use another method")
        return found  # type: ignore[no-any-return]

    @contextmanager
    def watched(self) -> Iterator[list[Tensor]]:
        """Gather the hidden states (rows, tokens, width) of every pass in it; of an encoder-decoder (rows, 1, width)."""
        seen: list[Tensor] = []
        handle = self.module.register_forward_hook(lambda _, __, output: seen.append(output[0].to(self._backbone.device)))
        try:
            yield seen
        finally:
            handle.remove()

    def hidden(self, given: dict[str, Tensor]) -> Tensor:
        """Hidden states of a pass that computes nothing else; `given` as `Conventions.inputs` makes it."""
        model = self._backbone.model
        if self._backbone.family != "encoder-decoder":
            hidden: Tensor = self.module(**given)[0]
            return hidden.to(self._backbone.device)  # of a model over several devices, they leave the last
        start = torch.full((len(given["inputs_embeds"]), 1), int(model.config.decoder_start_token_id), device=self._backbone.device)
        with self.watched() as seen:
            model(**given, decoder_input_ids=start, use_cache=False)
        return seen[-1]

    def pool(self, hidden: Tensor, how: str, *, fronts: Tensor, lengths: Tensor) -> Tensor:
        """Pooled states (rows, width), float32 at least, of texts behind `fronts` (rows,) virtual tokens, `lengths` (rows,) long.

        `how` is one of `method.POOLINGS`. A place in an encoder-decoder is one of its decoder, where nothing stands in front.
        """
        if self._backbone.family == "encoder-decoder":
            return precise(hidden[:, 0])
        if how == "mean":
            return mean(hidden, fronts=fronts, lengths=lengths)
        rows = torch.arange(len(hidden), device=hidden.device)
        picked = hidden[rows, fronts + lengths - 1 if how == "last" else fronts]
        if how == "pooler":
            picked = self.module.get_submodule("pooler")(picked[:, None])
        return precise(picked)


def mean(hidden: Tensor, *, fronts: Tensor, lengths: Tensor) -> Tensor:
    """Mean of each text's hidden states (rows, tokens, width), prompt and padding left out, (rows, width), float32 at least."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    text = (positions >= fronts[:, None]) & (positions < (fronts + lengths)[:, None])
    return (precise(hidden) * text[..., None]).sum(1) / lengths[:, None]


def side_by_side(states: Tensor, per_row: int) -> Tensor:
    """States (rows, per_row · width) of rows that are several sequences each, (sequences, width) behind each other."""
    return states if per_row == 1 else states.unflatten(0, (-1, per_row)).flatten(1)
