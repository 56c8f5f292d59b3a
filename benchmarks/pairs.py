"""What leaves chance on tasks that the cosine of a text with its label's description says nothing about: pairs, and grammar.

    python benchmarks/pairs.py --tasks TASKS/rte TASKS/mrpc TASKS/cola
    python benchmarks/pairs.py --tasks TASKS/stsb --full      # beside them, full fine-tuning of the linears; --only full+head without them

Every line is one trial of 200 steps of 16 rows, by the code that a search trains with; pairs are read as one text and apart. The rate was
not chosen on the test split. A line of 0 parameters names what the largest label alone would score.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Pairs, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.tasks import Task
from ulpt_search.workers.training import worker

Asked = tuple[tuple[str, Hyperparameters], ...]
HEADS: Asked = (("head", {"lr": 0.03}),)
ADAPTED: Asked = (
    ("lora+head", {"lora.rank": 4, "lora.modules": "q,v", "lora.lr": 0.005, "head.lr": 0.03}),
    ("lora+head", {"lora.rank": 4, "lora.modules": "all", "lora.lr": 0.01, "head.pooling": "first", "head.lr": 0.03}),
)
APART: Asked = (
    ("head", {"features": "cosine", "lr": 0.1}),
    ("head", {"features": "both,difference,product", "lr": 0.03}),
    ("lora+head", {"lora.rank": 4, "lora.modules": "q,v", "lora.lr": 0.005, "head.lr": 0.03, "head.features": "cosine"}),
)
FULL: Asked = tuple(("full+head", {"full.lr": rate, "head.lr": 0.03}) for rate in (5e-5, 5e-4))
COSINE: Asked = (("lora", {"rank": 4, "modules": "q,v", "lr": 0.005}),)


def measure(folder: Path, pairs: Pairs, store: str, *, full: bool, only: str | None) -> Iterator[str]:
    """Train a task's trials one after another; yields a line of the table for each."""
    setup = Setup(ModelSpec(), TaskSpec(folder.name, path=str(folder), pairs=pairs), Training(), store)
    session = worker.session(setup)
    apart = session.backbone.shape.answers.apart
    beside = (*(APART if apart else ()), *(COSINE if apart and session.task.kind == "regression" else ()), *(FULL if full else ()))
    asked = [one for one in (*HEADS, *ADAPTED, *beside) if only in (None, one[0])]
    for number, (method, values) in enumerate(asked):
        trial = Trial(number, method, values, seed=0, parameters=count(method, values, session.backbone.shape))
        outcome = worker.run_job(setup, Job(0, (Assignment(trial),), setup.training.steps, ("validation", "test")))
        scores = {result.split: float(result.score) for result in outcome.results}
        shown = ", ".join(f"{key}={value}" for key, value in values.items())
        read = "apart" if apart else "joined"
        yield f"| {folder.name} | {read} | {method} | {trial.parameters:,} | {scores['validation']:.3f} | {scores['test']:.3f} | {shown} |"


def largest(task: Task) -> str:
    """What the training rows' largest label scores by accuracy; nothing of numbers."""
    if task.kind == "regression":
        return ""
    ((label, _),) = Counter(task.train.labels).most_common(1)
    shares = [sum(own == label for own in rows.labels) / len(rows) for rows in (task.validation, task.test)]
    return f"| {task.name} | | {task.labels[int(label)]} | 0 | {shares[0]:.3f} | {shares[1]:.3f} | accuracy; its Matthews is 0 |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", type=Path, required=True, help="folders of tasks")
    parser.add_argument("--only", metavar="METHOD", help="the lines of this method alone")
    parser.add_argument("--full", action="store_true", help="full fine-tuning, too: minutes a line")
    asked = parser.parse_args()
    print("| task | pairs | method | parameters | validation | test | hyperparameters |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as store:
        for folder in (path.resolve() for path in asked.tasks):
            task = worker.session(Setup(ModelSpec(), TaskSpec(folder.name, path=str(folder)), Training(), store)).task
            print(largest(task), flush=True)
            ways: tuple[Pairs, ...] = ("joined",) if task.train.texts_b[0] is None else ("joined", "apart")
            for pairs in ways:
                for line in measure(folder, pairs, store, full=asked.full, only=asked.only):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
