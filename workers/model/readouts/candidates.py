"""Sequences of candidates: tokens behind each row's text, before its padding."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class Texts:
    """Rows as a pass gets them: see `Conventions.inputs`."""

    embeds: Tensor
    fronts: Tensor
    lengths: Tensor
    shifts: Tensor | None = None

    @property
    def ends(self) -> Tensor:
        """How many columns prompt and text take, (rows,)."""
        return self.fronts + self.lengths

    def __len__(self) -> int:
        return len(self.embeds)

    def repeated(self, copies: int) -> "Texts":
        """Every row as many times, one behind the other."""
        if copies == 1:
            return self
        embeds, fronts, lengths = (tensor.repeat_interleave(copies, 0) for tensor in (self.embeds, self.fronts, self.lengths))
        return Texts(embeds, fronts, lengths, None if self.shifts is None else self.shifts.repeat_interleave(copies, 0))


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
