"""Sequences of candidates: tokens behind each row's text, before its padding."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def appended(embeds: Tensor, ends: Tensor, tails: Tensor, sizes: Tensor) -> Tensor:
    """Put `tails` behind rows: `[prompt | text | tail | pad]`, (rows, tokens + longest, width).

    `embeds` (rows, tokens, width) are padded on the right behind `ends` (rows,); of `tails` (rows, longest, width) a row takes the
    first of `sizes` (rows,).
    """
    longest = tails.shape[1]
    if longest == 0:
        return embeds
    places = torch.arange(embeds.shape[1] + longest, device=embeds.device)[None] - ends[:, None]
    inside = (places >= 0) & (places < sizes[:, None])
    index = places.clamp(0, longest - 1)[..., None].expand(-1, -1, embeds.shape[-1])
    return torch.where(inside[..., None], tails.to(embeds.dtype).gather(1, index), pad(embeds, (0, 0, 0, longest)))


def behind(ends: Tensor, depth: int) -> Tensor:
    """The places that tell what comes after a text of `ends` (rows,) tokens and after each of `depth` tokens more: (rows, depth + 1)."""
    return ends[:, None] - 1 + torch.arange(depth + 1, device=ends.device)[None]
