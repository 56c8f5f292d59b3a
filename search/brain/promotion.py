"""Who gets more steps.

The rule. Trials meet at rungs, the steps of `training.rungs`. A trial with a result at a rung is compared with its peers: the
trials with a result at the same step that use no more parameters, itself included. `ahead` of them score better. Those of
them that use at least a quarter of its parameters are `near`, and `near_ahead` of these score better. It may go on to the next rung when

    ahead = 0    or    (ahead + 1) · eta <= peers and (near_ahead + 1) · eta <= near

that is, when no trial with as few parameters beats it, or when it is in the top 1/eta of its peers, of all and of those near its
size. Eta is the ratio of the next rung's step to this one's, but at least 2. Those with nobody ahead go first, the others follow by
ahead / peers. The rule is asked again whenever another result at the rung could have changed the answer, so nobody waits for a rung
to fill; and at the end of a search no trial is left behind that is not beaten by another with as few parameters at its own step.

This is ASHA (Li et al. 2020, arXiv 1810.05934) with three changes. ASHA compares with everyone at the rung, which would stop
every small adapter that is the best of its size. Compared only with those that are not larger, most large adapters would pass by
their size alone, hence the near peers; `benchmarks/promotion.py` measures what they save. And ASHA rounds 1/eta of a rung down to
nobody while the rung is small, which would keep the smallest trials, whose peers are always few, from ever reaching the last rung
although they are part of the curve.
"""

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...spaces.space import Training

Key = tuple[float, int, int]

SIMILAR = 4  # trials are near in size that use at least one in so many of a trial's parameters, and no more than it
LEAST = 2.0  # rungs closer together than doubling would promote nearly everybody


def rungs_of(training: Training) -> tuple[int, ...]:
    """Return the steps at which trials are compared, ascending; the last is `training.steps`."""
    return (*sorted({rung for rung in training.rungs if 0 < rung < training.steps}), training.steps)


def ratios(rungs: Sequence[int]) -> dict[int, float]:
    """Return eta per rung: by how much the next rung is longer, at least `LEAST`; infinite at the last, which nobody leaves."""
    steps = {low: max(LEAST, high / low) for low, high in pairwise(rungs)}
    return {**steps, rungs[-1]: math.inf}


class Ranking:
    """How many trials use no more parameters, and how many of these score better; both in O(log budget · log n).

    A Fenwick tree over parameter counts whose nodes are sorted lists of scores.
    """

    def __init__(self) -> None:
        self._size = 1
        self._nodes: dict[int, list[Key]] = {}

    def add(self, parameters: int, key: Key) -> None:
        """Enter a trial."""
        while parameters > self._size:
            self._double()
        while parameters <= self._size:
            insort(self._nodes.setdefault(parameters, []), key)
            parameters += parameters & -parameters

    def remove(self, parameters: int, key: Key) -> None:
        """Take out a trial that was entered."""
        while parameters <= self._size:
            node = self._nodes[parameters]
            del node[bisect_left(node, key)]
            parameters += parameters & -parameters

    def count(self, parameters: int, key: Key) -> tuple[int, int]:
        """Return (ahead, peers) of a trial among those entered."""
        ahead = peers = 0
        parameters = min(parameters, self._size)
        while parameters:
            node = self._nodes.get(parameters, ())
            peers += len(node)
            ahead += len(node) - bisect_right(node, key)
            parameters -= parameters & -parameters
        return ahead, peers

    def _double(self) -> None:
        if self._size in self._nodes:
            self._nodes[2 * self._size] = list(self._nodes[self._size])
        self._size *= 2


@dataclass(frozen=True)
class Standing:
    """A trial's place at a rung."""

    ahead: int
    peers: int
    near_ahead: int
    near: int

    def promotable(self, eta: float) -> bool:
        """Whether nobody is ahead, or the trial is in the top 1/eta of its peers, of all and of those near its size."""
        return self.ahead == 0 or self.earliest(eta) <= 0

    def earliest(self, eta: float) -> int:
        """Return after how many more results at the rung a trial that is not promotable could be, at best."""
        return max(math.ceil((self.ahead + 1) * eta) - self.peers, math.ceil((self.near_ahead + 1) * eta) - self.near)


class Rung:
    """The results at one step. Each new one costs O(log n) looks at trials whose answer it could have changed."""

    def __init__(self, *, eta: float) -> None:
        self.eta = eta
        self._ranking = Ranking()
        self._places: dict[int, tuple[int, Key]] = {}
        self._ready: set[int] = set()
        self._gone: set[int] = set()
        self._unsure = False
        self._added = 0
        self._later: list[tuple[int, int]] = []
        """Heap of (number of results added at which to look again, trial)."""

    def __len__(self) -> int:
        return len(self._places)

    def add(self, trial: int, *, parameters: int, score: float) -> None:
        """Enter a trial's result. Of equal scores the one with fewer parameters is ahead, then the earlier trial."""
        key = (score, -parameters, -trial)
        self._places[trial] = (parameters, key)
        self._ranking.add(parameters, key)
        self._added += 1
        if math.isfinite(self.eta):
            heapq.heappush(self._later, (self._added, trial))
            self._look_again()

    def standing(self, trial: int) -> Standing:
        """Return a trial's place among all results so far."""
        parameters, key = self._places[trial]
        ahead, peers = self._ranking.count(parameters, key)
        far_ahead, far = self._ranking.count((parameters - 1) // SIMILAR, key)
        return Standing(ahead, peers, ahead - far_ahead, peers - far)

    def ready(self) -> list[int]:
        """Return the trials that may go on now, best first."""
        standings = {trial: self.standing(trial) for trial in self._ready}
        for trial in [trial for trial, standing in standings.items() if not standing.promotable(self.eta)]:
            self._postpone(trial, standings.pop(trial))
        return sorted(standings, key=lambda trial: (standings[trial].ahead / standings[trial].peers, -standings[trial].peers, trial))

    def take(self, trial: int) -> None:
        """Note that a trial goes on: it is not offered again, and stays a peer of the others."""
        self._ready.discard(trial)
        self._gone.add(trial)

    def withdraw(self, trial: int) -> None:
        """Forget a trial that failed further on: it is neither offered again nor anybody's peer."""
        place = self._places.pop(trial, None)
        if place:
            self._ranking.remove(*place)
            self._ready.discard(trial)
            self._unsure = True

    def review(self) -> None:
        """Look at everybody again if a withdrawal may have let some of them pass. O(n log n), so for the end of a search."""
        if self._unsure:
            self._unsure = False
            self._later = [(0, trial) for trial in self._places]
            self._look_again()

    def _look_again(self) -> None:
        while self._later and self._later[0][0] <= self._added:
            _, trial = heapq.heappop(self._later)
            if trial in self._gone or trial not in self._places:
                continue
            standing = self.standing(trial)
            if standing.promotable(self.eta):
                self._ready.add(trial)
            else:
                self._postpone(trial, standing)

    def _postpone(self, trial: int, standing: Standing) -> None:
        self._ready.discard(trial)
        heapq.heappush(self._later, (self._added + standing.earliest(self.eta), trial))


Ladder = Mapping[int, Rung]


def ladder(rungs: Sequence[int]) -> dict[int, Rung]:
    """Return an empty rung per step."""
    return {step: Rung(eta=eta) for step, eta in ratios(rungs).items()}
