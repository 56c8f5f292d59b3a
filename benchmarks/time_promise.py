"""How well `run --time` keeps its promise: the share of the time that is used, what it is passed by, and what comes of it.

    python benchmarks/time_promise.py --data FOLDER [--tasks a,b,...] [--minutes 2,4,8] [--workers N] [--home FOLDER] [--json]

FOLDER holds one folder a task (train.jsonl, validation.jsonl, meta.json). Every cell is one command as a user would type it, in a study
of its own; its time is that of the whole process, from before Python starts to the shell's prompt. The first cell of a task also measures
the machine. On a machine that does other work the figures are as noisy as that work.
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

COMMAND = (sys.executable, "-m", "ulpt_search.search.cli")


@dataclass(frozen=True)
class Cell:
    """One search under a limit."""

    task: str
    minutes: float
    seconds: float
    trials: int
    """Of the search."""
    points: int
    """On the curve's front, each measured over fresh seeds."""
    seeds: int
    """The fewest that a point of the front has."""
    best: float
    """Its test score, of the point with the best validation score."""
    size: int
    """That point's parameters."""
    probe: float | None
    """A linear probe's test score, where one was measured."""
    probe_size: int | None
    within: float | None
    """The test score of the point that is best in validation among those no larger than the probe."""

    @property
    def row(self) -> str:
        """The cell as a row of the table."""
        used, over = self.seconds / (60 * self.minutes), self.seconds - 60 * self.minutes
        cells = (self.task, f"{self.minutes:g}", f"{used:.0%}", f"{over:+.0f} s", self.trials, self.points, self.seeds)
        return f"| {' | '.join(map(str, cells))} | {self.best:.3f} ({self.size:,}) | {self._beside} |"

    @property
    def _beside(self) -> str:
        if self.probe is None:
            return "– | –"
        return f"{'–' if self.within is None else f'{self.within:.3f}'} | {self.probe:.3f} ({self.probe_size:,})"


def measure(data: Path, home: Path, *, task: str, minutes: float, space: str, budget: str, more: tuple[str, ...]) -> Cell:
    """Run one search and read what it left; raises `CalledProcessError` where it fails."""
    study = f"{task}-{minutes:g}m"
    options = ("--space", space, "--budget", budget, "--task", str(data / task), "--study", study, "--time", f"{minutes:g}m", *more)
    began = time.perf_counter()
    subprocess.run([*COMMAND, "run", "--home", str(home), *options, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    shown, front = _read(home, "show", study), _read(home, "frontier", study)
    searched = sum(trial["purpose"] == "search" for trial in shown["trials"])
    probe = next((one for one in shown["references"] if one["kind"] == "probe"), None)
    best, within = _best(front), _best([point for point in front if probe and point["trainable_parameters"] <= probe["parameters"]])
    return Cell(
        task=task,
        minutes=minutes,
        seconds=seconds,
        trials=searched,
        points=len(front),
        seeds=min(len(point["seeds"]) for point in front),
        best=best["test_score"],
        size=best["trainable_parameters"],
        probe=probe and probe["test_score"],
        probe_size=probe and probe["parameters"],
        within=within and within["test_score"],
    )


def _best(points: list[Any]) -> Any:
    return max(points, key=lambda point: point["score"], default=None)


def _read(home: Path, command: str, study: str) -> Any:
    found = subprocess.run([*COMMAND, command, study, "--home", str(home), "--json"], check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def table(cells: list[Cell]) -> str:
    """The cells in Markdown."""
    head = "| task | minutes | used | over | trials | points | seeds | best, test (parameters) | best no larger than the probe | probe |"
    head += f"\n|{'---|' * 10}"
    return "\n".join([head, *(cell.row for cell in cells)])


def main() -> None:
    """Measure the cells asked for, the shorter limits of a task first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", default="trec,sst2,sms_spam,subj,banking77")
    parser.add_argument("--minutes", default="2,4,8")
    parser.add_argument("--space", default="ulpt")
    parser.add_argument("--budget", default="1e4")
    parser.add_argument("--workers", help="worker processes; left to the product by default")
    parser.add_argument("--home", type=Path, help="where the studies are kept; without it they are not")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    more = ("--workers", asked.workers) if asked.workers else ()
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for task in asked.tasks.split(","):
            for minutes in sorted(map(float, asked.minutes.split(","))):
                home, data = asked.home or Path(folder), asked.data.resolve()
                cells.append(measure(data, home, task=task, minutes=minutes, space=asked.space, budget=asked.budget, more=more))
                print(cells[-1].row, file=sys.stderr, flush=True)
    print(json.dumps([asdict(cell) for cell in cells]) if asked.json else table(cells))


if __name__ == "__main__":
    main()
