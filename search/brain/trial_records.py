"""What a study remembers: its records, indexed so that nothing grows dearer with their number."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ...spaces.attempts import verdict
from ...spaces.records import Problem, Result, Split, Trial
from .finals import UNNUMBERED
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
        self.results: list[Result] = []
        self.latest: dict[int, Result] = {}
        """Trial -> its validation result at its highest step."""
        self.attempts: Counter[int] = Counter()
        """Trial -> how many attempts at it came to nothing."""
        self.failed: dict[int, str] = {}
        """Failed trial -> why."""
        self.search_trials = 0
        """How many search trials there are."""
        self.search_results: list[Result] = []
        """Their validation results."""
        self.tried: set[tuple[object, ...]] = set()
        """The identities of the search trials, as proposals have them."""
        self._problems: dict[int, list[Problem]] = defaultdict(list)
        self._keys: set[int] = set()
        self._failures: deque[int] = deque(maxlen=RECENT)
        self._highest = -1

    def add_trial(self, trial: Trial) -> None:
        """Enter a trial, once."""
        if trial.number in self.trials:
            return
        self.trials[trial.number] = trial
        self._highest = max(self._highest, trial.number)
        if trial.purpose == "search":
            self.search_trials += 1
            self.tried.add(self._tried(trial).identity)

    def add_result(self, result: Result) -> Change:
        """Enter a result; one that is known already is ignored, one whose score is no number fails its trial."""
        key = _key(result.trial, result.step, result.split)
        if key in self._keys:
            return Change()
        self._keys.add(key)
        self.results.append(result)
        if not math.isfinite(result.score):
            return self._fail(result.trial, f"the {result.split} score at step {result.step} is {result.score}")
        return self._advance(result) if result.split == "validation" else Change()

    def add_problem(self, problem: Problem) -> Change:
        """Enter an attempt that came to nothing; it may be the one at which the trial is given up."""
        self.attempts[problem.trial] += 1
        self._problems[problem.trial].append(problem)
        why = verdict(self._problems[problem.trial])
        return Change() if why is None else self._fail(problem.trial, why)

    def has(self, trial: int, step: int, split: Split) -> bool:
        """Whether this result is known."""
        return _key(trial, step, split) in self._keys

    def failures(self) -> list[Trial]:
        """Return the latest failed search trials without any result."""
        return [self.trials[n] for n in self._failures if self.trials[n].purpose == "search" and n not in self.latest]

    def step(self, trial: int) -> int:
        """Return how far a trial has come: the step of its latest result, 0 before the first."""
        return self.latest[trial].step if trial in self.latest else 0

    def numbered(self, trials: Iterable[Trial]) -> tuple[Trial, ...]:
        """Return trials with numbers, from one above the highest, for those that have none; enters nothing."""
        number, found = self._highest, list[Trial]()
        for trial in trials:
            number += trial.number == UNNUMBERED
            found.append(replace(trial, number=number) if trial.number == UNNUMBERED else trial)
        return tuple(found)

    def _fail(self, trial: int, error: str) -> Change:
        if trial in self.failed:
            return Change()
        self.failed[trial] = error
        self._failures.append(trial)
        return Change(failed=True)

    def _advance(self, result: Result) -> Change:
        if result.step > self.step(result.trial):
            self.latest[result.trial] = result
        if self.trials[result.trial].purpose != "search":
            return Change()
        self.search_results.append(result)
        return Change(scored=True)


def _key(trial: int, step: int, split: Split) -> int:
    """One number for a result: a tenth of a tuple's memory, in a set of a million."""
    return (trial << 33) | (step << 1) | (split == "test")
