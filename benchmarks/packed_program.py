"""The plan that `stock_program.py` follows, by our workers: packs of trials through one frozen pass, on Ray as a search runs them.

    python benchmarks/packed_program.py PLAN.json

Nothing is proposed: the jobs are the plan's trials, packed, each pack trained from one of the plan's steps to the next and scored
there. Prints one JSON line.
"""

import json
import math
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulpt_search.search.running.cluster import Cluster
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import Failure
from ulpt_search.spaces.records import Assignment, Job, Outcome, Result, Split, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.model.backbone import load

NAMES = {"prompt": ("lr", "prompt_length"), "ia3": ("lr",), "lora": ("lr", "rank", "alpha")}
"""What each method takes of a planned trial."""


class Fixed:
    """Hands out a fixed list of trials in packs and sends each pack on to the next step once it was scored."""

    def __init__(self, trials: Sequence[Trial], *, steps: Sequence[int], split: Split, pack: int, workers: int) -> None:
        self._steps, self._split = steps, split
        packs = even(sorted(trials, key=lambda trial: trial.method), pack=pack, workers=workers)
        self._waiting = deque(Job(number, tuple(map(Assignment, trials)), steps[0], (split,)) for number, trials in enumerate(packs))
        self._running: dict[int, Job] = {}
        self.last: dict[int, Result] = {}

    def next_job(self) -> Job | None:
        """Return a pack that is ready for its next step."""
        if not self._waiting:
            return None
        job = self._waiting.popleft()
        self._running[job.number] = job
        return job

    def record(self, outcome: Outcome) -> None:
        """Keep the results and let the pack go on. Raises `Failure` for a trial without a result: the sides must do the same work."""
        if outcome.problems:
            raise Failure(f"trial {outcome.problems[0].trial} has no result: {outcome.problems[0].error}; leave it out of the plan")
        job = self._running.pop(outcome.job)
        self.last.update({result.trial: result for result in outcome.results})
        later = [step for step in self._steps if step > job.stop]
        if later:
            parts = tuple(Assignment(a.trial, job.stop, self.last[a.trial.number].adapter) for a in job.assignments)
            self._waiting.append(replace(job, assignments=parts, stop=later[0]))

    def finished(self) -> bool:
        """Whether every pack has been through its last step."""
        return not self._waiting and not self._running


def even(trials: Sequence[Trial], *, pack: int, workers: int) -> list[Sequence[Trial]]:
    """Cut into packs of at most `pack` trials, nearly equal in size, and as many for each worker where there are enough trials."""
    rounds = math.ceil(len(trials) / pack / workers)
    count = min(len(trials), rounds * workers)
    ends = [round(number * len(trials) / count) for number in range(count + 1)]
    return [trials[ends[number] : ends[number + 1]] for number in range(count)]


def trial(number: int, planned: Mapping[str, Any], *, rms: float) -> Trial:
    """Return a planned trial as ours. Its count of parameters is nobody's concern here.

    The plan's rates are the stock program's, without units; a prompt's is in units of `rms`, the token embeddings' own size. What LoRA's B
    adds is in units of its linear's output, 0.9 to 1.9 on MiniLM, and its one rate stays as planned.
    """
    values: Hyperparameters = {name: planned[name] for name in NAMES[planned["method"]]}
    if planned["method"] == "prompt":
        values = {**values, "lr": planned["lr"] / rms}
    return Trial(number, planned["method"], values, planned["seed"], parameters=0)


def sweep(plan: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Run all trials; return each one's configuration and last accuracy."""
    recipe = Training(steps=plan["steps"], rungs=tuple(plan["scored"]), batch=plan["batch"], warmup=plan["warmup"], clip=plan["clip"])
    setup = Setup(ModelSpec(device="cpu"), TaskSpec(**plan["task"]), recipe, str(folder / "store"))
    rms = load(setup.model).shape.embedding_rms
    trials = [trial(number, planned, rms=rms) for number, planned in enumerate(plan["trials"])]
    fixed = Fixed(trials, steps=plan["scored"], split=plan["split"], pack=plan["pack"], workers=plan["workers"])
    with Cluster(
        workers=plan["workers"], cpus_per_worker=1, gpus_per_worker=0, address=None, storage=folder / "ray", setup=setup
    ) as cluster:
        cluster.run(next_job=fixed.next_job, record=fixed.record, finished=fixed.finished)
    return [
        {**planned, "accuracy": fixed.last[number].score, "step": fixed.last[number].step} for number, planned in enumerate(plan["trials"])
    ]


def main() -> None:
    """Do what the plan says."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf8"))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(sweep(plan, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
