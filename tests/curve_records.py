"""A study of 40 trials over five methods, as a search leaves it: shared by the tests of the dashboards."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from ulpt_search.dashboards.curve import Curve
from ulpt_search.dashboards.frontier import frontier
from ulpt_search.dashboards.points import points, searched_points
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.records import Point, Problem, Result, Split, Trial

METHODS = ("bitfit", "ia3", "lora", "prompt", "ulpt")
STEPS = (25, 50, 100, 200)
WIDTH = 384

Study = tuple[list[Trial], list[Result], list[Problem]]


def point(trial: int, parameters: int, score: float, *, half: float = 0.02, test: float | None = None, method: str = "ulpt") -> Point:
    """A point whose intervals are `half` to both sides; with a test score it was measured over three seeds."""
    searched = Point(trial, method, {"dim": 2}, 0, parameters, 4 * parameters, 200, score, score - half, score + half, exported=trial)
    if test is None:
        return searched
    finals = (trial + 100, trial + 101, trial + 102)
    bounds = {"test_score": test, "test_low": test - half, "test_high": test + half}
    return replace(searched, **bounds, seeds=(1000, 1001, 1002), finals=finals, exported=finals[1])  # type: ignore[arg-type]


def trial(number: int, parameters: int = 788, *, finalist: int | None = None, seed: int = 0, method: str = "ulpt") -> Trial:
    return Trial(number, method, {"dim": 2, "lr": 0.0123456}, seed, parameters, "search" if finalist is None else "final", finalist)


def result(number: int, score: float, *, step: int = 200, split: Split = "validation", variance: float = 1e-4) -> Result:
    return Result(number, step, split, score, variance, 0.7, 3.0, "ab" * 32, 3_152)


def searched(seed: int = 3) -> Study:
    """Trials that stopped at several steps, two that failed, one that lost a job; no finals."""
    rng = random.Random(seed)
    trials = [_draw(number, rng) for number in range(40)]
    problems = [Problem(number, f"loss is nan at step {31 + number}:\n  the learning rate is too high", fatal=True) for number in (9, 23)]
    failed = {problem.trial for problem in problems}
    results = [each for t in trials if t.number not in failed for each in _climb(t, rng)]
    return trials, results, [*problems, Problem(17, "worker died (signal 9)")]


def finished(seed: int = 3) -> Study:
    """The same study after three fresh seeds for each point of the frontier."""
    trials, results, problems = searched(seed)
    rng = random.Random(seed)
    for each in frontier(searched_points(trials, results)):
        for fresh in (1000, 1001, 1002):
            final = Trial(len(trials), each.method, each.hyperparameters, fresh, each.trainable_parameters, "final", each.trial)
            trials.append(final)
            splits: tuple[Split, Split] = ("validation", "test")
            for split in splits:
                score = each.score - 0.02 + rng.gauss(0, 0.012)
                results.append(result(final.number, score, split=split, variance=score * (1 - score) / 800))
    return trials, results, problems


def curve(study: Study | None = None, *, name: str = "demo") -> Curve:
    trials, results, _ = study or finished()
    found: Sequence[Point] = points(trials, results)
    return Curve(name, 10_000, tuple(found), metric="accuracy", task="pydocs", model="minilm", methods=METHODS)


def _draw(number: int, rng: random.Random) -> Trial:
    method = rng.choice(METHODS)
    size = rng.choice((1, 2, 4, 10, 20))
    parameters = {"ulpt": 64 * size + WIDTH, "prompt": WIDTH * size, "lora": 1536 * min(size, 4)}.get(method, 768 * min(size, 10))
    names: dict[str, Hyperparameters] = {
        "ulpt": {"dim": 64, "prompt_length": size, "lr": rng.uniform(0.001, 0.1), "scale": True, "shift": False, "gain": 0.5},
        "prompt": {"prompt_length": size, "lr": rng.uniform(0.001, 0.3)},
        "lora": {"rank": min(size, 4), "alpha": 16, "lr": rng.uniform(0.0001, 0.01), "layers": "last:50%", "modules": "q,v"},
    }
    return Trial(number, method, names.get(method, {"lr": 0.01, "layers": f"last:{size}"}), rng.randrange(3), parameters)


def _climb(each: Trial, rng: random.Random) -> list[Result]:
    quality = 0.5 + 0.06 * math.log10(each.parameters) + rng.gauss(0, 0.014)
    last = 200 if quality > 0.66 else rng.choice(STEPS)
    scores = {step: round((quality - 0.12 * (1 - step / 200)) * 300) / 300 for step in STEPS if step <= last}
    return [result(each.number, score, step=step, variance=score * (1 - score) / 300) for step, score in scores.items()]
