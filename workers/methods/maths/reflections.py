"""Unit vectors of a block-diagonal reflection, as columns of one matrix."""

import torch
from torch import Tensor

from ....spaces.errors import WrongInput


def directions(u: Tensor) -> Tensor:
    """Return U (n·k, n) whose column i holds `u[i]` (k,), at unit length, in block i, so that `U Uᵀ = blockdiag(û_i û_iᵀ)`."""
    unit: Tensor = u / u.norm(dim=1, keepdim=True)
    blocks = torch.eye(len(u), dtype=u.dtype, device=u.device)
    return (unit[:, :, None] * blocks[:, None, :]).reshape(-1, len(u))


def block_width(width: int, blocks: int, *, site: str, method: str) -> int:
    """Return `width / blocks`; `WrongInput` where it does not divide."""
    if width % blocks:
        below = next(n for n in range(min(blocks, width), 0, -1) if width % n == 0)
        raise WrongInput(f"{method}.blocks: {blocks} does not divide the width {width} of {site}; use {below}")
    return width // blocks
