"""One study's curve as a value, and the files it can be written to: picture, page and comma-separated values."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from ..spaces.records import Point
from .frontier import frontier
from .palette import Style, styles
from .verdicts import notes


@dataclass(frozen=True)
class Curve:
    """Every point of a study at one step, with what a reader must know about them."""

    study: str
    budget: int
    """Cap on trainable parameters."""
    points: tuple[Point, ...]
    metric: str = "score"
    task: str = ""
    model: str = ""
    methods: tuple[str, ...] = ()
    """Every method of the space, so that colours do not change while results come in; default: those with points."""
    home: str = ""
    """The folder that commands name with `--home`; empty for the default one."""

    @cached_property
    def front(self) -> tuple[Point, ...]:
        """The frontier, cheapest first."""
        return tuple(frontier(self.points))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What must be said under the curve."""
        return tuple(notes(self.points, self.front))

    @cached_property
    def styles(self) -> dict[str, Style]:
        """Method -> how it is drawn."""
        return styles((*self.methods, *(point.method for point in self.points)))

    @property
    def step(self) -> int:
        """The step at which all points are compared; 0 without points."""
        return max((point.steps for point in self.points), default=0)

    @property
    def has_finals(self) -> bool:
        """Whether some point of the frontier has a test score."""
        return any(point.test_score is not None for point in self.front)

    @property
    def subject(self) -> str:
        """`sst2 · minilm · 40 trials at step 200`."""
        compared = f"{len(self.points)} trials at step {self.step}" if self.points else "no results yet"
        return " · ".join(part for part in (self.task, self.model, compared) if part)


def csv_text(points: Iterable[Point]) -> str:
    """Return one line a point under the columns of `frontier --json`; hyperparameters and seeds as JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Point)], lineterminator="\n")
    writer.writeheader()
    for point in points:
        row = point.to_json()
        writer.writerow({**row, "hyperparameters": json.dumps(row["hyperparameters"]), "seeds": json.dumps(row["seeds"])})
    return text.getvalue()


def write_csv(curve: Curve, path: Path) -> None:
    """Write the frontier, cheapest first."""
    path.write_text(csv_text(curve.front), encoding="utf-8")


def write_png(curve: Curve, path: Path) -> None:
    """Write the picture (1600 × 1000)."""
    from .picture import png

    path.write_bytes(png(curve))


def write_html(curve: Curve, path: Path) -> None:
    """Write the interactive page: one file that asks the network for nothing."""
    from .page import html

    path.write_text(html(curve), encoding="utf-8")
