"""What a study remembers: its records, indexed so that nothing grows dearer with their number."""

import math
from collections import Counter, deque
from collections.abc import Callable

from ...spaces.records import Problem, Result, Split, Trial

ATTEMPTS = 3  # a trial with this many problems is failed
RECENT = 32  # failures that the sampler is told of


class TrialRecords:
    """Trials, results and problems. The first result for a (trial, step, split) counts, later ones are ignored."""

    def __init__(self, *, on_result: Callable[[Trial, Result], None], on_failure: Callable[[Trial], None]) -> None:
        """`on_result` hears of validation results of search trials, `on_failure` of trials given up."""
        self.trials: dict[int, Trial] = {}
        self.results: list[Result] = []
        self.latest: dict[int, Result] = {}
        """Trial -> its validation result at its highest step."""
        self.strikes: Counter[int] = Counter()
        self.failed: dict[int, str] = {}
        """Failed trial -> why."""
        self.searched_results: list[Result] = []
        """Validation results of search trials."""
        self.searched = 0
        """How many search trials there are."""
        self.identities: set[tuple[object, ...]] = set()
        self._keys: set[tuple[int, int, Split]] = set()
        self._failures: deque[int] = deque(maxlen=RECENT)
        self._highest = -1
        self._on_result = on_result
        self._on_failure = on_failure

    @property
    def next_number(self) -> int:
        """The number of the next new trial: one above the highest."""
        return self._highest + 1

    def add_trial(self, trial: Trial) -> None:
        """Enter a trial, once."""
        if trial.number in self.trials:
            return
        self.trials[trial.number] = trial
        self._highest = max(self._highest, trial.number)
        if trial.purpose == "search":
            self.searched += 1
            self.identities.add((trial.method, tuple(sorted(trial.hyperparameters.items())), trial.seed))

    def add_result(self, result: Result) -> None:
        """Enter a result; one that is known already is ignored, one whose score is no number fails its trial."""
        key = (result.trial, result.step, result.split)
        if key in self._keys:
            return
        self._keys.add(key)
        self.results.append(result)
        if not math.isfinite(result.score):
            self.fail(result.trial, f"the {result.split} score at step {result.step} is {result.score}")
        elif result.split == "validation":
            self._advance(result)

    def add_problem(self, problem: Problem) -> None:
        """Enter a problem; the third one, or a fatal one, fails the trial."""
        self.strike(problem.trial, problem.error, fatal=problem.fatal)

    def strike(self, trial: int, error: str, *, fatal: bool = False) -> None:
        """Count an attempt at a trial that came to nothing."""
        self.strikes[trial] += 1
        if fatal or self.strikes[trial] >= ATTEMPTS:
            self.fail(trial, error)

    def fail(self, trial: int, error: str) -> None:
        """Give a trial up."""
        if trial not in self.failed:
            self.failed[trial] = error
            self._failures.append(trial)
            self._on_failure(self.trials[trial])

    def has(self, trial: int, step: int, split: Split) -> bool:
        """Whether this result is known."""
        return (trial, step, split) in self._keys

    def failures(self) -> list[Trial]:
        """Return the latest failed search trials without any result."""
        return [self.trials[n] for n in self._failures if self.trials[n].purpose == "search" and n not in self.latest]

    def step(self, trial: int) -> int:
        """Return how far a trial has come: the step of its latest result, 0 before the first."""
        return self.latest[trial].step if trial in self.latest else 0

    def _advance(self, result: Result) -> None:
        trial = self.trials[result.trial]
        if result.step > self.step(trial.number):
            self.latest[trial.number] = result
        if trial.purpose == "search":
            self.searched_results.append(result)
            self._on_result(trial, result)
