"""What each row adds to a score, small enough to be kept beside an adapter: the test of a difference pairs the same rows of two trials.

Of accuracy it is whether the row was right, one bit a row. Of a metric that is no mean over rows it is the jackknife's
pseudo-value, n θ - (n - 1) θ₍ᵢ₎, whose mean over rows is the metric up to its bias; four bytes a row. Reading needs no torch.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PREFIX = "rows:"
"""Starts the names of these arrays in a trial's file: `rows:test`."""

Scores = NDArray[np.float64]
"""One number a row, (rows,)."""


def packed(scores: Scores) -> NDArray[np.uint8]:
    """Return the bytes that stand for some rows' scores: their number, then bits where all are 0 or 1, else float32."""
    right = bool(np.isin(scores, (0.0, 1.0)).all())
    head = np.array([len(scores), int(right)], dtype="<i8").view(np.uint8)
    body = np.packbits(scores.astype(np.uint8)) if right else scores.astype("<f4").view(np.uint8)
    return np.concatenate([head, body])


def unpacked(data: NDArray[np.uint8]) -> Scores:
    """Return what `packed` was given; raises `ValueError` where the bytes are not such."""
    raw = np.ascontiguousarray(data, dtype=np.uint8)
    if len(raw) < 16:
        raise ValueError(f"scores of rows need 16 bytes or more, got {len(raw)}")
    count, right = raw[:16].view("<i8")
    wanted = -(-count // 8) if right else 4 * count
    if count < 0 or len(raw) - 16 != wanted:
        raise ValueError(f"scores of {count} rows need {wanted} bytes, got {len(raw) - 16}")
    return np.unpackbits(raw[16:], count=int(count)).astype(np.float64) if right else raw[16:].view("<f4").astype(np.float64)


def of_file(arrays: Mapping[str, NDArray[np.uint8]]) -> dict[str, Scores]:
    """Return the scores by split that a trial's file holds, none of an old one."""
    return {name.removeprefix(PREFIX): unpacked(array) for name, array in arrays.items() if name.startswith(PREFIX)}
