"""How a family's forward wants to be called, so that a text handed over as embeddings means what its token ids do."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .architecture import family_of

UNLIMITED = 1 << 20
SCALES = ("embed_scale", "embedding_multiplier")
"""What modules call a factor of token embeddings."""
LIMITS = ("max_position_embeddings", "max_encoder_position_embeddings", "max_seq_len")
"""What configurations call the number of positions; the last is MPT's, whose biases by distance are a table, too."""
TURNING = ("dynamic", "longrope")
"""Kinds of rotary positions whose frequencies depend on how long the longest row is."""


@dataclass(frozen=True)
class Conventions:
    """One model's own ways."""

    first_position: int | None
    """The position of a text's first token; None where the model is not told positions."""
    segments: bool
    """Whether the first and the second text of a pair are told apart by token types."""
    room: int
    """How many tokens, virtual ones included, it has positions for."""
    scale: float
    """What its own call on token ids multiplies their embeddings by; it leaves embeddings that it is given as they are."""
    turns: bool = False
    """Whether its rotary frequencies follow the furthest position of the whole batch, padding among them."""

    def places(self, positions: Tensor) -> Tensor:
        """The family's numbers of positions counted from 0; padding beyond the last place, which nobody reads, gets the last."""
        return positions.clamp(max=self.room - 1) + (self.first_position or 0)

    def inputs(
        self, embeds: Tensor, *, fronts: Tensor, lengths: Tensor, shifts: Tensor | None = None, types: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the arguments of a forward pass over embeddings.

        `embeds` (rows, tokens, width) is laid out `[prompt | text | pad]` with `fronts` (rows,) prompt and `lengths` (rows,) text
        tokens. `shifts` (rows,) moves the positions of rows that have a prefix. `types` (rows, text tokens) are the token types of
        `[text | pad]`; a prompt's are 0.
        """
        columns = torch.arange(embeds.shape[1], device=embeds.device)[None]
        given = {"inputs_embeds": embeds, "attention_mask": (columns < (fronts + lengths)[:, None]).long()}
        if self.first_position is not None and (shifts is not None or self.turns):
            moved = columns if shifts is None else columns + shifts[:, None]
            given["position_ids"] = self.places(moved).expand(len(embeds), -1)
        if types is not None and self.segments:
            given["token_type_ids"] = _behind(fronts, types, columns)
        return given


_KNOWN: WeakKeyDictionary[PreTrainedModel, Conventions] = WeakKeyDictionary()
"""What was read before: reading takes passes of the model, which must be over before hooks of trials are put on it."""


def conventions_of(model: PreTrainedModel) -> Conventions:
    """Read a model's ways off its forward, its configuration and its tables; once, when it is loaded."""
    if model not in _KNOWN:
        told = "position_ids" in inspect.signature(model.forward).parameters
        first = _first(model) if told else None
        room, turns = positions_of(model) or UNLIMITED, bool(_turning(model))
        _KNOWN[model] = Conventions(first, segments_of(model), room, _scale(model), turns)
    return _KNOWN[model]


def segments_of(model: PreTrainedModel) -> bool:
    """Whether a model tells the first and the second text of a pair apart by token types. Works on the meta device, too."""
    arguments, config = inspect.signature(model.forward).parameters, model.config
    return family_of(config) == "encoder" and "token_type_ids" in arguments and getattr(config, "type_vocab_size", 2) > 1


def positions_of(model: PreTrainedModel) -> int | None:
    """How many tokens, virtual ones included, a model has positions for; None where it needs none. Works on the meta device, too."""
    limits = [int(value) for name in LIMITS if (value := getattr(model.config, name, None)) and value > 0][:1]
    limits += [int(rope["original_max_position_embeddings"]) for rope in _turning(model) if rope.get("original_max_position_embeddings")]
    return min(limits) - _first(model) if limits else None


def _turning(model: PreTrainedModel) -> list[Mapping[str, Any]]:
    """The rotary settings of a model, one a kind of layer, by which frequencies depend on the furthest position of a batch.

    Up to the length of pretraining they are those of pretraining, so no row is told more positions than that: beyond, a row would
    be computed in one way beside long rows and in another beside short ones.
    """
    told = getattr(model.config, "rope_parameters", None) or {}
    kinds = [told, *(value for value in told.values() if isinstance(value, Mapping))]
    return [kind for kind in kinds if kind.get("rope_type") in TURNING]


def _first(model: PreTrainedModel) -> int:
    """The row of its table of positions at which a text starts."""
    table = _padded_table(model)
    return 0 if table is None else int(table.padding_idx or 0) + 1


def _padded_table(model: nn.Module) -> nn.Embedding | None:
    """The table of positions in which a row is set aside for padding, as RoBERTa has it: texts start behind that row."""
    named = ((name.rpartition(".")[2], module) for name, module in model.named_modules() if isinstance(module, nn.Embedding))
    return next((table for name, table in named if "position" in name and table.padding_idx is not None), None)


@torch.no_grad()
def _scale(model: PreTrainedModel) -> float:
    """The factor, found by trying those that the model's modules carry; 1 where none does, or the table itself multiplies."""
    table = model.get_input_embeddings()
    factors = factors_of(model)
    if not factors:
        return 1.0
    body, ids = model.get_encoder() if model.config.is_encoder_decoder else model.base_model, torch.tensor([[1, 2, 3]], device=model.device)
    wanted = body(input_ids=ids).last_hidden_state

    def far(factor: float) -> float:
        return float((body(inputs_embeds=table(ids) * factor).last_hidden_state - wanted).abs().max())

    return min((1.0, *factors), key=far)


def factors_of(model: PreTrainedModel) -> list[float]:
    """The factors of token embeddings that a model's modules carry, but its table of embeddings, which multiplies by itself."""
    table = model.get_input_embeddings()
    carried = {getattr(module, name, None) for module in model.modules() if module is not table for name in SCALES}
    return sorted(float(value) for value in carried if isinstance(value, int | float) and value != 1)


def _behind(fronts: Tensor, types: Tensor, columns: Tensor) -> Tensor:
    """Token types of `[prompt | text | pad]`, (rows, tokens)."""
    if columns.shape[1] == types.shape[1]:
        return types
    places = columns - fronts[:, None]
    inside = (places >= 0) & (places < types.shape[1])
    return types.gather(1, places.clamp(0, types.shape[1] - 1)) * inside
