"""What a job costs: a fixed part, a part per step and trained trial-step, one per row scored and answer written, fitted as jobs come back.

    seconds = c · x,   c >= 0,   x = (1, steps, trials · steps, trials · rows, trials · answers, 1 if the worker was cold)

Least squares with errors in proportion to the cost, outliers weighed down (Huber 1964), older jobs forgotten by and by, and every
coefficient held to what is expected of it by one observation's weight, so that jobs that are all alike do not leave them open. All of one
worker's time: how many there are is no part of it.

A job of light trials alone, which make no passes of their own, costs what the last such jobs did: closed forms and kept states follow no
step. The first of them makes a pass over the training rows that they look at.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ...spaces.records import Split
from ..brain.time_left import HIGH, Estimate, Work
from .writing_cost import NONE, Writes

Floats = NDArray[np.float64]

KEPT = 200
"""Jobs that are remembered."""
LIGHT = 8
"""Light jobs that are remembered: the first one looks at all training rows, and should be forgotten when others are known."""
FADING = 0.97
"""What a job weighs less with each one that came back after it."""
SPREAD = 0.25
"""Standard deviation of a job's cost as a share of it, before jobs say otherwise..."""
SPREAD_WEIGHT = 4.0
"""...which is worth so many jobs."""
DOUBT = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 3.0])
"""How far each coefficient may be from what is expected, as a share of that: a standard deviation."""
FLOOR = 0.05
"""The least share that costs vary by, however well the jobs so far agree."""
HUBER = 1.5
"""Standard deviations from which on a job counts less."""


@dataclass(frozen=True)
class Expected:
    """The coefficients before any job came back, in seconds, and whether they were measured or are a mere guess."""

    fixed: float = 0.5
    step: float = 0.01
    trial_step: float = 0.05
    row: float = 0.0005
    cold: float = 6.0
    measured: bool = False

    @classmethod
    def of(cls, rate: float, *, batch: int) -> "Expected":
        """Of a worker that makes so many trial-steps a second; a row is scored in half the time that it is trained in."""
        return cls(step=0.2 / rate, trial_step=1 / rate, row=0.5 / (rate * batch), measured=True)

    def vector(self, answer: float) -> Floats:
        """In the order of x, for answers of so many seconds."""
        return np.array([self.fixed, self.step, self.trial_step, self.row, answer, self.cold])


@dataclass
class JobCosts:
    """The costs of the jobs of one study on one kind of worker.

    `rows` are those of each split that trials are scored on, `looked` how many training rows light trials want the states of.
    """

    rows: Mapping[Split, int]
    expected: Expected = Expected()
    writes: Writes = NONE
    looked: int = 0
    _jobs: deque[tuple[Floats, float]] = field(default_factory=lambda: deque(maxlen=KEPT))

    _light: deque[tuple[tuple[Split, ...], float]] = field(default_factory=lambda: deque(maxlen=LIGHT))

    def add(self, work: Work, seconds: float, *, cold: bool = False) -> None:
        """Learn from a job that came back; `cold`: its worker had to start and to load the model first."""
        if not work.trials:
            self._light.append((work.splits, max(seconds - cold * self.loading.mean, 1e-3)))
            return
        self._jobs.append((self._features(work, cold=cold), max(seconds, 1e-3)))
        self.__dict__.pop("_fit", None)

    def price(self, work: Work, *, cold: bool = False) -> Estimate:
        """Return what a job will take."""
        return self._price(self._features(work, cold=cold)) if work.trials else self._light_price(work, cold=cold)

    def _light_price(self, work: Work, *, cold: bool) -> Estimate:
        """The median of the last, and at worst their largest; before any of these splits, one look at their rows and what others took.

        Before any at all, one at the training rows, too.
        """
        own = [seconds for splits, seconds in self._light if splits == work.splits]
        taken = own or [seconds for _, seconds in self._light]
        middle = float(np.median(taken)) if taken else 0.0
        last = Estimate(middle, own=(max(taken, default=0.0) - middle) / HIGH)
        if own:
            return last + self.loading if cold else last
        unread = set(work.splits).difference(*(splits for splits, _ in self._light))
        rows = sum(self.rows[split] for split in unread) + (0 if taken else self.looked)
        return self._price(np.array([1.0, 0.0, 0.0, rows, 0.0, float(cold)])) + last

    def _price(self, x: Floats) -> Estimate:
        fit = self._fit
        mean = float(x @ fit.coefficients)
        return Estimate(mean, common=float(np.sqrt(x @ fit.covariance @ x)), own=fit.spread * mean)

    @property
    def known(self) -> bool:
        """Whether costs are more than a guess."""
        return self.expected.measured or bool(self._jobs)

    @property
    def loading(self) -> Estimate:
        """What a cold worker takes before it can start."""
        mean = float(self._fit.coefficients[-1])
        return Estimate(mean, common=float(np.sqrt(self._fit.covariance[-1, -1])))

    def _features(self, work: Work, *, cold: bool) -> Floats:
        rows = sum(self.rows[split] for split in work.splits)
        answers = work.trials * self.writes.answers(work)
        return np.array([1.0, work.steps * bool(work.trials), work.trials * work.steps, work.trials * rows, answers, float(cold)])

    @cached_property
    def _fit(self) -> "Fit":
        if not self._jobs:
            return Fit.before(self.expected.vector(self.writes.seconds))
        features, seconds = np.array([x for x, _ in self._jobs]), np.array([y for _, y in self._jobs])
        return fit(features, seconds, expected=self._scaled(features, seconds))

    def _scaled(self, features: Floats, seconds: Floats) -> Floats:
        """What is expected, brought to the scale of what came back.

        How long loading takes is open, so a job of a cold worker only says that the rest takes no longer than all of it did; and where
        nothing else has come back to go by, a mere guess takes its scale from that, too.
        """
        vector, cold = self.expected.vector(self.writes.seconds), features[:, -1] > 0
        warm = seconds / (features[:, :-1] @ vector[:-1])
        ratios = np.log(warm[~cold | (warm < 1)])
        if not len(ratios) and not self.expected.measured:
            ratios = np.log(seconds / (features @ vector))
        scale = float(np.exp(np.median(ratios))) if len(ratios) else 1.0
        scaled: Floats = vector * np.array([scale, scale, scale, scale, scale, 1.0])
        return scaled


@dataclass(frozen=True)
class Fit:
    """Coefficients, how far they may be off, and by what share of it a job's cost varies."""

    coefficients: Floats
    covariance: Floats
    spread: float

    @classmethod
    def before(cls, expected: Floats) -> "Fit":
        """Nothing but what is expected."""
        return cls(expected, np.diag((0.5 * expected) ** 2), SPREAD)


def fit(features: Floats, seconds: Floats, *, expected: Floats) -> Fit:
    """Return the coefficients, none below 0, of `features` (jobs, parts) to `seconds`, the latest last."""
    age = FADING ** np.arange(len(seconds))[::-1]
    coefficients, spread, trust = expected, SPREAD, np.ones(len(seconds))
    hold = 1 / (DOUBT * expected)
    held, wished = np.diag(hold), hold * expected
    for _ in range(5):
        scale = np.sqrt(age * trust) / (spread * np.maximum(features @ coefficients, 0.5 * seconds))
        design, target = np.vstack([features * scale[:, None], held]), np.concatenate([seconds * scale, wished])
        coefficients = nnls(design, target)[0]
        off = np.abs(seconds / np.maximum(features @ coefficients, 1e-9) - 1)
        spread = float(np.sqrt((age @ np.minimum(off, 1.0) ** 2 + SPREAD_WEIGHT * SPREAD**2) / (age.sum() + SPREAD_WEIGHT)))
        spread = max(FLOOR, spread)
        trust = np.minimum(1.0, HUBER * spread / np.maximum(off, 1e-9))
    covariance: Floats = np.linalg.inv(design.T @ design).astype(np.float64)
    return Fit(coefficients, covariance, spread)
