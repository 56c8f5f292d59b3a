"""What comparing trials with those near their own size saves: training steps, and what the curve is worth, in simulated searches.

    python benchmarks/promotion.py [--json] [--quick] [--seeds 24]

The shipped space `ulpt` at a budget of 10,000 on a model of MiniLM's shape. A simulated trial has a learning curve of its own: its
limit grows with the logarithm of its parameters and falls with the distance of its learning rate from the best one; how fast it
gets there differs tenfold between trials, so that curves cross and an early rung can mislead; every score carries noise. Both
rules, with near peers and without, get the same searches. The curve's worth is the mean over five budgets of the best noiseless
score at the last step among the trials that got there.
"""

import argparse
import hashlib
import json
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from unittest import mock

from brain import BUDGET, shape

from ulpt_search.search.brain import promotion
from ulpt_search.search.brain.feasibility import assess, require_feasible
from ulpt_search.search.brain.study import Study
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.records import Job, Outcome, Result, Trial
from ulpt_search.spaces.schema import load_space
from ulpt_search.spaces.space import Space
from ulpt_search.workers.catalogue import axes_of, count

PACK, WORKERS, NOISE = 4, 2, 0.01
BUDGETS = (100, 300, 1_000, 3_000, 10_000)
NOBODY = 0.4
"""What a budget is worth under which no trial got to the end: the frozen model's score."""
RULES = {"near": promotion.SIMILAR, "all": 10**9}
"""Rule -> from which share of a trial's parameters on another is near it, one in so many: with the second all are."""


@dataclass(frozen=True)
class Search:
    """How a simulated search went."""

    steps: int
    """Training steps of search trials."""
    reached: float
    """Share of the trials that were trained to the end."""
    worth: float


def curve(trial: Trial, step: int) -> float:
    """A trial's noiseless score at a step."""
    rate = next(math.log10(float(value)) for name, value in trial.hyperparameters.items() if name.endswith("lr"))
    identity = repr((trial.method, sorted(trial.hyperparameters.items()), trial.seed))
    slowness = 10 ** (int(hashlib.sha256(identity.encode()).hexdigest()[:8], 16) / 2**32 - 0.5)
    limit = 0.5 + 0.05 * math.log10(trial.parameters) - 0.03 * (rate + 2) ** 2
    return float(limit - 0.2 * (1 + step / (40 * slowness)) ** -1.2)


def simulate(space: Space, *, seed: int) -> Search:
    """Run a search to its end."""
    model, noise, steps = shape(), random.Random(seed), 0

    def counted(method: str, values: Hyperparameters) -> int:
        return count(method, values, model)

    methods = require_feasible(assess(space.methods, budget=BUDGET, count=counted), budget=BUDGET)
    study = Study(space=space, budget=BUDGET, count=counted, methods=methods, seed=seed, pack=PACK)
    flying: list[Job] = []
    while not study.finished:
        while len(flying) < WORKERS and (job := study.next_job()):
            flying.append(job)
        done = flying.pop(0)
        steps += sum(done.stop - part.start for part in done.assignments if part.trial.purpose == "search")
        study.record(_answer(done, noise))
    searched = [trial for trial in study.trials.values() if trial.purpose == "search"]
    last = space.training.steps
    ended = {result.trial for result in study.results if result.step == last}
    return Search(steps, sum(trial.number in ended for trial in searched) / len(searched), _worth(searched, ended, last))


def _answer(job: Job, noise: random.Random) -> Outcome:
    def result(trial: Trial, score: float, split: str) -> Result:
        return Result(trial.number, job.stop, split, score, 1e-4, 1 - score, 1.0, f"{trial.number:064d}", 4 * trial.parameters)  # type: ignore[arg-type]

    scored = [(part.trial, split) for part in job.assignments for split in job.splits]
    return Outcome(job.number, tuple(result(trial, curve(trial, job.stop) + noise.gauss(0, NOISE), split) for trial, split in scored))


def _worth(trials: Sequence[Trial], ended: set[int], last: int) -> float:
    scores = [(trial.parameters, curve(trial, last)) for trial in trials if trial.number in ended]
    return statistics.mean(max((score for size, score in scores if size <= budget), default=NOBODY) for budget in BUDGETS)


def measure(trials: int, *, seeds: int) -> dict[str, dict[str, object]]:
    """Both rules on the same searches: means, and of the worth its standard error."""
    space, found = replace(load_space("ulpt", catalogue=axes_of), trials=trials), {}
    for rule, similar in RULES.items():
        with mock.patch.object(promotion, "SIMILAR", similar):
            runs = [asdict(simulate(space, seed=seed)) for seed in range(seeds)]
        means: dict[str, object] = {name: statistics.mean(run[name] for run in runs) for name in ("steps", "reached", "worth")}
        found[rule] = means | {"worth_error": statistics.stdev(run["worth"] for run in runs) / math.sqrt(seeds)}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="searches of 24 trials only, 4 seeds")
    parser.add_argument("--seeds", type=int, help="searches of each size, 24 unless told")
    asked = parser.parse_args()
    sizes = (24,) if asked.quick else (24, 64, 96, 200)
    found = {size: measure(size, seeds=asked.seeds or (4 if asked.quick else 24)) for size in sizes}
    if asked.json:
        print(json.dumps(found))
        return
    for size, rules in found.items():
        for rule, one in rules.items():
            print(
                f"{size:>4} trials, {rule:<4} peers: {one['steps']:>8,.0f} steps, {one['reached']:.0%} to the end,"
                f" worth {one['worth']:.4f} ±{one['worth_error']:.4f}"
            )


if __name__ == "__main__":
    main()
