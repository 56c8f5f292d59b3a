"""Scores of chosen methods, at their own defaults or given values, by whatever checkout is on the path: before and after a repair.

    python benchmarks/repaired_methods.py --data TASKS --out FILE --label after [--methods lorta,lora+sara] [--tasks trec,sst2]
    python benchmarks/repaired_methods.py --out FILE --report

The seeds of a method train as one pack, through the worker that serves a search. One line of JSON a method and task is appended to
FILE as it comes; what FILE has under the label is not done again. To measure an older checkout, put it first on the path.
"""

import argparse
import importlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count

METHODS = "lorta,bitfit,finegates,adamix,lora+subzero,lora+sara,lora+dst,lora+light_peft"
WORKERS = ("ulpt_search.workers.training.worker", "ulpt_search.workers.worker")
"""Where the worker is, here and in checkouts from before it moved."""


@dataclass(frozen=True)
class Plan:
    """What every method gets."""

    data: str
    model: str
    steps: int
    seeds: int
    max_tokens: int
    layers: str
    dtype: Literal["float32", "bfloat16"]
    given: Mapping[str, Any]

    def values(self, method: str) -> dict[str, Any]:
        """A method's hyperparameters: its own defaults but for the layers it is put on, and what was given."""
        first = method.partition("+")[0]
        return {f"{first}.layers" if first != method else "layers": self.layers, **self.given}

    def setup(self, task: str, store: str) -> Setup:
        """What the worker is told."""
        training = Training(steps=self.steps, rungs=(self.steps,))
        return Setup(
            ModelSpec(self.model, dtype=self.dtype, device="cpu"),
            TaskSpec(name=task, path=f"{self.data}/{task}", max_tokens=self.max_tokens),
            training,
            store,
        )


def worker() -> Any:
    """The worker's module of the checkout on the path."""
    for name in WORKERS:
        with suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    raise SystemExit(f"no worker among {', '.join(WORKERS)}: is a checkout on the path?")


def measure(plan: Plan, method: str, task: str, store: str) -> dict[str, Any]:
    """Validation scores of one method's seeds after its last step."""
    began, module, setup = time.perf_counter(), worker(), plan.setup(task, store)
    values = plan.values(method)
    size = count(method, values, module.session(setup).backbone.shape)
    trials = [Trial(seed, method, values, seed, size) for seed in range(plan.seeds)]
    outcome = module.run_job(setup, Job(0, tuple(Assignment(trial) for trial in trials), stop=plan.steps))
    scores = [result.score for result in sorted(outcome.results, key=lambda result: result.trial)]
    problems = [problem.error for problem in outcome.problems]
    return {"parameters": size, "scores": scores, "problems": problems, "seconds": round(time.perf_counter() - began, 1)}


def read(file: Path) -> list[dict[str, Any]]:
    """The records of a file, none where it does not exist."""
    return [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()] if file.exists() else []


def report(records: list[dict[str, Any]]) -> Iterator[str]:
    """A table: a row for each method and task, parameters and mean (smallest to largest) score of every label."""
    labels = list(dict.fromkeys(record["label"] for record in records))
    yield "| method | task | " + " | ".join(f"{label}: parameters | score" for label in labels) + " |"
    yield "|---" * (2 + 2 * len(labels)) + "|"
    for method, task in dict.fromkeys((record["method"], record["task"]) for record in records):
        own = {record["label"]: record for record in records if (record["method"], record["task"]) == (method, task)}
        cells = (_cell(own[label]) if label in own else "– | –" for label in labels)
        yield f"| {method} | {task} | " + " | ".join(cells) + " |"


def _cell(record: dict[str, Any]) -> str:
    scores = record["scores"]
    shown = f"{statistics.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})" if scores else record["problems"][0]
    return f"{record['parameters']:,} | {shown}"


def main() -> None:
    """Measure what is not there yet, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data")
    parser.add_argument("--label", default="after")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--tasks", default="trec,sst2")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the frozen model")
    parser.add_argument("--layers", default="all", help="of the frozen model; last:1 is quick, for what lies below is computed once")
    parser.add_argument("--values", type=json.loads, default={}, help='hyperparameters in the place of defaults: {"lr": 0.01}')
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    if asked.report:
        print("\n".join(report(read(asked.out))))
        return
    torch.set_num_threads(1)
    plan = Plan(asked.data, asked.model, asked.steps, asked.seeds, asked.max_tokens, asked.layers, asked.dtype, asked.values)
    done = {(record["label"], record["method"], record["task"]) for record in read(asked.out)}
    with tempfile.TemporaryDirectory() as store:
        for task in asked.tasks.split(","):
            for method in (one for one in asked.methods.split(",") if (asked.label, one, task) not in done):
                record = {
                    "label": asked.label,
                    "method": method,
                    "task": task,
                    "steps": asked.steps,
                    "layers": asked.layers,
                    "dtype": asked.dtype,
                    "values": asked.values,
                    **measure(plan, method, task, store),
                }
                with asked.out.open("a", encoding="utf8") as file:
                    file.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
