"""How much time the brain of a search takes for itself: seconds to propose and record trials, and how that grows.

    python benchmarks/brain.py              # 100,000 trials, about ten minutes
    python benchmarks/brain.py --quick      # 2,000 trials, well under a minute

A simulated executor answers at once with noisy learning curves, so that all the time measured is the brain's own: proposals,
promotions, records and finals, over the shipped space `ulpt` on a model of MiniLM's shape at a budget of 10,000.
"""

import argparse
import hashlib
import json
import math
import random
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ulpt_search.search.brain.feasibility import assess, require_feasible
from ulpt_search.search.brain.study import Study
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.records import Job, Outcome, Result, Split, Trial
from ulpt_search.spaces.schema import load_space
from ulpt_search.spaces.shape import Attention, Linear, Norm, Shape
from ulpt_search.spaces.space import Space
from ulpt_search.workers.catalogue import axes_of, count

BUDGET, PACK, WORKERS = 10_000, 16, 4
WIDTH, INNER, LAYERS = 384, 1536, 6
LINEARS = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "o": (WIDTH, WIDTH), "up": (WIDTH, INNER), "down": (INNER, WIDTH)}


@dataclass(frozen=True)
class Stage:
    """The brain's own time between two numbers of trials."""

    trials: int
    """Search trials handed out so far."""
    seconds: float
    """The brain's time up to here."""
    milliseconds_per_trial: float
    """Since the stage before."""


def shape() -> Shape:
    """Return a model as numbers, the size of MiniLM-L6."""
    layers = range(LAYERS)
    linears = tuple(Linear(f"layer.{i}.{role}", i, role, *size, bias=True) for i in layers for role, size in LINEARS.items())
    norms = tuple(Norm(f"layer.{i}.{role}", i, role, WIDTH, bias=True) for i in layers for role in ("attention", "mlp"))
    attentions = tuple(Attention(f"layer.{i}.attention", i, 12, 12, WIDTH // 12) for i in layers)
    return Shape("encoder", WIDTH, LAYERS, 30_522, 0.05, linears, norms, attentions, labels=8)


def answer(job: Job, noise: random.Random) -> Outcome:
    """Return what a worker would say, at once."""
    results = tuple(_result(a.trial, job.stop, split, noise) for a in job.assignments for split in job.splits)
    return Outcome(job.number, results)


def _result(trial: Trial, step: int, split: Split, noise: random.Random) -> Result:
    digest = hashlib.sha256(f"{trial.number}/{step}".encode()).hexdigest()
    rate = next(math.log10(float(value)) for name, value in trial.hyperparameters.items() if name.endswith("lr"))
    limit = 0.5 + 0.05 * math.log10(trial.parameters) - 0.03 * (rate + 2) ** 2
    score = limit - 0.2 * (1 + step / 40) ** -1.2 + noise.gauss(0, 0.01)
    return Result(trial.number, step, split, score, 1e-4, 1 - score, 1.0, digest, 4 * trial.parameters)


def measure(space: Space, *, seed: int, marks: list[int]) -> list[Stage]:
    """Return the brain's time at each of the marks, numbers of search trials handed out, and at the very end."""
    model, noise = shape(), random.Random(seed)

    def counted(method: str, values: Hyperparameters) -> int:
        return count(method, values, model)

    spent, handed = 0.0, 0
    stages: list[Stage] = []
    start = time.process_time()
    methods = require_feasible(assess(space.methods, budget=BUDGET, count=counted), budget=BUDGET)
    study = Study(space=space, budget=BUDGET, count=counted, methods=methods, seed=seed, pack=PACK)
    flying: list[Job] = []
    while not study.finished:
        while len(flying) < WORKERS and (job := study.next_job()):
            flying.append(job)
            handed += sum(part.start == 0 and part.trial.purpose == "search" for part in job.assignments)
        spent += time.process_time() - start
        if marks and handed >= marks[0]:
            stages.append(_stage(stages, marks.pop(0), spent))
        outcome = answer(flying.pop(0), noise)
        start = time.process_time()
        study.record(outcome)
    spent += time.process_time() - start
    return [*stages, _stage(stages, handed, spent)]


def _stage(before: list[Stage], trials: int, seconds: float) -> Stage:
    last = before[-1] if before else Stage(0, 0.0, 0.0)
    return Stage(trials, seconds, 1000 * (seconds - last.seconds) / max(1, trials - last.trials))


def marks_up_to(trials: int) -> list[int]:
    """Return roughly even places on a logarithmic scale, 10,000 among them where it is passed."""
    return [mark for mark in (100, 300, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 30_000, 50_000, 70_000) if mark < trials]


def report(trials: int, *, repeats: int) -> dict[str, object]:
    """Return seconds per 10,000 trials over several runs, and one long run's growth."""
    space = replace(load_space("ulpt", catalogue=axes_of), trials=trials)
    size = min(trials, 10_000)
    short = [measure(replace(space, trials=size), seed=seed, marks=[])[-1].seconds * 10_000 / size for seed in range(repeats)]
    long = measure(space, seed=repeats, marks=marks_up_to(trials))
    early, late = (_cost(long, low, high) for low, high in ((trials // 100, trials // 10), (trials // 2, trials)))
    return {
        "seconds_per_10000": statistics.median(short),
        "seconds_per_10000_spread": [min(short), max(short)],
        "measured_at": size,
        "trials": trials,
        "late_over_early": late / early,
        "stages": [asdict(stage) for stage in long],
    }


def _cost(stages: list[Stage], low: int, high: int) -> float:
    """Mean cost of a trial over the stages that end between two numbers of trials, both included."""
    return statistics.mean(stage.milliseconds_per_trial for stage in stages if low <= stage.trials <= high)


def plot(stages: list[Stage], path: Path) -> None:
    """Draw the brain's time per trial over the number of trials."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([stage.trials for stage in stages], [stage.milliseconds_per_trial for stage in stages], marker="o")
    axes.set(xscale="log", xlabel="search trials handed out", ylabel="brain, ms per trial", ylim=(0, None))
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time that the brain of a search takes for itself.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="2,000 trials instead of 100,000, one repeat")
    parser.add_argument("--trials", type=int, help="length of the long run")
    parser.add_argument("--repeats", type=int, help="runs of 10,000 trials")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the time per trial over the number of trials")
    options = parser.parse_args()
    found = report(options.trials or (2_000 if options.quick else 100_000), repeats=options.repeats or (1 if options.quick else 5))
    stages = [Stage(**stage) for stage in found["stages"]]  # type: ignore[attr-defined]
    if options.plot:
        plot(stages, options.plot)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['seconds_per_10000']:.1f} s per 10,000 trials (measured at {found['measured_at']:,})")
    for stage in stages:
        print(f"{stage.trials:>8,} trials  {stage.milliseconds_per_trial:6.2f} ms per trial  {stage.seconds:8.1f} s in all")


if __name__ == "__main__":
    main()
