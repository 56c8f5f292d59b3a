"""What stands beside a curve, for named tasks: the frozen model, a linear probe and, where asked for, full fine-tuning.

    python benchmarks/references.py --tasks TASKS/trec TASKS/sst2
    python benchmarks/references.py --tasks TASKS/trec --ceiling --steps 100    # minutes

By the code, the readout and the splits of a search. Scores are the task's own metric, ± 1.96 standard errors over rows on the test split.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ulpt_search.spaces.references import CEILING, KINDS, Reference, ReferenceKind
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.references import measure


def references(folder: Path, kinds: Sequence[ReferenceKind], *, model: str, steps: int, store: str) -> Iterator[tuple[str, Reference]]:
    """Yield the metric's name and a reference, for each that the task has."""
    recipe = Training(steps=steps, rungs=(steps,))
    session = worker.session(Setup(ModelSpec(model), TaskSpec(folder.name, path=str(folder)), recipe, store))
    for one in measure(session, kinds):
        yield session.task.metric, one


def row(task: str, metric: str, one: Reference) -> str:
    """A reference as a row of the table."""
    error = 1.96 * math.sqrt(one.test_variance)
    scores = f"{one.score:.3f} | {one.test_score:.3f} ± {error:.3f}"
    return f"| {task} | {metric} | {one.kind} | {one.parameters:,} | {scores} | {one.seconds:.1f} | {one.about} |"


def main() -> None:
    """Measure and print, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", type=Path, required=True, help="folders of tasks")
    parser.add_argument("--model", default=ModelSpec.name, help="minilm, a transformers folder, or a hub id")
    parser.add_argument("--ceiling", action="store_true", help="full fine-tuning, too")
    parser.add_argument("--steps", type=int, default=Training.steps, help="of the recipe; full fine-tuning takes several times as many")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    asked = parser.parse_args()
    kinds = (*KINDS, *(CEILING if asked.ceiling else ()))
    if not asked.json:
        print("| task | metric | reference | parameters | validation | test | seconds | what it is |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as store:
        for folder in asked.tasks:
            for metric, one in references(folder.resolve(), kinds, model=asked.model, steps=asked.steps, store=store):
                told = json.dumps({"task": folder.name, "metric": metric, **one.to_json()})
                print(told if asked.json else row(folder.name, metric, one), flush=True)


if __name__ == "__main__":
    main()
