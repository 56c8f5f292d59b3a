"""How large the numbers of a frozen weight are, the same on every machine; and large tensors piece by piece."""

from collections.abc import Iterator
from math import hypot

import torch
from torch import Tensor

PIECE = 1 << 20
"""Numbers that are looked at together: what is computed of them takes memory again, and of a whole table too much."""


def pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Views of a tensor, whole rows in order, of `PIECE` numbers at most or of one row."""
    whole = tensor.detach() if tensor.ndim else tensor.detach()[None]
    rows = max(1, PIECE * len(whole) // max(1, whole.numel()))
    yield from whole.split(rows)


def rms(table: Tensor, *, fallback: float) -> float:
    """Root mean square of a table, `fallback` on the meta device.

    In float64 and rounded to nine digits: a sum in float32 depends on the number of threads, and with it whatever a seed
    regenerates at this scale.
    """
    if table.device.type == "meta":
        return fallback
    root = hypot(*(float(torch.linalg.vector_norm(piece, dtype=torch.float64)) for piece in pieces(table))) / table.numel() ** 0.5
    return float(f"{root:.9g}")
