"""Passes of a language model over texts with an answer each: behind a decoder's text, or on an encoder-decoder's side of answers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..backbone import Backbone
from .candidates import appended, behind
from .label_head import PlaceHead
from .readout import precise
from .start import start_of
from .texts import Texts


@dataclass(frozen=True)
class Answers:
    """Of one frozen model."""

    backbone: Backbone

    @cached_property
    def head(self) -> PlaceHead | None:
        """A decoder's stand-in for its head; None of an encoder-decoder."""
        return PlaceHead(self.backbone.model) if self.backbone.family == "decoder" else None

    def logits(self, texts: Texts, tokens: Tensor, sizes: Tensor, *, copies: int, encoded: Any = None) -> Tensor:
        """Logits (rows · copies, tokens + 1, vocabulary) behind the text and behind each token of an answer.

        `tokens` (rows · copies, tokens) are `copies` answers of each row, of which the first `sizes` (rows · copies,) count. Of an
        encoder-decoder, `encoded` are its texts if they have been.
        """
        if self.head is None:
            return self._decoded(self.encoded(texts) if encoded is None else encoded, tokens, copies=copies)
        own = texts.repeated(copies)
        longer = appended(own.embeds, own.ends, self.backbone.embed(tokens), sizes)
        given = self.backbone.conventions.inputs(longer, fronts=own.fronts, lengths=own.lengths + sizes, shifts=own.shifts)
        with self.head.at(behind(own.ends, tokens.shape[1])):
            logits: Tensor = self.backbone.model(**given, use_cache=False).logits
        return logits

    def encoded(self, texts: Texts) -> Any:
        """What an encoder-decoder's encoder makes of texts, with their mask; None for decoders."""
        if self.head is not None:
            return None
        given = texts.inputs(self.backbone.conventions)
        return self.backbone.model.get_encoder()(**given), given["attention_mask"]

    def _decoded(self, encoded: Any, tokens: Tensor, *, copies: int) -> Tensor:
        output, mask = encoded
        repeated = type(output)(**{**output, "last_hidden_state": output.last_hidden_state.repeat_interleave(copies, 0)})
        given = {"encoder_outputs": repeated, "attention_mask": mask.repeat_interleave(copies, 0)}
        answers = torch.cat([start_of(self.backbone, len(tokens)), tokens], 1)
        logits: Tensor = self.backbone.model(**given, decoder_input_ids=answers, use_cache=False).logits
        return logits

    def plain(self, ids: Tensor, answer: Tensor) -> Tensor:
        """Log-probabilities (tokens,) of an answer (1, tokens) to one text `ids` (1, tokens), by the model's own call on both."""
        before = answer[:, :-1]
        whole = ids if self.head is None else torch.cat([ids, before], 1)
        given: dict[str, Any] = {"input_ids": whole, "attention_mask": torch.ones_like(whole)}
        if self.head is None:
            given["decoder_input_ids"] = torch.cat([start_of(self.backbone, 1), before], 1)
        told = precise(self.backbone.model(**given).logits[:, -answer.shape[1] :]).log_softmax(-1)
        return told.gather(-1, answer[..., None])[0, :, 0]
