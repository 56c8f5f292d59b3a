"""Language models that know digits, for numbers that are written; and a task of numbers with one decimal."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from tokenizers import Regex
from tokenizers.pre_tokenizers import Sequence, Split, Whitespace

from ulpt_search.spaces.space import ModelSpec, Reading
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.tasks import Rows, Task

from . import litter, task_files, toy, zoo

LOW = -0.4


@cache
def saved(family: str) -> str:
    """Folder of a tiny model whose tokenizer takes numbers sign by sign."""
    tokenizer = zoo.tokenizer()
    tokenizer.add_tokens([*"0123456789", ".", "-"])
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Whitespace(), Split(Regex("[-.]"), "isolated")])
    model = zoo.model(family)
    torch.manual_seed(1)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    folder = litter.folder(f"numbered-{family}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@cache
def backbone(family: str, dtype: torch.dtype = torch.float64) -> Backbone:
    """The same through the real loader."""
    loaded = load(ModelSpec(saved(family), dtype="float32", device="cpu"))
    torch.nn.Module.to(loaded.model, dtype)
    return loaded


def rows() -> Rows:
    """The toy task's texts; a class is a number between -0.4 and 1.1."""
    plain = toy.rows()
    return Rows(
        plain.texts_a, plain.texts_b, tuple(round(LOW + 0.7 * label + 0.1 * (place % 2), 1) for place, label in enumerate(plain.labels))
    )


def task(*, few: bool = False, **reading: str) -> Task:
    """The toy task of numbers, in words; of `few`, 0 and 1."""
    data = rows()
    data = replace(data, labels=tuple(float(round(number)) for number in data.labels)) if few else data
    return Task("toy", "regression", (), (), "pearson", data, data, data, "toy", reading=Reading(way="numbers", **reading))  # type: ignore[arg-type]


def folder(path: Path) -> Path:
    """Write the task into a folder; returns it."""
    data = rows()
    records = [{"text_a": text, "label": label} for text, label in zip(data.texts_a, data.labels, strict=True)]
    return task_files.folder(
        path / "numbered", meta={"kind": "regression"}, train=records[:64], validation=records[64:80], test=records[80:]
    )
