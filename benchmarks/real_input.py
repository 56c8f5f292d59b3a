"""Searches on real data sets, as a user would type them, and a report of commands, curves and times in Markdown.

    python benchmarks/real_input.py --data FOLDER [--quick] [--json]

FOLDER holds one folder a task (train.jsonl, validation.jsonl, meta.json). `--decoder` adds a run on a language model through
label words. Every figure of the report is read back from the search's own `frontier --json`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RECIPE = ("--trials", "12", "--set", "steps=100", "--set", "rungs=[25, 50, 100]", "--set", "finalists=2")
QUICK = ("--trials", "4", "--set", "steps=8", "--set", "rungs=[4, 8]", "--set", "finalists=1")
COMMAND = (sys.executable, "-m", "ulpt_search.search.cli")


@dataclass(frozen=True)
class Run:
    """One search: what was typed (paths shortened), how long it took, and its curve."""

    command: str
    seconds: float
    curve: list[dict[str, Any]]


def search(data: Path, home: Path, *, task: str, budget: str, model: str, recipe: tuple[str, ...]) -> Run:
    """Run one search to its end and read its curve; raises `CalledProcessError` where it fails."""
    study = f"{task}-{Path(model).name}-{budget}"
    options = ["--space", "ulpt", "--study", study, "--budget", budget, "--model", model, "--task", str(data / task), *recipe, "--quiet"]
    began = time.perf_counter()
    subprocess.run([*COMMAND, "run", "--home", str(home), *options], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    found = subprocess.run([*COMMAND, "frontier", study, "--home", str(home), "--json"], check=True, capture_output=True, text=True)
    shown = " ".join(options[:-1]).replace(str(data), "TASKS").replace(str(Path(model).parent), "MODELS")
    return Run(f"ulpt-search run {shown}", seconds, json.loads(found.stdout))


def report(runs: list[Run]) -> str:
    """The runs in Markdown: a heading with the command, the curve as a table."""
    return "\n".join(f"`{run.command}`: {run.seconds:.0f} s\n\n{_table(run.curve)}\n" for run in runs)


def _table(curve: list[dict[str, Any]]) -> str:
    head = "| method | parameters | bytes | validation | test (mean, 95 %) | hyperparameters |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(_row(point) for point in curve)])


def _row(point: dict[str, Any]) -> str:
    test = "–" if point["test_score"] is None else f"{point['test_score']:.3f} [{point['test_low']:.3f}, {point['test_high']:.3f}]"
    chosen = ", ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in point["hyperparameters"].items()
    )
    return f"| {point['method']} | {point['trainable_parameters']:,} | {point['bytes']:,} | {point['score']:.3f} | {test} | {chosen} |"


def main() -> None:
    """Run the searches asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", default="sst2,rte,trec")
    parser.add_argument("--budgets", default="1e3,1e4,1e5")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--decoder", type=Path, help="a folder with a small language model; runs sms_spam at 1e3")
    parser.add_argument(
        "--home", type=Path, help="keep the studies here; a study that is there already is continued, so its time is only what was left"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps only: shows that it runs, not how good it is")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    plan = [(task, budget, asked.model) for task in asked.tasks.split(",") for budget in asked.budgets.split(",")]
    plan += [("sms_spam", "1e3", str(asked.decoder.resolve()))] if asked.decoder else []
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        home = (asked.home or Path(folder)).resolve()
        for task, budget, model in plan:
            runs.append(search(asked.data.resolve(), home, task=task, budget=budget, model=model, recipe=QUICK if asked.quick else RECIPE))
            print(report(runs[-1:]), file=sys.stderr, flush=True)
    print(json.dumps([asdict(run) for run in runs]) if asked.json else report(runs))


if __name__ == "__main__":
    main()
