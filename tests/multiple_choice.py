"""A multiple-choice task for tests: rows with two to four choices of one to three words, one of which is named in the text."""

import random
from pathlib import Path

from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import Task, load_task

from . import task_files

COLOURS = ("red", "green", "blue")


def records(count: int = 96) -> list[dict[str, object]]:
    """The right choice begins with the colour that the text's first word stands for."""
    chance = random.Random(0)
    return [_record(chance, number) for number in range(count)]


def _record(chance: random.Random, number: int) -> dict[str, object]:
    colour = number % 3
    words = " ".join(f"w{chance.randrange(10, 60)}" for _ in range(chance.randrange(2, 9)))
    choices = [f"{name} w{chance.randrange(10, 60)}" for name in COLOURS]
    choices += [" ".join(f"w{chance.randrange(10, 60)}" for _ in range(3))] * (number % 2)
    if number % 5 == 0:
        choices = [choices[colour], choices[(colour + 1) % 3]]
        return {"text_a": f"w{colour} {words} w{number % 60}", "choices": choices, "label": 0}
    return {"text_a": f"w{colour} {words} w{number % 60}", "choices": choices, "label": colour}


def folder(place: Path) -> Path:
    """Write the task into a folder; returns it."""
    rows = records()
    return task_files.folder(place / "choose", train=rows[:64], validation=rows[64:80], test=rows[80:])


def task(place: Path, **options: str) -> Task:
    """The task as it is loaded."""
    return load_task(TaskSpec(path=str(folder(place)), choices="choices", **options))  # type: ignore[arg-type]
