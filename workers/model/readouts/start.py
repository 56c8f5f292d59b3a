"""Where an answer begins: the decoder's first token, and what stands there without a text."""

import torch
from torch import Tensor

from ...tasks import Rows
from ..backbone import Backbone
from .encoding import encode


def start_of(backbone: Backbone, rows: int) -> Tensor:
    """The token with which a decoder begins, (rows, 1)."""
    return torch.full((rows, 1), int(backbone.model.config.decoder_start_token_id), device=backbone.device)


def empty_text(backbone: Backbone) -> tuple[Tensor, Tensor | None]:
    """Token ids (1, tokens) of a row without a text, and their types; where nothing is left of it, the end token."""
    data = encode(backbone, Rows(("",), (None,), (0,)), max_tokens=backbone.conventions.room)
    ids = data.tokens.tolist() or [int(backbone.tokenizer.eos_token_id or 0)]
    return torch.tensor([ids], device=backbone.device), data.batch_types([0], device=backbone.device)
