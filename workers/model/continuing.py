"""Two ways to the logits of the next token of many rows: with the family's own cache of keys and values, or by reading all anew.

Both are functions from the tokens written so far, a list of (rows,), to logits (rows, vocabulary). They are to be called while the
sites that made their texts are bound. `Cached` lays rows out `[pad | virtual | text]`, so that what is written follows at the right;
positions are told, never counted by the model.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from .backbone import Backbone
from .readouts.label_head import PlaceHead
from .readouts.start import start_of
from .readouts.texts import Texts
from .sites import Sites

CACHES = ("cache", "past_key_values", "cache_params")
"""What releases of transformers call a cache, the newest first."""


class Prompts:
    """The prompts of a batch, the same of every trial, as training lays rows out; `ids` (trials · rows, tokens) padded on the right."""

    def __init__(self, backbone: Backbone, sites: Sites, trials: int, prompts: Sequence[Sequence[int]]) -> None:
        self.backbone, self._sites, self._trials = backbone, sites, trials
        device, filler, longest = backbone.device, int(backbone.tokenizer.pad_token_id or 0), max(map(len, prompts))
        self.lengths = torch.tensor([len(ids) for ids in prompts], device=device).repeat(trials)
        self.ids = torch.tensor([[*ids, *[filler] * (longest - len(ids))] for ids in prompts], device=device).repeat(trials, 1)
        self.texts = self.laid_out(self.ids, self.lengths)

    def laid_out(self, ids: Tensor, lengths: Tensor) -> Texts:
        """Rows `[virtual | text | pad]` with every trial's virtual tokens."""
        embedded = self.backbone.embed(ids).unflatten(0, (self._trials, -1))
        embeds, fronts = self._sites.prompts(embedded)
        rows = embedded.shape[1]
        shifts = self._sites.shifts(ids.device).repeat_interleave(rows) if self._sites.has_prefix else None
        return Texts(embeds.flatten(0, 1), fronts.repeat_interleave(rows), lengths, shifts)

    @property
    def encoded(self) -> dict[str, Any]:
        """What an encoder-decoder's decoder is given of them."""
        given = self.texts.inputs(self.backbone.conventions)
        return {"encoder_outputs": self.backbone.model.get_encoder()(**given), "attention_mask": given["attention_mask"]}


class Whole:
    """Without a cache: what has been written is part of the text, as in training."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts, self._model = prompts, prompts.backbone.model
        self._head = PlaceHead(self._model) if prompts.backbone.family == "decoder" else None
        self._encoded = {} if self._head else prompts.encoded

    def __call__(self, written: Sequence[Tensor]) -> Tensor:
        """Logits (rows, vocabulary) behind what is written."""
        if self._head is None:
            answers = torch.cat([start_of(self._prompts.backbone, len(self._prompts.ids)), *(tokens[:, None] for tokens in written)], 1)
            return _last(self._model(**self._encoded, decoder_input_ids=answers, use_cache=False))
        texts = self._longer(written)
        with self._head.at(texts.ends[:, None] - 1):
            return _last(self._model(**texts.inputs(self._prompts.backbone.conventions), use_cache=False))

    def _longer(self, written: Sequence[Tensor]) -> Texts:
        ids, lengths = pad(self._prompts.ids, (0, len(written))), self._prompts.lengths
        rows = torch.arange(len(ids), device=ids.device)
        for count, tokens in enumerate(written):
            ids[rows, lengths + count] = tokens
        return self._prompts.laid_out(ids, lengths + len(written))


class Cached:
    """With the family's own cache: one pass over the prompts, then one over the latest token of every row."""

    def __init__(self, prompts: Prompts) -> None:
        self._backbone, self._texts, self._model = prompts.backbone, prompts.texts, prompts.backbone.model
        self._head = PlaceHead(self._model) if prompts.backbone.family == "decoder" else None
        self._encoded = {} if self._head else prompts.encoded
        self._name = cache_name(self._model)
        self._kept: Any = None
        self._mask = torch.zeros(0)

    def __call__(self, written: Sequence[Tensor]) -> Tensor:
        """Logits (rows, vocabulary) behind what is written, one token more than at the last call.

        Raises `NotImplementedError` where the family returns no cache.
        """
        output = self._answer(written) if self._head is None else self._go_on(written) if written else self._begin(self._head)
        self._kept = getattr(output, self._name, None)
        if self._kept is None:
            raise NotImplementedError(f"{type(self._model).__name__} returns no cache")
        return _last(output)

    def _answer(self, written: Sequence[Tensor]) -> Any:
        latest = written[-1][:, None] if written else start_of(self._backbone, len(self._texts))
        return self._model(**self._encoded, decoder_input_ids=latest, use_cache=True, **self._cache)

    def _begin(self, head: PlaceHead) -> Any:
        embeds, self._mask = _to_the_right(self._texts)
        columns = self._mask.shape[1]
        positions = torch.arange(columns, device=self._mask.device) - (columns - self._texts.ends)[:, None]
        with head.at(torch.full_like(positions[:, :1], columns - 1)):
            return self._model(inputs_embeds=embeds, attention_mask=self._mask, **self._told(positions.clamp(min=0)), use_cache=True)

    def _go_on(self, written: Sequence[Tensor]) -> Any:
        self._mask = pad(self._mask, (0, 1), value=1)
        embeds = self._backbone.embed(written[-1][:, None]).to(self._texts.embeds.dtype)
        told = self._told(self._texts.ends[:, None] + len(written) - 1)
        return self._model(inputs_embeds=embeds, attention_mask=self._mask, **told, use_cache=True, **self._cache)

    def _told(self, positions: Tensor) -> dict[str, Tensor]:
        """Positions (rows, tokens) as the family counts them; nothing where it is not told."""
        ways, shifts = self._backbone.conventions, self._texts.shifts
        moved = positions if shifts is None else positions + shifts[:, None]
        return {} if ways.first_position is None else {"position_ids": ways.places(moved)}

    @property
    def _cache(self) -> dict[str, Any]:
        return {} if self._kept is None else {self._name: self._kept}


def cache_name(model: PreTrainedModel) -> str:
    """What a model's forward calls its cache."""
    arguments = inspect.signature(model.forward).parameters
    return next((name for name in CACHES if name in arguments), CACHES[0])


def _last(output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits[:, -1]


def _to_the_right(texts: Texts) -> tuple[Tensor, Tensor]:
    """Embeddings (rows, longest, width) and mask (rows, longest) with each row's tokens at the right end."""
    longest = int(texts.ends.max())
    columns = torch.arange(longest, device=texts.ends.device)[None] - (longest - texts.ends)[:, None]
    index = columns.clamp(min=0)[..., None].expand(-1, -1, texts.embeds.shape[-1])
    return texts.embeds.gather(1, index), (columns >= 0).long()
