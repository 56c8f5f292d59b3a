"""Toy tasks of the other kinds: a number, any number of labels, pairs; and the shortest way to train a pack on one."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ulpt_search.spaces.space import TaskSpec, Training
from ulpt_search.workers.catalogue import rule
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.choice import for_task, readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Task
from ulpt_search.workers.training.trainer import Trained, Trainer

from . import task_files, toy, zoo

NAMES = ("red", "green", "blue")


def records(kind: str, count: int, *, start: int = 0, pairs: bool = False) -> list[dict[str, Any]]:
    """Texts of some words: the number is that of a word, the labels are those of three words that are there; a pair shares some words."""
    return [_record(kind, random.Random(number), pairs=pairs) for number in range(start, start + count)]


def _record(kind: str, chance: random.Random, *, pairs: bool) -> dict[str, Any]:
    present = [number for number in range(3) if chance.random() < 0.4]
    others = [f"w{chance.randrange(10, 60)}" for _ in range(chance.randrange(3, 8))]
    words = [*(f"w{number}" for number in present), *others]
    chance.shuffle(words)
    if not pairs:
        label: object = 100.0 + 5 * len(words) if kind == "regression" else [NAMES[number] for number in present]
        return {"text_a": " ".join(words), "label": label}
    shared = chance.randrange(len(others) + 1)
    second = [*others[:shared], *(f"w{chance.randrange(10, 60)}" for _ in others[shared:])]
    number = 5.0 * shared / len(others)
    by_kind: dict[str, object] = {"regression": number, "multi_label": [NAMES[n] for n in present], "classification": int(number > 2.5)}
    return {"text_a": " ".join(words), "text_b": " ".join(second), "label": by_kind[kind]}


def folder(path: Path, kind: str, *, pairs: bool = False) -> Path:
    """Write such a task of 64, 24 and 24 rows into a folder; returns it."""
    splits = {"train": records(kind, 64, pairs=pairs), "validation": records(kind, 24, start=1000, pairs=pairs)}
    meta = {"kind": kind, "labels": None if kind == "regression" else ["no", "yes"] if kind == "classification" else list(NAMES)}
    return task_files.folder(path / kind, meta=meta, **splits, test=records(kind, 24, start=2000, pairs=pairs))


def spec(path: Path, **changes: Any) -> TaskSpec:
    """The task in a folder."""
    return TaskSpec(path.name, path=str(path), max_tokens=32, **changes)


def trainer(family: str, task: Task, *, steps: int = 20) -> Trainer:
    """A trainer of a task on the tiny model of a family, in double precision."""
    backbone = for_task(zoo.backbone(family), task)
    return Trainer(backbone, readout_of(backbone, task), Training(steps=steps, rungs=(steps,), batch=8))


def train(run: Trainer, task: Task, configs: Sequence[toy.Config], *, steps: int) -> tuple[Pack, Trained, Tensor]:
    """Train a fresh pack; returns it with its losses and its scores (trials, rows, outputs) of the training rows."""
    fresh, data = toy.pack(run.backbone, configs), encode(run.backbone, task.train, max_tokens=32)
    follow = rule(*configs[0][:2])
    run.heads.begin(fresh, data)
    trained = run.train(fresh, follow, follow.start(fresh), [seed for _, _, seed in configs], data, start=0, stop=steps)
    return fresh, trained, run.predict(fresh, data)
