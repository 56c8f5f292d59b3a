"""A search without a model: learning curves that look like real ones, an executor that may fail, and what a search found."""

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ulpt_search.dashboards.frontier import frontier
from ulpt_search.dashboards.points import points
from ulpt_search.search.brain.feasibility import Count, Feasibility, assess, require_feasible
from ulpt_search.search.brain.study import Study
from ulpt_search.spaces.attempts import LOST
from ulpt_search.spaces.axes import Axis, Choice, Float, Hyperparameters, Int, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Job, Outcome, Problem, Result, Split, Trial
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training

WIDTH, LAYERS = 384, 6
DEPTHS = {"all": LAYERS, "last:50%": LAYERS // 2, "last:1": 1}

METHODS: dict[str, dict[str, Axis | Value]] = {
    "ulpt": {
        "dim": Int(2, 256, log=True),
        "prompt_length": Int(4, 32, log=True),
        "lr": Float(3e-3, 0.6, log=True),
        "scale": Choice((True, False)),
        "shift": Choice((True, False)),
    },
    "prompt": {"prompt_length": Int(1, 100, log=True), "lr": Float(1e-3, 0.3, log=True)},
    "lora": {
        "rank": Int(1, 16, log=True),
        "lr": Float(1e-4, 3e-2, log=True),
        "layers": Choice(tuple(DEPTHS)),
        "modules": Choice(("q,v", "v")),
    },
    "bitfit": {"lr": Float(1e-4, 3e-2, log=True), "layers": Choice(tuple(DEPTHS))},
}
BEST_RATE = {"ulpt": 0.05, "prompt": 0.03, "lora": 3e-3, "bitfit": 2e-3}
GAIN = {"ulpt": 0.40, "prompt": 0.30, "lora": 0.46, "bitfit": 0.36}


def count(method: str, values: Hyperparameters) -> int:
    """Trainable elements, with the real methods' formulas on a model of width 384 and six layers."""
    if method not in METHODS:
        raise WrongInput(f"methods.{method}: unknown method")
    if method == "ulpt":
        return int(values["dim"]) * int(values["prompt_length"]) + WIDTH * (bool(values["scale"]) + bool(values["shift"]))
    if method == "prompt":
        return int(values["prompt_length"]) * WIDTH
    depth = DEPTHS[str(values["layers"])]
    if method == "lora":
        return depth * len(str(values["modules"]).split(",")) * int(values["rank"]) * 2 * WIDTH
    return depth * 9 * WIDTH


def space(*, trials: int = 32, rungs: tuple[int, ...] = (25, 50, 100, 200), finalists: int = 2, methods: Iterable[str] = METHODS) -> Space:
    """A space over the simulated methods."""
    chosen = {method: METHODS[method] for method in methods}
    training = Training(steps=rungs[-1], rungs=rungs)
    return Space("simulated", ModelSpec(), TaskSpec(), training, chosen, trials=trials, finalists=finalists)


def methods_that_fit(space: Space, budget: int, count: Count = count) -> dict[str, Feasibility]:
    """What a study is given: the methods of a space that fit under a budget."""
    return require_feasible(assess(space.methods, budget=budget, count=count), budget=budget)


@dataclass(frozen=True)
class Curves:
    """Noisy power laws: accuracy rises as `limit - span · (1 + step/scale)^-power`.

    The limit grows with the logarithm of the count and falls off around the method's best learning rate; a higher rate learns faster
    and ends lower, so rankings cross. `seed` draws the task.
    """

    seed: int = 0
    noise: float = 0.012

    def score(self, trial: Trial, step: int) -> float:
        """The validation score of a trial at a step; the same whenever it is asked for."""
        chance = random.Random(f"{self.seed}/{trial.method}/{sorted(trial.hyperparameters.items())}/{trial.seed}")
        luck, speed = chance.gauss(0, 0.015), math.exp(chance.gauss(0, 0.3))
        wobble = random.Random(f"{chance.random()}/{step}").gauss(0, self.noise)
        return min(1.0, max(0.0, self._value(trial, step, luck=luck, speed=speed) + wobble))

    def truth(self, trial: Trial, step: int) -> float:
        """What the configuration is worth: its score without the noise of rows and the luck of its seed."""
        return self._value(trial, step, luck=0.0, speed=1.0)

    def _value(self, trial: Trial, step: int, *, luck: float, speed: float) -> float:
        rate = math.log10(float(trial.hyperparameters["lr"]) / self._best_rate(trial.method))
        limit = 0.5 + self._gain(trial.method) * (1 - math.exp(-math.log10(max(10, trial.parameters)) / 2.5))
        limit += -0.12 * rate**2 + luck + self._structure(trial)
        scale = 40 * 10 ** (-0.6 * rate) * speed
        return float(limit - (limit - 0.48) * (1 + step / scale) ** -1.2)

    def _best_rate(self, method: str) -> float:
        return float(BEST_RATE[method] * 10 ** random.Random(f"{self.seed}/rate/{method}").uniform(-0.4, 0.4))

    def _gain(self, method: str) -> float:
        return GAIN[method] + random.Random(f"{self.seed}/gain/{method}").uniform(-0.06, 0.06)

    def _structure(self, trial: Trial) -> float:
        """What the layers, modules and switches are worth on this task."""
        named = {name: value for name, value in trial.hyperparameters.items() if isinstance(value, str | bool)}
        return sum(random.Random(f"{self.seed}/{trial.method}/{item}").uniform(-0.04, 0.04) for item in sorted(named.items()))


def adapter(trial: Trial, step: int) -> str:
    """A name for the state of a trial at a step."""
    return hashlib.sha256(f"{trial.number}/{step}".encode()).hexdigest()


@dataclass
class Executor:
    """Runs jobs on simulated curves, and checks that each continues from where its trials are.

    `lose` says whether a job is lost, `fail` whether (and how) a trial fails on its way to a step. A job of more than `limit`
    trials does not fit the memory.
    """

    curves: Curves = field(default_factory=Curves)
    lose: Callable[[Job], bool] = lambda job: False
    fail: Callable[[Trial, int], Problem | None] = lambda trial, step: None
    limit: int | None = None
    trial_steps: int = 0
    jobs: list[Job] = field(default_factory=list)

    def run(self, job: Job) -> Outcome:
        """What a worker would answer."""
        self.jobs.append(job)
        if self.limit is not None and len(job.assignments) > self.limit:
            return Outcome(job.number, pack_limit=max(1, len(job.assignments) // 2))
        if self.lose(job):
            return Outcome(job.number, lost=LOST)
        problems = {a.trial.number: self.fail(a.trial, job.stop) for a in job.assignments}
        results: list[Result] = []
        for one in job.assignments:
            assert one.adapter == (adapter(one.trial, one.start) if one.start else None)
            self.trial_steps += job.stop - one.start
            if problems[one.trial.number] is None:
                results += [self._result(one.trial, job.stop, split) for split in job.splits]
        return Outcome(job.number, tuple(results), tuple(p for p in problems.values() if p))

    def _result(self, trial: Trial, step: int, split: Split) -> Result:
        score = self.curves.score(trial, step)
        return Result(trial.number, step, split, score, 1e-4, 1 - score, 0.1, adapter(trial, step), 4 * trial.parameters)


def drive(study: Study, executor: Executor, *, workers: int = 2, chance: random.Random | None = None, stop_after: int | None = None) -> int:
    """Run a study in a plain loop with jobs coming back in random order; return how many came back."""
    chance = chance or random.Random(0)
    flying: list[Job] = []
    done = 0
    while not study.finished and done != stop_after:
        while len(flying) < workers and (job := study.next_job()):
            flying.append(job)
        assert flying, "a study that is not finished hands out a job when nothing is under way"
        study.record(study.judged(executor.run(flying.pop(chance.randrange(len(flying))))))
        done += 1
    return done


def hypervolume(trials: Mapping[int, Trial], results: Iterable[Result], *, curves: Curves, budget: int) -> float:
    """Area under the frontier of the last rung over log parameters, as a share of the box from 100 to `budget` and 0.4 to 1.

    The frontier is chosen by the noisy scores that a search sees, and weighed by what its configurations are truly worth.
    """
    cheapest, floor = 100, 0.4
    places: list[tuple[float, float]] = []
    for point in frontier(points(trials.values(), results)):
        worth = curves.truth(trials[point.trial], point.steps)
        places.append((math.log(max(cheapest, point.trainable_parameters)), max(worth, places[-1][1] if places else floor)))
    ends = [*(place for place, _ in places[1:]), math.log(budget)]
    area = sum((end - place) * (worth - floor) for end, (place, worth) in zip(ends, places, strict=True))
    return area / ((math.log(budget) - math.log(cheapest)) * (1 - floor))
