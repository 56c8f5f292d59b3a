"""A task as frozen values: three disjoint splits of texts with labels, and what stands for each label."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from ...spaces.metrics import Kind, metrics_of
from ...spaces.space import Decoding, Reading
from .conversation import Conversation

METRICS: Mapping[Kind, tuple[str, ...]] = {kind: metrics_of(kind) for kind in get_args(Kind)}
"""What may be measured on each kind of task; the first is the default."""


Target = float | tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """One split, column by column; all columns are equally long."""

    texts_a: tuple[str, ...]
    texts_b: tuple[str | None, ...]
    """The second text of a pair; None for single texts."""
    labels: tuple[float, ...]
    """Whole numbers 0 .. labels-1 for classification and multiple choice, any finite number for regression, 0 for generation.

    Where a row has any number of labels, how many they are.
    """
    groups: tuple[str, ...] = ()
    """What each row belongs to, such as the document that its text is of: rows of one group are no independent draws. Empty: nothing."""
    choices: tuple[tuple[str, ...], ...] = ()
    """Each row's own choices, of which its label is the number. Empty: labels are the same for all rows."""
    conversations: tuple[Conversation, ...] = ()
    """What a generation row is made of; `texts_a` then has the user's last text. Empty for other kinds of task."""
    sets: tuple[tuple[int, ...], ...] = ()
    """The numbers of each row's labels, in order, where there may be any number of them. Empty: each row has one."""

    def __post_init__(self) -> None:
        lengths = (len(self.texts_a), len(self.texts_b), len(self.labels))
        if len(set(lengths)) != 1:
            raise ValueError(f"a split needs as many first texts as second texts and labels, got {lengths}")
        if self.groups and len(self.groups) != len(self.labels):
            raise ValueError(f"{len(self.labels)} rows need as many groups, or none, got {len(self.groups)}")
        if self.choices and len(self.choices) != len(self.labels):
            raise ValueError(f"{len(self.labels)} rows need as many lists of choices, or none, got {len(self.choices)}")
        if self.conversations and len(self.conversations) != len(self.labels):
            raise ValueError(f"{len(self.labels)} rows need as many conversations, or none, got {len(self.conversations)}")
        if self.sets and len(self.sets) != len(self.labels):
            raise ValueError(f"{len(self.labels)} rows need as many sets of labels, or none, got {len(self.sets)}")

    def __len__(self) -> int:
        return len(self.texts_a)

    def take(self, numbers: Iterable[int]) -> "Rows":
        """Return the rows of these numbers, in the order given."""
        chosen = list(numbers)
        texts_a, texts_b = (tuple(texts[i] for i in chosen) for texts in (self.texts_a, self.texts_b))
        groups = tuple(self.groups[i] for i in chosen) if self.groups else ()
        choices = tuple(self.choices[i] for i in chosen) if self.choices else ()
        conversations = tuple(self.conversations[i] for i in chosen) if self.conversations else ()
        sets = tuple(self.sets[i] for i in chosen) if self.sets else ()
        labels = tuple(self.labels[i] for i in chosen)
        return Rows(texts_a, texts_b, labels, groups, choices, conversations, sets)  # type: ignore[arg-type]

    def targets(self, kind: Kind, labels: int) -> tuple[Target, ...]:
        """Return what metrics and losses compare: label numbers, numbers, or of `labels` labels which a row has, 1 or 0 each."""
        if kind == "multi_label":
            return tuple(tuple(int(label in own) for label in range(labels)) for own in map(set, self.sets or ((),) * len(self)))
        return self.labels if kind == "regression" else tuple(int(label) for label in self.labels)


@dataclass(frozen=True)
class Task:
    """A task, ready to be trained on. No two splits share a text (or pair of texts).

    A multiple-choice row has its own choices, or lists its options, numbered, in the second text; its labels are the options' numbers.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    """Names of the labels; none for regression and generation."""
    descriptions: tuple[str, ...]
    """What stands for each label: its description for encoders, its word for language models."""
    metric: str
    """A name of `spaces/metrics.py`: what promotion goes by."""
    train: Rows
    validation: Rows
    test: Rows
    digest: str
    """sha256 of everything but the name and the notes: equal for equal content in equal splits, on any machine."""
    notes: tuple[str, ...] = ()
    """What was done to the data beyond reading it, each a sentence for people."""
    reading: Reading = field(default_factory=Reading)
    """How labels are read off a model, where it is up to the user."""
    origins: tuple[str, ...] = ()
    """Where each description comes from: `name`, `task.labels`, or `ours` for a text written by hand for a well-known set of labels."""

    metrics: tuple[str, ...] = ()
    """Further metrics, which are reported."""
    template: str = "auto"
    """How conversations become text: see `model/chat_text.py`."""
    decoding: Decoding = field(default_factory=Decoding)
    """How answers are written where they are."""

    @property
    def outputs(self) -> int:
        """How many numbers a head gives: one for each label, 1 of a regression; 0 where each row has its own choices."""
        return 1 if self.kind == "regression" else 0 if self.train.choices else len(self.labels)


def digest_of(*, kind: Kind, labels: Sequence[str], descriptions: Sequence[str], metric: str, splits: Sequence[Rows]) -> str:
    """Return `Task.digest` of these contents."""
    digest = hashlib.sha256(json.dumps([kind, labels, descriptions, metric]).encode())
    for split in splits:
        columns = (split.choices, [one.to_json() for one in split.conversations], split.sets)
        own = [column for column in columns if column]
        digest.update(json.dumps([split.texts_a, split.texts_b, split.labels, *own]).encode())
    return digest.hexdigest()
