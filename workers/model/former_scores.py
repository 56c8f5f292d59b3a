"""How version 0.1.0 read a task off a model, kept to tell whether a study of that time would be continued with other numbers.

It handed over embeddings without the model's factor and without token types, counted positions from 0 beside a prefix, left soft caps
and sinks out of attention, and took a word's logit straight from the head. Where none of that matters, its scores are today's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from ...spaces.errors import WrongInput
from ..tasks import Task
from .attention import attend_by, attention, explicit_mask
from .backbone import Backbone, quiet
from .frozen_scores import TOLERANCE, own_scores, probe_rows, relative
from .readouts.choice import readout_of
from .readouts.encoding import Encoded, encode

NAME = "ulpt_former"
TEMPERATURE = 0.05
PROBED = 64


def moved(backbone: Backbone, task: Task, *, max_tokens: int, prefixes: bool) -> float:
    """Return how far today's frozen scores of a few validation rows are from those of then, as a share of the largest; 0 within rounding.

    With `prefixes`, positions are said, too, as they are beside one.
    """
    data = encode(backbone, task.validation.take(range(min(PROBED, len(task.validation)))), max_tokens=max_tokens)
    rows, readout = probe_rows(data), readout_of(backbone, task)
    told = (False, True) if prefixes else (False,)
    pairs = [
        (own_scores(backbone, readout, data, rows, shifted=shifted), former_scores(backbone, task, data, rows, shifted=shifted))
        for shifted in told
    ]
    if any(now.shape != then.shape for now, then in pairs):
        return float("inf")
    far = max(relative(now, then) for now, then in pairs)
    return far if far > TOLERANCE[backbone.dtype] else 0.0


def refuse_moved(what: str, backbone: Backbone, task: Task, *, max_tokens: int, prefixes: bool) -> None:
    """Raise `WrongInput` where what version 0.1.0 measured is of another model than today's: nothing would compare with it."""
    far = moved(backbone, task, max_tokens=max_tokens, prefixes=prefixes)
    if far:
        family = backbone.model.config.model_type
        raise WrongInput(
            f"{what}: an earlier version read this {family} otherwise than it reads itself: without an adapter, scores differ by {far:.1e} "
            f"of the largest from today's, so its results compare with none from now on; search anew under another --study name"
        )


@torch.no_grad()
def former_scores(backbone: Backbone, task: Task, data: Encoded, rows: Sequence[int], *, shifted: bool = False) -> Tensor:
    """Label scores (rows, labels) of some rows of a split as they were then."""
    ids, lengths, _ = data.batch(rows, pad=int(backbone.tokenizer.pad_token_id or 0), device=backbone.device)
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    mask, model = (positions < lengths[:, None]).long(), backbone.model
    given: dict[str, Any] = {"inputs_embeds": model.get_input_embeddings()(ids), "attention_mask": mask}
    if shifted and backbone.conventions.first_position is not None:
        given["position_ids"] = positions.expand(len(ids), -1)
    with _former_attention(backbone):
        if backbone.family == "encoder":
            return _pooled(model(**given).last_hidden_state, mask) @ _descriptions(backbone, task.descriptions).T / TEMPERATURE
        words = torch.tensor(_words(backbone, task.descriptions), device=ids.device)
        if backbone.family == "decoder":
            hidden = model.base_model(**given, use_cache=False).last_hidden_state
            return _logits(model.get_output_embeddings(), hidden[torch.arange(len(hidden)), lengths - 1], words)
        start = torch.full((len(ids), 1), int(model.config.decoder_start_token_id), device=ids.device)
        found: Tensor = model(**given, decoder_input_ids=start, use_cache=False).logits
        return found[:, 0, words]


def _pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    return normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)


def _descriptions(backbone: Backbone, descriptions: Sequence[str]) -> Tensor:
    batch = backbone.tokenizer(list(descriptions), padding=True, return_tensors="pt").to(backbone.device)
    return _pooled(backbone.model(**batch).last_hidden_state, batch["attention_mask"])


def _words(backbone: Backbone, descriptions: Sequence[str]) -> list[int]:
    """The first token of each label word, or the first place at which all differ."""
    front = "" if backbone.family == "encoder-decoder" else " "
    tokens = [backbone.tokenizer(f"{front}{word}", add_special_tokens=False)["input_ids"] for word in descriptions]
    shortest = min(map(len, tokens))
    place = next((i for i in range(shortest) if len({ids[i] for ids in tokens}) == len(tokens)), 0)
    return [ids[place] for ids in tokens]


def _logits(head: Any, hidden: Tensor, words: Tensor) -> Tensor:
    bias = None if getattr(head, "bias", None) is None else head.bias[words]
    return linear(hidden, head.weight[words], bias)


@contextmanager
def _former_attention(backbone: Backbone) -> Iterator[None]:
    ours = backbone.model.config._attn_implementation
    with quiet():
        attend_by(backbone.model, NAME)
        try:
            yield
        finally:
            attend_by(backbone.model, ours)


def _plain(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any) -> Any:
    kept = {name: options[name] for name in ("dropout", "scaling", "position_bias") if name in options}
    return attention(module, query, key, value, attention_mask, **kept, kernel="eager")


AttentionInterface.register(NAME, _plain)
AttentionMaskInterface.register(NAME, explicit_mask)
