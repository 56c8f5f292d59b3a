"""A few rows of a task exactly as a model gets them: which tokens, and which of them are learnt."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ...spaces.errors import WrongInput
from ...spaces.space import ModelSpec, Space

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ...spaces.shape import Shape
    from ...workers.tasks import Rows, Task

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Token:
    """One token of a row."""

    id: int
    token: str
    """As the vocabulary has it."""
    trained: bool


@dataclass(frozen=True)
class Stretch:
    """Neighbouring tokens that are learnt, or that are not, as text."""

    text: str
    trained: bool


@dataclass(frozen=True)
class ShownRow:
    """One row of training."""

    tokens: tuple[Token, ...]
    stretches: tuple[Stretch, ...]
    label: str | None = None
    """What is told of it besides its tokens, where labels are."""

    @property
    def learnt(self) -> int:
        """How many of its tokens are learnt."""
        return sum(token.trained for token in self.tokens)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        tokens = [{"id": one.id, "token": one.token, "trained": one.trained} for one in self.tokens]
        return {"text": "".join(one.text for one in self.stretches), "tokens": tokens, "label": self.label}


@dataclass(frozen=True)
class ShownTask:
    """What `tasks show` says."""

    name: str
    kind: str
    metric: str
    sizes: dict[str, int]
    notes: tuple[str, ...]
    rows: tuple[ShownRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        own = {"name": self.name, "kind": self.kind, "metric": self.metric, "sizes": self.sizes, "notes": list(self.notes)}
        return {**own, "rows": [row.to_json() for row in self.rows]}


def shown_task(source: str, model: str | None, overrides: Sequence[str], *, count: int) -> ShownTask:
    """Return the first `count` training rows of a task as `model` gets them; weights are loaded only where labels are to be read."""
    from ...workers.model.backbone import shape_of, tokenizer_of
    from ...workers.model.fitting import fitted
    from ...workers.tasks import load_task

    space = _space(source, model, overrides)
    task, tokenizer, shape = load_task(space.task), tokenizer_of(space.model), shape_of(space.model)
    task = fitted(task, tokenizer, shape.family, max_tokens=space.task.max_tokens, positions=shape.positions)
    some = task.train.take(range(min(count, len(task.train))))
    rows, notes = _written(some, task, tokenizer, shape) if some.conversations else _labelled(some, task, space)
    sizes = {split: len(getattr(task, split)) for split in SPLITS}
    return ShownTask(task.name, task.kind, task.metric, sizes, (*task.notes, *notes), tuple(rows))


def _space(source: str, model: str | None, overrides: Sequence[str]) -> Space:
    """The task and the model as `run` would have them."""
    from ...workers.catalogue import load_space

    given = [f"task={json.dumps(source)}", f"model={json.dumps(model or ModelSpec.name)}", *overrides]
    return load_space("smoke", overrides=given)


def _written(some: "Rows", task: "Task", tokenizer: "PreTrainedTokenizerBase", shape: "Shape") -> tuple[list[ShownRow], list[str]]:
    from ...workers.model.rendering import render

    if shape.family == "encoder":
        raise WrongInput(f"task {task.name}: an encoder writes no answers; give a decoder or an encoder-decoder")
    made = [render(tokenizer, shape.family, talk, task.template) for talk in some.conversations]
    both = [([*row.ids, *row.answer], [*row.trained, *(True for _ in row.answer)]) for row in made]
    return [_row(tokenizer, ids, trained) for ids, trained in both], []


def _labelled(some: "Rows", task: "Task", space: Space) -> tuple[list[ShownRow], list[str]]:
    import numpy as np

    from ...workers.model.backbone import load
    from ...workers.model.readouts.choice import for_task, readout_of
    from ...workers.model.readouts.cut_texts import cut_notes
    from ...workers.model.readouts.encoding import encode

    backbone = for_task(load(space.model), task)
    limit = readout_of(backbone, task).room(space.task.max_tokens, backbone.conventions.room)
    data = encode(backbone, some, max_tokens=limit)
    ids = [np.concatenate(data.ids[row * data.per_row : (row + 1) * data.per_row]) for row in range(len(some))]
    told = [_label(task, some, number) for number in range(len(some))]
    rows = [replace(_row(backbone.tokenizer, own.tolist(), [False] * len(own)), label=label) for own, label in zip(ids, told, strict=True)]
    return rows, list(cut_notes(backbone, task.train, max_tokens=limit))


def _label(task: "Task", rows: "Rows", number: int) -> str:
    value = rows.labels[number]
    if rows.sets:
        return ", ".join(task.labels[own] for own in rows.sets[number]) or "none"
    if rows.choices:
        return rows.choices[number][int(value)]
    return f"{task.labels[int(value)]}, {task.descriptions[int(value)]!r}" if task.labels else f"{value:g}"


def _row(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int], trained: Sequence[bool]) -> ShownRow:
    tokens = tuple(Token(*one) for one in zip(ids, map(str, tokenizer.convert_ids_to_tokens(list(ids))), trained, strict=True))
    return ShownRow(tokens, tuple(_stretches(tokenizer, ids, trained)))


def _stretches(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int], trained: Sequence[bool]) -> Iterator[Stretch]:
    """Text as it stands in the whole: what a token stands for depends on those before it."""
    end, before = 0, ""
    for learnt, group in groupby(trained):
        end += len(list(group))
        text = str(tokenizer.decode(list(ids[:end]), skip_special_tokens=False, clean_up_tokenization_spaces=False))
        yield Stretch(text[len(before) :], learnt)
        before = text
