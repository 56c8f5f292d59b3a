"""Who gets more steps.

The rule. Trials meet at rungs, the steps of `training.rungs`. A trial with a result at a rung is compared with its peers: the
trials with a result at the same step that use no more parameters, itself included. `ahead` of them score better. Those of
them that use at least a quarter of its parameters are `near`, and `near_ahead` of these score better. It may go on to the next rung when

    ahead = 0    or    (ahead + 1) · eta <= peers and (near_ahead + 1) · eta <= near

that is, when no trial with as few parameters beats it, or when it is in the top 1/eta of its peers, of all and of those near its
size. Eta is the ratio of the next rung's step to this one's, but at least 2. Those with nobody ahead go first, the others follow by
ahead / peers. The rule is asked anew whenever a job is made, so nobody waits for a rung to fill; and at the end of a search no trial is
left behind that is not beaten by another with as few parameters at its own step.

This is ASHA (Li et al. 2020, arXiv 1810.05934) with three changes. ASHA compares with everyone at the rung, which would stop
every small adapter that is the best of its size. Compared only with those that are not larger, most large adapters would pass by
their size alone, hence the near peers; `benchmarks/promotion.py` measures what they save. And ASHA rounds 1/eta of a rung down to
nobody while the rung is small, which would keep the smallest trials, whose peers are always few, from ever reaching the last rung
although they are part of the curve.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...spaces.space import Training

SIMILAR = 4  # trials are near in size that use at least one in so many of a trial's parameters, and no more than it
LEAST = 2.0  # rungs closer together than doubling would promote nearly everybody
ROOM = 64  # results that a rung has room for at first; twice as many whenever it is full
NONE = -1  # the row of a trial that has none

Integers = NDArray[np.int64]
Counts = NDArray[np.int32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Cell = TypeVar("Cell", bound=np.generic)


def rungs_of(training: Training) -> tuple[int, ...]:
    """Return the steps at which trials are compared, ascending; the last is `training.steps`."""
    return (*sorted({rung for rung in training.rungs if 0 < rung < training.steps}), training.steps)


def ratios(rungs: Sequence[int]) -> dict[int, float]:
    """Return eta per rung: by how much the next rung is longer, at least `LEAST`; infinite at the last, which nobody leaves."""
    steps = {low: max(LEAST, high / low) for low, high in pairwise(rungs)}
    return {**steps, rungs[-1]: math.inf}


@dataclass(frozen=True)
class Standing:
    """A trial's place at a rung."""

    ahead: int
    peers: int
    near_ahead: int
    near: int


class Rung:
    """The results at one step, a row each, and how every trial stands among them.

    A result that comes or is withdrawn is compared with each of the others once, and who may go on is asked of all rows: O(n) in
    numpy, 0.3 ms with 50,000 results.
    """

    def __init__(self, *, eta: float) -> None:
        self.eta = eta
        self._rows: Counts = np.full(ROOM, NONE, np.int32)  # trial -> its row, unless withdrawn
        self._gone: Mask = np.zeros(ROOM, np.bool_)  # trial -> whether it went on
        self._entered = self._used = 0
        self._sizes: Integers = np.zeros(ROOM, np.int64)
        self._scores: Floats = np.zeros(ROOM)
        self._trials: Counts = np.zeros(ROOM, np.int32)
        self._here: Mask = np.zeros(ROOM, np.bool_)  # not withdrawn
        self._waiting: Mask = np.zeros(ROOM, np.bool_)  # here, and not gone on
        self._standings: Counts = np.zeros((4, ROOM), np.int32)  # ahead, peers, near ahead, near: as in `Standing`
        self._ready: list[int] | None = []  # None: to be found out anew

    def __len__(self) -> int:
        return self._entered

    def add(self, trial: int, *, size: int, score: float) -> None:
        """Enter a trial's result. Of equal scores the smaller one is ahead, then the earlier trial."""
        self._make_room(self._used + 1, trial + 1)
        row, self._used, self._entered = self._used, self._used + 1, self._entered + 1
        self._rows[trial], self._ready = row, None
        self._trials[row], self._sizes[row], self._scores[row] = trial, size, score
        self._standings[:, : self._used] += self._counted_by(row)
        self._here[row], self._waiting[row] = True, not self._gone[trial]
        self._standings[:, row] = self._count(row)

    def load(self, trials: ArrayLike, *, sizes: ArrayLike, scores: ArrayLike, gone: ArrayLike) -> None:
        """Enter many trials' results at once into an empty rung, as `add` one after the other and `take` of those `gone` would."""
        numbers, left = np.asarray(trials, np.int64), np.asarray(gone, np.int64)
        count = len(numbers)
        self._make_room(count, 1 + max(numbers.max(initial=0), left.max(initial=0)))
        self._rows[numbers], self._gone[left] = np.arange(count), True
        self._used, self._entered, self._ready = count, count, None
        self._trials[:count], self._sizes[:count], self._scores[:count] = numbers, sizes, scores
        self._here[:count], self._waiting[:count] = True, ~self._gone[numbers]
        self._standings[:, :count] = _standings(self._sizes[:count], self._scores[:count], numbers)

    def standing(self, trial: int) -> Standing:
        """Return a trial's place among all results so far."""
        return Standing(*self._standings[:, self._rows[trial]].tolist())

    def ready(self) -> list[int]:
        """Return the trials that may go on now, best first."""
        if self._ready is None:
            self._ready = [] if math.isinf(self.eta) else self._scan()
        return self._ready

    def take(self, trial: int) -> None:
        """Note that a trial goes on: it is not offered again, and stays a peer of the others."""
        self._make_room(0, trial + 1)
        self._gone[trial] = True
        if self._rows[trial] != NONE:
            self._waiting[self._rows[trial]], self._ready = False, None

    def withdraw(self, trial: int) -> None:
        """Forget a trial that failed further on: it is neither offered again nor anybody's peer."""
        row = int(self._rows[trial]) if trial < len(self._rows) else NONE
        if row != NONE:
            self._standings[:, : self._used] -= self._counted_by(row)
            self._here[row] = self._waiting[row] = False
            self._rows[trial], self._entered, self._ready = NONE, self._entered - 1, None

    def _scan(self) -> list[int]:
        """The rule, of all rows at once."""
        ahead, peers, near_ahead, near = self._standings[:, : self._used]
        top = ((ahead + 1) * self.eta <= peers) & ((near_ahead + 1) * self.eta <= near)
        rows = np.flatnonzero(self._waiting[: self._used] & ((ahead == 0) | top))
        order = np.lexsort((self._trials[rows], -peers[rows], ahead[rows] / peers[rows]))  # the last counts most
        return [int(trial) for trial in self._trials[rows[order]]]

    def _count(self, row: int) -> Integers:
        """How a trial stands among all that are here."""
        sizes, scores, trials = self._sizes[: self._used], self._scores[: self._used], self._trials[: self._used]
        size, score, trial = sizes[row], scores[row], trials[row]
        peers = self._here[: self._used] & (sizes <= size)
        near = peers & (sizes * SIMILAR >= size)
        ahead = (scores > score) | ((scores == score) & ((sizes < size) | (trials < trial)))
        counts: Integers = np.stack((ahead & peers, peers, ahead & near, near)).sum(axis=1)
        return counts

    def _counted_by(self, row: int) -> Mask:
        """Whose ahead, peers, near ahead and near a trial is among: the same comparison seen from the others."""
        sizes, scores, trials = self._sizes[: self._used], self._scores[: self._used], self._trials[: self._used]
        size, score, trial = sizes[row], scores[row], trials[row]
        peer = sizes >= size
        near = peer & (sizes <= size * SIMILAR)
        ahead = (scores < score) | ((scores == score) & ((sizes > size) | (trials > trial)))
        return np.stack((ahead & peer, peer, ahead & near, near))

    def _make_room(self, rows: int, numbers: int) -> None:
        """See to room for so many rows, and for trials of so many numbers."""
        if rows > len(self._trials):
            self._sizes, self._scores, self._trials = _longer(self._sizes, rows), _longer(self._scores, rows), _longer(self._trials, rows)
            self._here, self._waiting = _longer(self._here, rows), _longer(self._waiting, rows)
            self._standings = _longer(self._standings, rows)
        if numbers > len(self._rows):
            self._rows, self._gone = _longer(self._rows, numbers, fill=NONE), _longer(self._gone, numbers)


def _standings(sizes: Integers, scores: Floats, trials: Integers) -> Integers:
    """`Rung._count` of every row, (4, rows): how many of the better ones are no larger, by one count of all pairs of ranks."""
    order = np.lexsort((trials, sizes, -scores))  # the best first
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    by_size = np.sort(sizes)
    peers = np.searchsorted(by_size, sizes, side="right")
    smaller = np.searchsorted(by_size, -(-sizes // SIMILAR), side="left")  # those too small to be near
    better = _Better(np.searchsorted(by_size, sizes[order], side="left"))
    ahead, ahead_smaller = better.count(rank, below=peers), better.count(rank, below=smaller)
    return np.stack((ahead, peers, ahead - ahead_smaller, peers - smaller))


class _Better:
    """Of values in an order, counts those among the first `ranks` that are less than `below`: a wavelet matrix, O(log n) a count."""

    def __init__(self, values: Integers) -> None:
        self._levels: list[tuple[int, Integers]] = []
        for bit in reversed(range(int(values.max(initial=0)).bit_length())):
            ones = (values >> bit) & 1
            self._levels.append((bit, np.concatenate(([0], np.cumsum(1 - ones)))))  # zeros before each place
            values = np.concatenate((values[ones == 0], values[ones == 1]))
        self._most = 1 << len(self._levels)

    def count(self, ranks: Integers, *, below: Integers) -> Integers:
        first, last = np.zeros_like(ranks), ranks.copy()
        found = np.where(below >= self._most, ranks, 0)
        for bit, zeros in self._levels:
            before, until = zeros[first], zeros[last]
            one = ((below >> bit) & 1).astype(np.bool_)
            found += np.where(one & (below < self._most), until - before, 0)
            first = np.where(one, zeros[-1] + first - before, before)
            last = np.where(one, zeros[-1] + last - until, until)
        return found


def _longer(column: NDArray[Cell], least: int, *, fill: int = 0) -> NDArray[Cell]:
    """The same with at least as much room again behind it."""
    room = max(least, 2 * column.shape[-1]) - column.shape[-1]
    return np.concatenate((column, np.full((*column.shape[:-1], room), fill, column.dtype)), axis=-1)


Ladder = Mapping[int, Rung]


def ladder(rungs: Sequence[int]) -> dict[int, Rung]:
    """Return an empty rung per step."""
    return {step: Rung(eta=eta) for step, eta in ratios(rungs).items()}


Arrived = tuple[Integers, Integers, Floats]
"""Trials, sizes and scores of the results at a step, in the order they came."""


def refill(ladder: Mapping[int, Rung], arrived: Mapping[int, Arrived], *, failed: Collection[int]) -> None:
    """Enter into empty rungs what earlier commands left, by step; the failed have no place, others went on."""
    reached = np.zeros(1 + max((trials.max(initial=0) for trials, _, _ in arrived.values()), default=0), np.int64)
    for step in sorted(arrived):
        reached[arrived[step][0]] = step
    for step, rung in ladder.items():
        trials, sizes, scores = arrived[step]
        here = ~np.isin(trials, list(failed))
        rung.load(trials[here], sizes=sizes[here], scores=scores[here], gone=np.flatnonzero(reached > step))
