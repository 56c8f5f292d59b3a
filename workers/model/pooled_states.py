"""Pooled states of the frozen model, kept row by row: all that a trial needs of it that trains nothing but a head.

Four bytes a number: 150 MB for a hundred thousand rows of 384, beside the model; a split that may need more than `LARGEST` is kept in host
memory, where rows that nobody asks for take no room. Nor are they ever computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..tasks import Rows
from .backbone import Backbone
from .pooling import Body, side_by_side
from .readouts.encoding import Encoded, encode
from .readouts.readout import precise
from .transfer import sent

TOKENS_AT_ONCE = {"cpu": 2048}
"""Tokens of one pass, by device; elsewhere `TOKENS`."""
TOKENS = 65_536
LARGEST = 1 << 28
"""Bytes of a table that is kept beside the model."""


@dataclass
class Kept:
    """One split's states by one pooling: `values` (rows, width), of which those are there that `known` (rows,) says."""

    data: Encoded
    values: Tensor
    known: np.ndarray


class PooledStates:
    """The states of one backbone's splits."""

    def __init__(self, backbone: Backbone, body: Body) -> None:
        self._backbone, self._body = backbone, body
        self._kept: dict[tuple[int, str], Kept] = {}

    def prepare(self, data: Encoded, rows: np.ndarray, how: str) -> None:
        """Compute the states of these rows of a split that are not there yet."""
        kept = self._table(data, how)
        if not kept.known[rows].all():
            missing = np.unique(rows[~kept.known[rows]])
            place = kept.values.device
            kept.values[sent(torch.from_numpy(missing), place)] = self.compute(data, missing, how).to(place)
            kept.known[missing] = True

    def rows(self, data: Encoded, rows: np.ndarray, how: str) -> Tensor:
        """Return the states (..., width) of `rows` (...) of a split; of rows that are two texts, both behind each other."""
        self.prepare(data, rows, how)
        values = self._table(data, how).values
        found = values[sent(torch.from_numpy(rows), values.device)]
        return found if values.device == self._backbone.device else sent(found, self._backbone.device)

    @torch.no_grad()
    def compute(self, data: Encoded, rows: np.ndarray, how: str) -> Tensor:
        """States (rows, width) by passes of the frozen model over rows of like length."""
        if data.per_row > 1:
            return side_by_side(self.compute(data.single, data.sequences(rows), how), data.per_row)
        lengths = np.asarray(data.lengths)[rows]
        order = np.argsort(lengths, kind="stable")
        most = TOKENS_AT_ONCE.get(self._backbone.device.type, TOKENS)
        pieces = [self._pass(data, rows[piece].tolist(), how) for piece in _pieces(order, lengths, most)]
        return torch.cat(pieces)[sent(torch.from_numpy(np.argsort(order)), self._backbone.device)]

    def described(self, descriptions: Sequence[str], how: str) -> Tensor:
        """States (labels, width) of descriptions, read as the task's own texts are."""
        count = len(descriptions)
        data = encode(self._backbone, Rows(tuple(descriptions), (None,) * count, (0,) * count), max_tokens=self._backbone.conventions.room)
        return self.compute(data, np.arange(count), how)

    def _pass(self, data: Encoded, rows: Sequence[int], how: str) -> Tensor:
        backbone = self._backbone
        ids, lengths, _ = data.batch(rows, pad=int(backbone.tokenizer.pad_token_id or 0), device=backbone.device)
        fronts, types = torch.zeros_like(lengths), data.batch_types(rows, device=backbone.device)
        given = backbone.conventions.inputs(backbone.embed(ids), fronts=fronts, lengths=lengths, types=types)
        return self._body.pool(self._body.hidden(given), how, fronts=fronts, lengths=lengths)

    def _table(self, data: Encoded, how: str) -> Kept:
        key = (id(data), how)
        if key not in self._kept:
            dtype = precise(torch.zeros(0, dtype=self._backbone.dtype)).dtype
            count, width = len(data.lengths), data.per_row * self._backbone.shape.state_width
            place = self._backbone.device if count * width * dtype.itemsize <= LARGEST else torch.device("cpu")
            self._kept[key] = Kept(data, torch.empty(count, width, dtype=dtype, device=place), np.zeros(count, bool))
        return self._kept[key]


def _pieces(order: np.ndarray, lengths: np.ndarray, most: int) -> list[np.ndarray]:
    """`order` cut into runs that hold about `most` tokens when padded to their longest."""
    pieces, start = [], 0
    while start < len(order):
        count = max(1, most // max(1, int(lengths[order[start]])))
        while count > 1 and count * int(lengths[order[min(start + count, len(order)) - 1]]) > most:
            count = count * 3 // 4
        pieces.append(order[start : start + count])
        start += count
    return pieces
