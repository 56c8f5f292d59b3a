"""Which rate a method should have by default: validation scores over a grid of rates, on tasks and on models of two shapes.

    python benchmarks/default_rates.py --data TASKS --records FILE --models minilm,MODEL_FOLDER [--methods lorta,lora_xs]
    python benchmarks/default_rates.py --records FILE --report

The rates of a method train as one pack, everything else at the method's defaults, through the worker that serves a search; test rows
are never looked at. `dept.lr_pair` is that other rate of DePT. Records are appended to FILE; what is there is not done again. The report
gives, for every rate, how far it stays behind the best rate of its model and task (0.01 is one point), and the rate whose largest
distance is least.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.training.worker import run_job, session

RATES = {
    "ulpt": (0.03, 0.1, 0.3, 1.0, 3.0),
    "prompt": (0.03, 0.1, 0.3, 1.0, 3.0),
    "lora": (3e-4, 1e-3, 3e-3, 0.01, 0.03),
    "ia3": (0.001, 0.003, 0.01, 0.03, 0.1),
    "ln_tuning": (3e-4, 1e-3, 3e-3, 0.01, 0.03),
    "bitfit": (3e-4, 1e-3, 3e-3, 0.01, 0.03),
    "lorta": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "lora_xs": (0.004, 0.02, 0.1, 0.5, 2.0),
    "p_tuning": (0.01, 0.03, 0.1, 0.3, 1.0),
    "dpt": (0.03, 0.1, 0.3, 1.0, 3.0),
    "dept": (0.03, 0.1, 0.3, 1.0, 3.0),
    "dept.lr_pair": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
}
"""A method, or one of its rates that is not `lr`, and what is tried."""


def measure(setup: Setup, name: str, seeds: int) -> dict[str, Any]:
    """Validation scores after the last step: rate -> one a seed; a trial that failed scores 0."""
    began, shape, (method, _, key) = time.perf_counter(), session(setup).backbone.shape, name.partition(".")
    asked = [(rate, seed) for rate in RATES[name] for seed in range(seeds)]
    trials = [Trial(k, method, {key or "lr": rate}, seed, count(method, {}, shape)) for k, (rate, seed) in enumerate(asked)]
    outcome = run_job(setup, Job(0, tuple(Assignment(trial) for trial in trials), stop=setup.training.steps))
    scores = {result.trial: result.score for result in outcome.results}
    found = {str(rate): [scores.get(k, 0.0) for k, (own, _) in enumerate(asked) if own == rate] for rate in RATES[name]}
    return {"parameters": trials[0].parameters, "scores": found, "seconds": round(time.perf_counter() - began, 1)}


def collect(asked: argparse.Namespace) -> None:
    """Measure what is not in the file, until the time is up."""
    deadline = time.monotonic() + 60 * asked.minutes
    keys = ("method", "model", "task")
    done = {tuple(record[key] for key in keys) for record in read(asked.records)}
    wanted = [(m, model, t) for m in asked.methods.split(",") for model in asked.models.split(",") for t in asked.tasks.split(",")]
    with tempfile.TemporaryDirectory() as store:
        for method, model, task in wanted:
            if (method, Path(model).name, task) in done or time.monotonic() > deadline:
                continue
            spec = TaskSpec(name=task, path=str(Path(asked.data).resolve() / task), max_tokens=32)
            setup = Setup(ModelSpec(model, device="cpu"), spec, Training(steps=asked.steps, rungs=(asked.steps,)), store)
            record = {"method": method, "model": Path(model).name, "task": task, "steps": asked.steps}
            with asked.records.open("a", encoding="utf8") as file:
                file.write(json.dumps(record | measure(setup, method, asked.seeds)) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """The records of a file, none where it does not exist."""
    return [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()] if file.exists() else []


def report(records: list[dict[str, Any]]) -> Iterator[str]:
    """A table a method: distance from the best rate, by model and task, and the rate that is never far behind."""
    for method in dict.fromkeys(record["method"] for record in records):
        own = [record for record in records if record["method"] == method]
        gaps = [_gaps(record["scores"]) for record in own]
        rates = list(gaps[0])
        yield from (f"| {method} | best | {' | '.join(rates)} |", "|---" * (2 + len(rates)) + "|")
        for record, gap in zip(own, gaps, strict=True):
            best = max(statistics.mean(scores) for scores in record["scores"].values())
            yield f"| {record['model']}, {record['task']} | {best:.3f} | {' | '.join(f'{gap[rate]:.3f}' for rate in rates)} |"
        yield from ("", f"Never far behind: {min(rates, key=lambda rate: max(gap[rate] for gap in gaps))}", "")


def _gaps(scores: dict[str, list[float]]) -> dict[str, float]:
    """Rate -> how far its mean score is behind the best rate's."""
    means = {rate: statistics.mean(own) for rate, own in scores.items()}
    return {rate: max(means.values()) - mean for rate, mean in means.items()}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--data", help="folder with a folder a task")
    parser.add_argument("--methods", default=",".join(RATES))
    parser.add_argument("--models", default="minilm")
    parser.add_argument("--tasks", default="trec,sst2")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.report:
        print("\n".join(report(read(asked.records))))
        return
    collect(asked)


if __name__ == "__main__":
    main()
