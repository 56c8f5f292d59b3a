"""Which rows a trial sees at a step: a pure function of its seed, with rows of similar length together.

Rows are sorted by length into buckets. The order of the buckets is the task's, the same for every trial, so that a pack pads
little; which of a bucket's rows a trial draws comes from its own seed, so that it sees the same rows packed or alone.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

ROWS_PER_BUCKET = 8
"""A bucket holds at least this many batches' worth of rows, enough for the draw to stay random."""


class Batches:
    """Draws batches of `batch` row numbers from rows of the given lengths (in tokens)."""

    def __init__(self, lengths: Sequence[int], *, batch: int) -> None:
        order = np.argsort(np.asarray(lengths), kind="stable")
        count = max(1, len(order) // (batch * ROWS_PER_BUCKET))
        self._buckets = tuple(np.array_split(order, count))
        self._batch = batch
        self._turns = np.repeat(np.arange(count), [max(1, len(bucket) // batch) for bucket in self._buckets])

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every row has had its chance once."""
        return len(self._turns)

    def rows(self, *, seed: int, step: int) -> np.ndarray:
        """Return the (batch,) row numbers of a trial's step."""
        epoch, turn = divmod(step, len(self._turns))
        plan = _plan(tuple(self._turns.tolist()), epoch)
        bucket = int(plan[turn])
        before = int(np.count_nonzero(plan[:turn] == bucket))
        rows = self._buckets[bucket]
        shuffled = _shuffle(seed, epoch, bucket, len(rows))
        drawn: np.ndarray = rows[shuffled.take(range(before * self._batch, (before + 1) * self._batch), mode="wrap")]
        return drawn


@lru_cache(maxsize=8)
def _plan(turns: tuple[int, ...], epoch: int) -> np.ndarray:
    return np.random.default_rng([epoch]).permutation(np.asarray(turns))


@lru_cache(maxsize=4096)
def _shuffle(seed: int, epoch: int, bucket: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, bucket, size]).permutation(size)
