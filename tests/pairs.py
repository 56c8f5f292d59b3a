"""A task of pairs on the tiny BERT, whose tokenizer tells the second text's tokens from the first's."""

from pathlib import Path

from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count

from . import families, task_files, toy
from .exporting import STEPS


def setup(folder: Path) -> Setup:
    """A study of a few steps; the task is written into `folder`."""
    texts, labels = toy.rows().texts_a, toy.rows().labels
    records = [{"text_a": a, "text_b": b, "label": toy.LABELS[int(c)]} for a, b, c in zip(texts, texts[::-1], labels, strict=True)]
    place = task_files.folder(folder / "pairs", train=records[:64], validation=records[64:80], test=records[80:])
    model = ModelSpec(str(families.folder("bert")), dtype="float32", device="cpu")
    task = TaskSpec("pairs", path=str(place), labels={label: label for label in toy.LABELS}, max_tokens=32)
    return Setup(model, task, Training(steps=STEPS, rungs=(STEPS,), batch=8), store=str(folder / "store"))


def trial(name: str) -> Trial:
    """A trial at the default values but for a high learning rate."""
    return Trial(0, name, {"lr": 0.5}, seed=3, parameters=count(name, {"lr": 0.5}, families.backbone("bert").shape))
