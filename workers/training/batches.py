"""Which rows a trial sees at a step: a pure function of its seed, with rows of similar length together.

Rows are sorted by length into buckets. The order of the buckets is the task's, the same for every trial, so that a pack pads
little; which of a bucket's rows a trial draws comes from its own seed, so that it sees the same rows packed or alone.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

BATCHES_PER_BUCKET = 8
"""A bucket is full with this many batches' worth of rows: enough for the draw to stay random."""
STRETCH = 1.1
"""A bucket's longest row is at most this much longer than its shortest, unless it would hold less than a batch."""


class Batches:
    """Draws batches of `batch` row numbers from rows of the given lengths (in tokens)."""

    def __init__(self, lengths: Sequence[int], *, batch: int) -> None:
        self._buckets = tuple(_buckets(np.asarray(lengths), batch))
        self._batch = batch
        self._turns = np.repeat(np.arange(len(self._buckets)), [max(1, len(bucket) // batch) for bucket in self._buckets])

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every row has had its chance once."""
        return len(self._turns)

    def rows(self, *, seed: int, step: int) -> np.ndarray:
        """Return the (batch,) row numbers of a trial's step."""
        epoch, turn = divmod(step, self.steps_per_epoch)
        plan = _plan(tuple(self._turns.tolist()), epoch)
        bucket = int(plan[turn])
        before = int(np.count_nonzero(plan[:turn] == bucket))
        rows = self._buckets[bucket]
        shuffled = _shuffle(seed, epoch, bucket, len(rows))
        drawn: np.ndarray = rows[shuffled.take(range(before * self._batch, (before + 1) * self._batch), mode="wrap")]
        return drawn


def _buckets(lengths: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    """Row numbers of each bucket, shortest rows first; a rest of less than a batch joins the last one."""
    order = np.argsort(lengths, kind="stable")
    ordered, start = lengths[order], 0
    while start < len(order):
        longest = max(ordered[start] * STRETCH, ordered[start] + 2)
        similar = int(np.searchsorted(ordered, longest, side="right")) - start
        stop = start + max(batch, min(similar, batch * BATCHES_PER_BUCKET))
        stop = len(order) if len(order) - stop < batch else stop
        yield order[start:stop]
        start = stop


@lru_cache(maxsize=8)
def _plan(turns: tuple[int, ...], epoch: int) -> np.ndarray:
    return np.random.default_rng([epoch]).permutation(np.asarray(turns))


@lru_cache(maxsize=4096)
def _shuffle(seed: int, epoch: int, bucket: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, bucket, size]).permutation(size)
