"""What an export's proof rests on: a few rows of the task, and what the frozen and the trained model computed for them.

An export is judged by what the adapter *does*. With b, t and e the outputs of the frozen model, of the trained adapter and of the
export, it passes when ‖e − t‖ is small beside ‖t − b‖; beside the outputs themselves, an adapter of zeros would pass as well.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...spaces.errors import Failure
from ..tasks import Conversation, Rows

ROWS = 8
"""Rows of the validation split that travel with an export."""
FROM = 64
"""They are chosen among this many of its first rows, from short to long."""
SKETCH = 64
"""Numbers kept of each row's output: enough for norms of differences to hold within some 10 %."""
SHARE = 1e-3
"""Largest ‖e − t‖ / ‖t − b‖. Faithful exports have some 1e-6; a halved LoRA has 0.5, but a halved prompt in front of a norm, 0.009."""
NOISE = 4.0
"""Times the measured noise that an export may differ by, whatever its adapter does."""
NOTHING = 20 * NOISE
"""Below this many times the noise, an adapter does next to nothing: outputs cannot prove much about it."""
ROUNDING = 4 * torch.finfo(torch.float32).eps
"""The least noise of a float32 pass, relative to its outputs."""
LARGEST = 1 << 26
"""Bytes that packed numbers may unfold to: a card from elsewhere may lie."""
STRANGE = 1e-3
"""Noise above this, relative to the outputs, is no noise: the two do not compute the same function."""


@dataclass(frozen=True)
class Trace:
    """Base and trained outputs of the probe rows (rows, numbers), packed, and the noise of the base's, as Euclidean norms."""

    base: str
    trained: str
    width: int
    effect: float
    """‖t − b‖."""
    noise: float
    """‖b′ − b‖ for b computed by the plain library and b′ by the code that trains; at least rounding."""

    @property
    def faint(self) -> bool:
        """Whether the adapter does next to nothing here."""
        return self.effect <= NOTHING * self.noise

    def judge(self, found: Tensor, base: Tensor | None, *, what: str) -> str:
        """Say how far an export's outputs are from the trained ones; `Failure` where that is too far beside the adapter's effect.

        `base` are the frozen model's outputs here and now, where they are at hand: how they moved since is noise, too.
        """
        drift = 0.0 if base is None else _norm(base - unpack(self.base, self.width))
        noise = max(self.noise, min(drift, NOTHING * self.noise))
        error, allowed = _norm(found - unpack(self.trained, self.width)), max(SHARE * self.effect, NOISE * noise)
        said = f"{what} differ by {error:.2e}; the adapter's own effect is {self.effect:.2e}, the noise {noise:.1e}"
        if not error <= allowed:
            raise Failure(said)
        return said


def trace(base: Tensor, again: Tensor, trained: Tensor, *, without: Tensor | None = None) -> Trace:
    """A trace of base outputs by the plain library, the same by our own code, and the trained adapter's; (rows, numbers) each.

    The effect is what is changed of `without`: the base, unless there is nothing without the adapter, as without a head.
    """
    noise = max(_norm(again - base), ROUNDING * _norm(base))
    start = base if without is None else without
    return Trace(pack(start), pack(trained), base.shape[1], _norm(trained - start), noise)


@dataclass(frozen=True)
class Evidence:
    """The part of a card that a proof needs."""

    texts: tuple[tuple[str, str | None], ...]
    tokens: str
    """sha256 of their token ids."""
    outputs: Trace
    """Sketches of what `reading.read` returns."""
    scores: Trace
    """Label scores."""
    note: str = ""
    """What a reader should know about the proof; empty where there is nothing."""
    choices: tuple[tuple[str, ...], ...] = ()
    """Each text's own choices, where rows have their own."""
    conversations: tuple[Conversation, ...] = ()
    """What answers in writing are given to."""

    @property
    def rows(self) -> Rows:
        """The rows as a split; their labels play no part."""
        first, second = tuple(a for a, _ in self.texts), tuple(b for _, b in self.texts)
        return Rows(first, second, (0,) * len(self.texts), choices=self.choices, conversations=self.conversations)


def chosen(rows: Rows) -> Rows:
    """A few rows of a split, from short to long."""
    order = sorted(range(min(FROM, len(rows.texts_a))), key=lambda row: len(rows.texts_a[row]) + len(rows.texts_b[row] or ""))
    picked = order[:: max(1, len(order) // ROWS)][:ROWS]
    return rows.take(picked)


def sketch(outputs: Tensor) -> Tensor:
    """(rows, width) as (rows, at most SKETCH): a fixed random projection that keeps norms; numpy promises this stream for good."""
    width = outputs.shape[1]
    if width <= SKETCH:
        return outputs.float()
    signs = np.random.RandomState(0).randint(0, 2, size=(width, SKETCH)) * 2.0 - 1.0
    projected: Tensor = outputs.double() @ torch.from_numpy(signs) / SKETCH**0.5
    return projected.float()


def pack(values: Tensor) -> str:
    """Float32 numbers as text."""
    return base64.b85encode(zlib.compress(values.float().contiguous().numpy().astype("<f4").tobytes(), 9)).decode("ascii")


def unpack(text: str, width: int) -> Tensor:
    """(rows, width) from what `pack` wrote."""
    packed = zlib.decompressobj().decompress(base64.b85decode(text), LARGEST)
    return torch.from_numpy(np.frombuffer(packed, "<f4").copy()).view(-1, width)


def digest_of(ids: Iterable[Iterable[int]]) -> str:
    """sha256 of token ids, row by row."""
    return hashlib.sha256(repr([[int(token) for token in row] for row in ids]).encode()).hexdigest()


def _norm(difference: Tensor) -> float:
    return float(difference.double().norm()) if bool(torch.isfinite(difference).all()) else float("inf")
