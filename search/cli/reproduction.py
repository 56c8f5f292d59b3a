"""Our studies beside a paper's table: which stands for which task, what each found, and in what they differ from the paper."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...spaces.errors import Failure, WrongInput
from ...spaces.records import Point
from ...workers.tasks.published import definition
from ...workers.tasks.published_results import PublishedResults
from ..home import Home
from ..ledger.reading import History, read_study

if TYPE_CHECKING:
    from ...spaces.space import Space

BUDGET = "1e5"


@dataclass(frozen=True)
class Ours:
    """What our study of a task found, where there is one."""

    task: str
    metric: str
    ulpt: Point | None = None
    """The ULPT that is best in validation."""
    best: Point | None = None
    """Of all methods."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        points = {"ulpt": self.ulpt, "best": self.best}
        return {"task": self.task, "metric": self.metric, **{name: point and point.to_json() for name, point in points.items()}}


@dataclass(frozen=True)
class Reproduction:
    """A paper's table with ours beside it."""

    published: PublishedResults
    ours: tuple[Ours, ...]
    differences: tuple[str, ...]
    """How what we ran differs from the paper, each a line."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; the paper's scores are per cents, ours are not."""
        table = self.published
        rows = [{"method": row.method, "parameters": row.parameters, "scores": dict(row.scores)} for row in table.rows]
        theirs = {"source": table.source, "recipe": dict(table.recipe), "rows": rows}
        return {"suite": table.suite, "published": theirs, "ours": [one.to_json() for one in self.ours], "differences": [*self.differences]}


def study_of(task: str) -> str:
    """The study that stands for a task."""
    return f"paper-{task}"


def reproduction(published: PublishedResults, places: Home) -> Reproduction:
    """Return a table with what the home's studies found; a task without one stays empty."""
    found = {task: history for task in published.tasks if (history := _history(places, task)) is not None}
    ours = tuple(_ours(task, found.get(task)) for task in published.tasks)
    lines = dict.fromkeys(line for history in found.values() for line in _differences(history.space, published.recipe))
    return Reproduction(published, ours, tuple(lines))


def run_missing(published: PublishedResults, home: str, *, data: Path | None, more: Sequence[str]) -> None:
    """Run each task's search, or its rest, one after the other as its own command; `more` goes behind its options.

    Raises `Failure` where one ends badly: what is done is kept, and the same command goes on.
    """
    places = {task: _where(task, data) for task in published.tasks}  # what is missing is said before hours are spent on the rest
    for task, place in places.items():
        asked = [*place, "--study", study_of(task), "--home", home, *more]
        command = (sys.executable, "-m", "ulpt_search.search.cli", "run", "--space", published.space, "--budget", BUDGET, *asked)
        status = subprocess.run(command, check=False).returncode
        if status:
            raise Failure(f"{task}: its search ended with {status}; the same command goes on with it")


def _where(task: str, data: Path | None) -> tuple[str, ...]:
    if data is None:
        return ("--task", task)
    folder = data / task
    if not folder.is_dir():
        raise WrongInput(f"--data {data}: no folder {task} in it; put its train and validation files there")
    return ("--set", f"task.name={task}", "--set", f"task.definition={task}", "--set", f"task.path={folder.resolve()}")


def _history(places: Home, task: str) -> History | None:
    try:
        return read_study(places, study_of(task))
    except WrongInput:
        return None


def _ours(task: str, history: History | None) -> Ours:
    one = definition(task)
    if history is None:
        return Ours(task, one.metric)
    measured = [point for point in history.curve.points if point.test_score is not None]
    return Ours(task, one.metric, _best(point for point in measured if point.method == "ulpt"), _best(measured))


def _best(points: "Iterator[Point] | Sequence[Point]") -> Point | None:
    return max(points, key=lambda point: point.score, default=None)


def _differences(space: "Space", recipe: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a recipe that a study has, too, and in which it differs."""
    length = space.methods.get("ulpt", {}).get("prompt_length")
    ours = {"model": space.model.name, "steps": space.training.steps, "batch": space.training.batch, "max_tokens": space.task.max_tokens}
    for key, value in {**ours, "prompt_length": length}.items():
        if value != recipe[key]:
            yield f"{key}: {value}, in the paper {recipe[key]}"
    if space.task.limit is not None:
        yield f"training rows: at most {space.task.limit:,}, in the paper all"
    if space.task.path is not None:
        yield "rows: of a folder, not the hub's"
