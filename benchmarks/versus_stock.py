"""The same trials by our workers and by the stock stack: trials per hour of each, and whether they end equally accurate.

    python benchmarks/versus_stock.py --task FOLDER [--json]    # the figure to quote: hours on two cores
    python benchmarks/versus_stock.py --quick                   # under a minute on two idle cores; says that it works, not how fast

All sides get one plan: prompt tuning, (IA)³ and LoRA with given hyperparameters and seeds on the embedded MiniLM, the same rows,
steps, batch, schedule and evaluations. `packed_program.py` runs it by our workers on Ray, `stock_program.py` by Ray Tune,
OptunaSearch, the Hugging Face Trainer and PEFT, one process of one core a trial; with `--against syne_tune`,
`syne_tune_program.py` does the same by Syne Tune's local backend. They take turns, and each is timed from its command to its last
result. What differs is each side's own: we take bfloat16 where the processor has it and store every adapter with its optimiser;
stock trains in float32 and stores none; the rows of a batch and the adapters' starts are drawn by each from the trial's seed, so
that accuracies agree on average and not one by one.
"""

import argparse
import importlib.util
import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulpt_search.search.running.resources import PACKS, own_cpus
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.model.backbone import resolve
from ulpt_search.workers.tasks import load_task
from ulpt_search.workers.tasks.task import Rows

HERE = Path(__file__).resolve().parent
PROGRAMS = {"ours": "packed_program.py", "stock": "stock_program.py", "syne_tune": "syne_tune_program.py"}
RATES = {"prompt": (0.01, 0.1), "ia3": (3e-3, 0.03), "lora": (1e-3, 1e-2)}
"""Learning rates that train well, from which the trials draw: where one diverges by luck, accuracies could not be compared."""


@dataclass(frozen=True)
class Run:
    """One side's turn."""

    seconds: float
    """From the command to its last result."""
    results: list[dict[str, Any]]

    @property
    def trials_per_hour(self) -> float:
        """Finished trials by wall clock."""
        return 3600 * len(self.results) / self.seconds

    @property
    def accuracy(self) -> float:
        """Mean over the trials at their last step."""
        return statistics.mean(float(result["accuracy"]) for result in self.results)


def draw(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Return trials, the methods in turn. Each carries all hyperparameters, as OptunaSearch's flat space wants; a method reads its own."""
    random_ = random.Random(seed)
    return [_draw(method, number, random_) for number, method in zip(range(count), itertools.cycle(RATES), strict=False)]


def _draw(method: str, number: int, random_: random.Random) -> dict[str, Any]:
    lr = math.exp(random_.uniform(*map(math.log, RATES[method])))
    rank = random_.choice((1, 2, 4))
    return {"method": method, "lr": lr, "prompt_length": random_.randint(5, 20), "rank": rank, "alpha": 16.0, "seed": number}


def plan(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write the rows as JSONL into `folder`; return what both programs are told."""
    given = {"path": str(Path(asked.task).resolve()), "name": Path(asked.task).name} if asked.task else {"name": "pydocs"}
    source = {**given, "limit": asked.rows, "max_tokens": 128}
    task = load_task(TaskSpec(**source))
    scored = task.test if asked.split == "test" else task.validation
    if task.kind != "classification" or task.metric != "accuracy":
        sys.exit(f"--task {asked.task}: a {task.kind} task measured by {task.metric}; the stock program knows classification by accuracy")
    paths = {name: str(_write(rows, folder / f"{name}.jsonl")) for name, rows in (("train", task.train), ("evaluation", scored))}
    return {
        **paths, "model": resolve("minilm"), "task": source, "split": asked.split, "descriptions": task.descriptions,
        "pairs": any(text is not None for text in task.train.texts_b), "max_tokens": 128, "trials": draw(asked.trials, seed=0),
        "steps": asked.steps, "scored": scored_at(asked.steps), "batch": 16, "warmup": 0.06, "clip": 1.0, "pack": asked.pack,
        "workers": asked.workers, "rows_trained_on": len(task.train), "rows_scored": len(scored),
    }  # fmt: skip


def scored_at(steps: int) -> list[int]:
    """A quarter, half and all of the steps."""
    return [steps // 4, steps // 2, steps]


def _write(rows: Rows, path: Path) -> Path:
    lines = zip(rows.texts_a, rows.texts_b, rows.labels, strict=True)
    path.write_text("".join(json.dumps({"text": a, "text_pair": b, "label": int(label)}) + "\n" for a, b, label in lines), encoding="utf8")
    return path


def run(side: str, told: dict[str, Any]) -> Run:
    """Start one side's program on a plan and wait for its results. Ends the benchmark with the program's own words where it fails."""
    with tempfile.TemporaryDirectory(prefix="v-", dir="/tmp") as folder:  # short: Ray's socket paths must fit in 107 bytes
        file = Path(folder, "plan.json")
        file.write_text(json.dumps({**told, "sockets": folder}), encoding="utf8")
        began = time.perf_counter()
        process = subprocess.Popen(  # in that folder, since Syne Tune's trials write their output where they are started
            [sys.executable, HERE / PROGRAMS[side], file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
        )
        out, err = process.communicate()
        seconds = time.perf_counter() - began
    results = json.loads(out.strip().splitlines()[-1]) if process.returncode == 0 else []
    if len(results) < len(told["trials"]) or any(result["step"] != told["steps"] for result in results):
        sys.exit(f"{side}: {PROGRAMS[side]} did not finish all trials (status {process.returncode}):\n{err[-3000:]}")
    return Run(seconds, results)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": round(statistics.median(values), 4), "low": round(min(values), 4), "high": round(max(values), 4)}


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Let the sides take turns; return the figures."""
    sides, others = ("ours", *asked.against), asked.against
    with tempfile.TemporaryDirectory() as folder:
        told = plan(asked, Path(folder))
        turns = [{side: run(side, told) for side in sides} for _ in range(asked.repeats)]
    return {
        **{f"{side}_trials_per_hour": spread([turn[side].trials_per_hour for turn in turns]) for side in sides},
        **{_named("ratio", side): spread([turn["ours"].trials_per_hour / turn[side].trials_per_hour for turn in turns]) for side in others},
        **{_named("accuracy_difference", side): spread([turn["ours"].accuracy - turn[side].accuracy for turn in turns]) for side in others},
        "accuracy": {side: spread([turn[side].accuracy for turn in turns]) for side in sides},
        "accuracy_by_method": {side: by_method(turns[0][side]) for side in sides},
        "seconds": {side: [round(turn[side].seconds, 1) for turn in turns] for side in sides},
        **{name: told[name] for name in ("steps", "scored", "pack", "workers", "rows_trained_on", "rows_scored")},
        "trials": len(told["trials"]),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _named(figure: str, side: str) -> str:
    return figure if side == "stock" else f"{figure}_{side}"


def by_method(turn: Run) -> dict[str, float]:
    """Mean accuracy of each method's trials."""
    scores: dict[str, list[float]] = {}
    for result in turn.results:
        scores.setdefault(result["method"], []).append(float(result["accuracy"]))
    return {method: round(statistics.mean(values), 4) for method, values in scores.items()}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line")
    parser.add_argument("--quick", action="store_true", help="2 trials of 4 steps on 64 rows of pydocs, once")
    parser.add_argument("--task", help="a task folder, such as SST-2; default: pydocs, which needs no files")
    parser.add_argument("--split", choices=("validation", "test"), help="what is scored; default: test for a folder, else validation")
    parser.add_argument("--rows", type=int, help="training rows, 2,000 unless told")
    parser.add_argument("--trials", type=int, help="24 unless told")
    parser.add_argument("--steps", type=int, help="200 unless told; scored at a quarter, half and all of them")
    parser.add_argument("--repeats", type=int, help="turns of each side, 5 unless told")
    parser.add_argument("--pack", type=int, default=PACKS["cpu"], help="our trials in one pass, as `ulpt-search run --pack`")
    parser.add_argument("--workers", type=int, default=own_cpus(), help="workers of one core, on both sides")
    parser.add_argument("--against", nargs="+", choices=("stock", "syne_tune"), default=["stock"], help="syne_tune has to be importable")
    asked = parser.parse_args()
    if "syne_tune" in asked.against and importlib.util.find_spec("syne_tune") is None:
        parser.error("--against syne_tune: not importable; pip install --no-deps --target FOLDER syne-tune, and put FOLDER on PYTHONPATH")
    usual = {"rows": 64, "trials": 2, "steps": 4, "repeats": 1} if asked.quick else {"rows": 2000, "trials": 24, "steps": 200, "repeats": 5}
    asked.split = asked.split or ("test" if asked.task else "validation")
    for name, value in usual.items():
        setattr(asked, name, value if getattr(asked, name) is None else getattr(asked, name))
    return asked


def main() -> None:
    """Measure and print."""
    asked = options()
    found = measure(asked)
    print(json.dumps(found) if asked.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
