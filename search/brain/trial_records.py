"""What a study remembers: its records, indexed so that nothing grows dearer with their number."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...dashboards.frontier import unbeaten
from ...spaces.attempts import verdict
from ...spaces.records import Problem, Result, Split, Trial
from ...spaces.space import Size
from .finals import UNNUMBERED
from .result_table import ResultTable, Rows, distinct, longer
from .search_space import Proposal

RECENT = 32  # failures that the sampler is told of


@dataclass(frozen=True)
class Change:
    """What a record changed, for the study to act on."""

    scored: bool = False
    """A search trial has a validation score that it did not have."""
    failed: bool = False
    """A trial was given up."""


@dataclass(frozen=True)
class Progress:
    """How far a study is, in trials, finals included once they are known."""

    planned: int
    done: int
    """With at least one result, neither running nor failed."""
    running: int
    failed: int


class TrialRecords:
    """Trials, results and problems. The first result for a (trial, step, split) counts, later ones are ignored."""

    def __init__(self, tried: Callable[[Trial], Proposal] = Proposal.of) -> None:
        """`tried` says what a trial tries, as proposals have it."""
        self._tried = tried
        self.trials: dict[int, Trial] = {}
        self.results = ResultTable()
        self.latest: dict[int, int] = {}
        """Trial -> the highest step at which it has a validation score."""
        self.attempts: Counter[int] = Counter()
        """Trial -> how many attempts at it came to nothing."""
        self.failed: dict[int, str] = {}
        """Failed trial -> why."""
        self.search_trials = 0
        """How many search trials there are."""
        self.tried: set[tuple[object, ...]] = set()
        """The identities of the search trials, as proposals have them."""
        self._of_method: Counter[str] = Counter()  # method -> how many of these are its own
        self._problems: dict[int, list[Problem]] = defaultdict(list)
        self._seen: dict[int, int] = {}  # trial -> its results, a bit each
        self._bits: dict[tuple[int, bool], int] = {}  # step and split -> the bit of a result there
        self._parameters: NDArray[np.int64] = np.zeros(0, np.int64)  # by trial
        self._searches: NDArray[np.bool_] = np.zeros(0, np.bool_)  # by trial
        self._failures: deque[int] = deque(maxlen=RECENT)
        self._highest = -1

    def add_trial(self, trial: Trial) -> None:
        """Enter a trial, once."""
        if trial.number in self.trials:
            return
        self.trials[trial.number] = trial
        self._highest = max(self._highest, trial.number)
        if trial.number >= len(self._searches):
            self._parameters, self._searches = longer(self._parameters, trial.number + 1), longer(self._searches, trial.number + 1)
        self._parameters[trial.number], self._searches[trial.number] = trial.parameters, trial.purpose == "search"
        if trial.purpose == "search":
            self.search_trials += 1
            identity = self._tried(trial).identity
            self._of_method[trial.method] += identity not in self.tried
            self.tried.add(identity)

    def tried_of(self, methods: Iterable[str]) -> int:
        """Return how many identities are of these methods."""
        return sum(self._of_method[name] for name in methods)

    def add_result(self, result: Result) -> Change:
        """Enter a result; one that is known already is ignored, one whose score is no number fails its trial."""
        if self.has(result.trial, result.step, result.split):
            return Change()
        self._see([result.trial], result.step, test=result.split == "test")
        self.results.append(result)
        if not math.isfinite(result.score):
            return self._fail_at(result)
        return self._advance(result) if result.split == "validation" else Change()

    def load(self, results: ResultTable, *, steps: Iterable[int]) -> dict[int, Rows]:
        """Enter the results of earlier commands into empty records, as `add_result` one after the other would.

        Returns the rows of what was scored at each of these steps.
        """
        self.results = results = distinct(results)
        trials, reached, tests, scores = (results.column(name) for name in ("trial", "step", "test", "score"))
        for step in np.unique(reached).tolist():
            for test in (False, True):
                self._see(trials[(reached == step) & (tests == test)].tolist(), step, test=test)
        for one in results.at(np.flatnonzero(~np.isfinite(scores))):
            self._fail_at(one)
        validated = np.isfinite(scores) & ~tests
        highest = np.zeros(self._highest + 1, np.int64)
        np.maximum.at(highest, trials[validated], reached[validated])
        self.latest = {number: highest[number].item() for number in np.flatnonzero(highest).tolist()}
        scored = validated & self._searches[trials]
        return {step: np.flatnonzero(scored & (reached == step)) for step in steps}

    def places(self, rows: Rows, *, size: Size) -> tuple[Rows, Rows, NDArray[np.float64]]:
        """Return the trials whose results are in these rows, their sizes and their scores."""
        return self.results.column("trial")[rows], self.sizes(rows, size=size), self.results.column("score")[rows]

    def sizes(self, rows: Rows, *, size: Size) -> Rows:
        """Return the sizes of the trials whose results are in these rows."""
        return self.results.column("bytes")[rows] if size == "bytes" else self._parameters[self.results.column("trial")[rows]]

    def highest(self) -> Rows:
        """Return the rows of the search trials' validation scores at the highest step that one has reached."""
        trials, steps, tests, scores = (self.results.column(name) for name in ("trial", "step", "test", "score"))
        searched = np.isfinite(scores) & ~tests & self._searches[trials]
        return np.flatnonzero(searched & (steps == steps[searched].max(initial=0)))

    def front(self, *, size: Size) -> list[Result]:
        """Return those of them that are on the frontier, smallest first."""
        rows = self.highest()
        trials, sizes, scores = self.places(rows, size=size)
        return self.results.at(rows[unbeaten(sizes, scores, trials)])

    def add_problem(self, problem: Problem) -> Change:
        """Enter an attempt that came to nothing; it may be the one at which the trial is given up."""
        self.attempts[problem.trial] += 1
        self._problems[problem.trial].append(problem)
        why = verdict(self._problems[problem.trial])
        return Change() if why is None else self._fail(problem.trial, why)

    def has(self, trial: int, step: int, split: Split) -> bool:
        """Whether this result is known."""
        return bool(self._seen.get(trial, 0) & self._bits.get((step, split == "test"), 0))

    def failures(self) -> list[Trial]:
        """Return the latest failed search trials without any result."""
        return [self.trials[n] for n in self._failures if self.trials[n].purpose == "search" and n not in self.latest]

    def step(self, trial: int) -> int:
        """Return how far a trial has come: the step of its latest result, 0 before the first."""
        return self.latest.get(trial, 0)

    def numbered(self, trials: Iterable[Trial]) -> tuple[Trial, ...]:
        """Return trials with numbers, from one above the highest, for those that have none; enters nothing."""
        number, found = self._highest, list[Trial]()
        for trial in trials:
            number += trial.number == UNNUMBERED
            found.append(replace(trial, number=number) if trial.number == UNNUMBERED else trial)
        return tuple(found)

    def _see(self, trials: Iterable[int], step: int, *, test: bool) -> None:
        bit = self._bits.setdefault((step, test), 1 << len(self._bits))
        for trial in trials:
            self._seen[trial] = self._seen.get(trial, 0) | bit

    def _fail_at(self, result: Result) -> Change:
        return self._fail(result.trial, f"the {result.split} score at step {result.step} is {result.score}")

    def _fail(self, trial: int, error: str) -> Change:
        if trial in self.failed:
            return Change()
        self.failed[trial] = error
        self._failures.append(trial)
        return Change(failed=True)

    def _advance(self, result: Result) -> Change:
        self.latest[result.trial] = max(self.step(result.trial), result.step)
        return Change(scored=self.trials[result.trial].purpose == "search")
