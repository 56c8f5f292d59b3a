"""What a head buys by itself: parameters, seconds and scores on real tasks, by the code that a search trains with.

    python benchmarks/heads.py --tasks TASKS/trec TASKS/banking77
    python benchmarks/heads.py --tasks TASKS/trec --joined    # beside them, heads over adapters and adapters without a head
    python benchmarks/heads.py --tasks TASKS/trec --best      # what a search over heads alone begins with, and ends at

Every line is one trial of the study's recipe (200 steps of 16 rows, times the head's `batch`), scored once on the test split; the rate
was not chosen on it. Seconds are those of a job of all lines of a task, the frozen model's pass over its rows included. With `--best` the
head of the shipped space and its variants are tried, the best in validation is trained again under fresh seeds and these are tested; the
seconds are those of all of it once model and tokens are loaded, and of the processor in them.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ulpt_search.search.brain.opening import opening
from ulpt_search.search.brain.search_space import SearchSpace
from ulpt_search.search.running.inspection import judge_methods
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.shape import Shape
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count, count_to_begin, load_space
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


BUDGET = 10_000
FRESH = (101, 102, 103)
"""Seeds of the head that is tested."""


@dataclass(frozen=True)
class Best:
    """The best of `tried` heads in validation, and its scores under fresh seeds."""

    task: str
    tried: int
    parameters: int
    hyperparameters: Hyperparameters
    validation: float
    test: tuple[float, ...]
    seconds: float
    processor_seconds: float

    def __str__(self) -> str:
        """One line."""
        mean = sum(self.test) / len(self.test)
        shown = ", ".join(f"{key}={value}" for key, value in self.hyperparameters.items())
        took = f"{self.seconds:.1f} s, {self.processor_seconds:.1f} s of the processor"
        each = ", ".join(f"{score:.3f}" for score in self.test)
        return (
            f"{self.task}: {mean:.3f} on test ({each}), {self.parameters:,} parameters, "
            f"best of {self.tried} in validation ({self.validation:.3f}): {shown}; {took}"
        )


def best(folder: Path, store: str) -> Best:
    """Try what a search over heads alone tries first, and test the best in validation."""
    setup = Setup(ModelSpec(), TaskSpec(folder.name, path=str(folder)), Training(), store)
    shape = worker.session(setup).backbone.shape
    began, busy = time.perf_counter(), time.process_time()
    tried = [Trial(n, "head", values, seed=0, parameters=count("head", values, shape)) for n, values in enumerate(_tried(shape))]
    steps = setup.training.steps
    found = worker.run_job(setup, Job(0, tuple(map(Assignment, tried)), steps, ("validation",)))
    top = max(found.results, key=lambda result: (result.score, -tried[result.trial].parameters))
    again = [replace(tried[top.trial], number=n, seed=seed, purpose="final", finalist=top.trial) for n, seed in enumerate(FRESH)]
    finals = worker.run_job(setup, Job(1, tuple(map(Assignment, again)), steps, ("test",)))
    took = time.perf_counter() - began, time.process_time() - busy
    chosen = tried[top.trial]
    test = tuple(float(result.score) for result in finals.results)
    return Best(folder.name, len(tried), chosen.parameters, chosen.hyperparameters, float(top.score), test, *took)


def _tried(shape: Shape) -> list[Hyperparameters]:
    """The head of the shipped space and its variants, as a search would begin with them."""
    space = load_space("ulpt")
    judged = judge_methods(replace(space, methods={"head": space.methods["head"]}), shape, budget=BUDGET)
    within = SearchSpace(judged, seeds=1)
    found = opening(within, count=lambda method, values: count_to_begin(method, values, shape), budget=BUDGET, light=len(HEADS))
    return [one.hyperparameters for one in found]


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
    parser.add_argument("--best", action="store_true", help="only the best in validation of what a search over heads begins with, tested")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        if asked.best:
            ends = [best(folder.resolve(), store) for folder in asked.tasks]
            print(json.dumps([asdict(end) for end in ends]) if asked.json else "\n".join(map(str, ends)))
            return
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
