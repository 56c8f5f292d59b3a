"""What a head buys by itself: parameters, seconds and scores on real tasks, by the code that a search trains with.

    python benchmarks/heads.py --tasks TASKS/trec TASKS/banking77
    python benchmarks/heads.py --tasks TASKS/trec --joined    # beside them, heads over adapters and adapters without a head

Every line is one trial of the study's recipe (200 steps of 16 rows, times the head's `batch`), scored once on the test split; the rate
was not chosen on it. Seconds are those of a job of all lines of a task, the frozen model's pass over its rows included.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.session import Session

HEADS: tuple[tuple[str, Hyperparameters], ...] = (
    ("head", {"lr": 0.01}),
    ("head", {"lr": 0.1}),
    ("head", {"init": "zero", "lr": 0.1}),
    ("head", {"init": "descriptions", "lr": 0.1}),
    ("head", {"rank": 4, "lr": 0.03}),
    ("head", {"rank": 16, "lr": 0.1}),
    ("head", {"rank": 16, "lr": 0.1, "batch": 1}),
    ("head", {"rank": 21, "lr": 0.1}),
)
JOINED: tuple[tuple[str, Hyperparameters], ...] = (
    ("ulpt+head", {"ulpt.dim": 8, "ulpt.prompt_length": 8, "ulpt.lr": 0.05, "head.lr": 0.03}),
    ("ia3+head", {"ia3.layers": "last:50%", "ia3.modules": "k,v", "ia3.lr": 0.03, "head.lr": 0.01}),
    ("ia3", {"layers": "last:50%", "modules": "k,v", "lr": 0.03}),
    ("lora+head", {"lora.rank": 1, "lora.modules": "v", "lora.layers": "last:50%", "lora.lr": 0.005, "head.lr": 0.03}),
    ("lora", {"rank": 1, "modules": "v", "layers": "last:50%", "lr": 0.005}),
)


@dataclass(frozen=True)
class Line:
    """One trial."""

    task: str
    method: str
    hyperparameters: Hyperparameters
    parameters: int
    validation: float
    test: float


def measure(folder: Path, store: str, *, joined: bool) -> tuple[list[Line], float]:
    """Train what fits a task, as one job; returns the lines and the job's seconds."""
    setup = Setup(ModelSpec(), TaskSpec(folder.name, path=str(folder)), Training(), store)
    session = worker.session(setup)
    asked = (*HEADS, *(JOINED if joined else ()))
    trials = [trial for number, one in enumerate(asked) if (trial := _trial(number, *one, session)) is not None]
    began = time.perf_counter()
    outcome = worker.run_job(setup, Job(0, tuple(map(Assignment, trials)), setup.training.steps, ("validation", "test")))
    seconds = time.perf_counter() - began
    scores = {(result.trial, result.split): float(result.score) for result in outcome.results}
    lines = [
        Line(folder.name, t.method, t.hyperparameters, t.parameters, scores[t.number, "validation"], scores[t.number, "test"])
        for t in trials
    ]
    return lines, seconds


def _trial(number: int, method: str, values: Hyperparameters, session: Session) -> Trial | None:
    try:
        return Trial(number, method, values, seed=0, parameters=count(method, values, session.backbone.shape))
    except WrongInput:
        return None  # a rank that the task's labels do not reach


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", type=Path, required=True, help="folders of tasks")
    parser.add_argument("--joined", action="store_true", help="heads over adapters, too, and those adapters without one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        found = {str(folder): measure(folder.resolve(), store, joined=asked.joined) for folder in asked.tasks}
    if asked.json:
        print(
            json.dumps({name: {"seconds": seconds, "heads": [asdict(line) for line in lines]} for name, (lines, seconds) in found.items()})
        )
        return
    print("| task | method | parameters | validation | test | hyperparameters |\n|---|---|---|---|---|---|")
    for lines, _ in found.values():
        for line in lines:
            shown = ", ".join(f"{key}={value}" for key, value in line.hyperparameters.items())
            print(f"| {line.task} | {line.method} | {line.parameters:,} | {line.validation:.3f} | {line.test:.3f} | {shown} |")
    for name, (lines, seconds) in found.items():
        print(f"\n{Path(name).name}: {len(lines)} trials in {seconds:.1f} s")


if __name__ == "__main__":
    main()
