"""What a task asks of a head on a model of some family, and whether anything else can answer it: by rule, before weights are loaded."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ....spaces.errors import WrongInput
from ....spaces.shape import Answers, Family, Shape
from ...tasks import Rows, Task


def shape_for(shape: Shape, task: Task) -> Shape:
    """The shape of a frozen model with what the task asks of it, which heads are made for."""
    return replace(shape, labels=task.outputs, answers=answers_of(task, shape.family, masked=shape.handling.masked))


def answers_of(task: Task, family: Family, *, masked: bool) -> Answers:
    """Return it; `WrongInput` where a task's pairs cannot be read as its user asks."""
    apart = reads_apart(task, family, masked=masked)
    return Answers(task.kind, _units(task), apart, _needs_head(task, family, apart=apart))


def reads_apart(task: Task, family: Family, *, masked: bool) -> bool:
    """Whether the texts of a pair are read each by itself: where the user says so, and where an encoder reads numbers off pairs."""
    asked, lone = task.reading.pairs, next(_lone(task), None)
    if asked == "joined" or (asked == "auto" and (task.kind != "regression" or family != "encoder" or masked or lone is not None)):
        return False
    if lone is not None:
        raise WrongInput(f"task.pairs: apart, but {task.name} has {lone:,} rows of one text; give every row two, or take joined")
    hindered = _hindered(task, masked=masked)
    if hindered:
        raise WrongInput(f"task.pairs: apart, but {hindered}")
    return True


def _hindered(task: Task, *, masked: bool) -> str:
    """What wants both texts of a pair as one; empty where nothing does."""
    if masked or task.reading.way == "numbers":
        return f"{'a mask stands' if masked else 'numbers stand'} behind a whole pair"
    return "each row has its own choices" if task.train.choices else ""


def _lone(task: Task) -> Iterator[int]:
    """How many rows of each split have one text only, where there are any."""
    splits: tuple[Rows, ...] = (task.train, task.validation, task.test)
    yield from (count for rows in splits if (count := rows.texts_b.count(None)))


def _units(task: Task) -> tuple[float, float]:
    if task.kind != "regression":
        return Answers.units
    numbers = np.asarray(task.train.labels, dtype=np.float64)
    return float(numbers.mean()), float(numbers.std())


def _needs_head(task: Task, family: Family, *, apart: bool) -> str:
    """Why no words and no cosine answer it."""
    if task.kind == "multi_label":
        return "any number of labels a row is read by a head"
    if task.kind == "regression" and task.reading.way != "numbers" and not (apart and family == "encoder"):
        other = "by an encoder off the cosine of two texts read apart" if family == "encoder" else "in words where task.readout is numbers"
        return f"a number is read by a head, or {other}"
    return "of pairs read apart, labels are read by a head" if apart and task.kind != "regression" else ""
