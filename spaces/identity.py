"""What results rest on, as plain strings: the frozen model, the task as it is read, and what computes the numbers.

Results of different frozen sides or tasks cannot be compared, so what differs there is refused wherever the two meet: by the
study's record, by every worker before it trains, by an adapter in the store, by an export. Numerics may differ; each result
says what it was computed with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from .hashing import sha256_of_json


@dataclass(frozen=True)
class Content:
    """sha256 of something twice: of what the libraries made of it, and of its files.

    It is the same where either is: a copy saved anew has other files, and a newer library may read the same files in another way.
    """

    loaded: str
    files: str = ""
    """Empty where there are no files to hash."""

    def same(self, other: "Content") -> bool:
        """Whether both name the same content."""
        return self.loaded == other.loaded or (self.files != "" and self.files == other.files)

    def __str__(self) -> str:
        """Enough of it to be told from others."""
        return self.loaded[:12]


@dataclass(frozen=True)
class FrozenSide:
    """The frozen model: only what a pass uses."""

    weights: Content
    tokenizer: Content
    config: Content
    revision: str = ""
    """Commit of a hub model; told, but not compared: many commits change no weight."""
    former: str = ""
    """What versions without this record called the weights; adapters that were stored then carry it."""

    def differences(self, now: "FrozenSide") -> "tuple[Difference, ...]":
        """What is another in `now`."""
        pairs = [(name, getattr(self, name), getattr(now, name)) for name in ("weights", "tokenizer", "config")]
        return tuple(Difference(name, str(then), str(new)) for name, then, new in pairs if not then.same(new))


@dataclass(frozen=True)
class TaskSide:
    """The task as the model gets it; rows, labels and descriptions by their sha256."""

    train: str
    validation: str
    test: str
    labels: str
    descriptions: str
    metric: str
    template: str
    """How a text, or a pair, becomes tokens, and outputs become scores."""
    max_tokens: str
    split_rule: str
    """How splits are carved that the data does not have."""

    @property
    def digest(self) -> str:
        """sha256 of all of it."""
        return sha256_of_json(asdict(self))

    def differences(self, now: "TaskSide") -> "tuple[Difference, ...]":
        """What is another in `now`."""
        pairs = [(field.name, getattr(self, field.name), getattr(now, field.name)) for field in fields(self)]
        return tuple(Difference(_SAID.get(name, name), _shown(then), _shown(new)) for name, then, new in pairs if then != new)


@dataclass(frozen=True)
class Numerics:
    """What changes numbers in their last digits, or a little more."""

    dtype: str
    attention: str
    device: str
    torch: str
    transformers: str

    def __str__(self) -> str:
        """One line for people, and what a result keeps."""
        return f"{self.dtype}, {self.attention} attention, {self.device}, torch {self.torch}, transformers {self.transformers}"


@dataclass(frozen=True)
class Identity:
    """All that results of one study have in common."""

    frozen: FrozenSide
    task: TaskSide
    numerics: Numerics

    def sides(self, now: "Identity") -> "tuple[tuple[Difference, ...], tuple[Difference, ...]]":
        """What makes results of `now` another study's, in the model and in the task; numerics do not."""
        return self.frozen.differences(now.frozen), self.task.differences(now.task)

    def differences(self, now: "Identity") -> "tuple[Difference, ...]":
        """Both sides' differences."""
        model, task = self.sides(now)
        return (*model, *task)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Identity":
        """Return the identity that `to_json` wrote."""
        told = values["frozen"]
        weights, tokenizer, config = (Content(**told[name]) for name in ("weights", "tokenizer", "config"))
        frozen = FrozenSide(weights, tokenizer, config, told["revision"], told["former"])
        return cls(frozen, TaskSide(**values["task"]), Numerics(**values["numerics"]))


class Difference(NamedTuple):
    """One part that is another than it was."""

    part: str
    then: str
    now: str

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.part} {self.then}, not {self.now}"


def other_numerics(then: str, now: str) -> str:
    """Say in what two `str(Numerics)` differ, `now` first; empty where they do not."""
    pairs = zip(then.split(", "), now.split(", "), strict=False)
    return ", ".join(f"{new}, not {old}" for old, new in pairs if old != new)


_SAID = {"train": "training rows", "validation": "validation rows", "test": "test rows", "split_rule": "split rule"}


def _shown(value: str) -> str:
    """A hash by its first digits, anything else as it is."""
    is_hash = len(value) == 64 and set(value) <= set("0123456789abcdef")
    return value[:12] if is_hash else value


def said(differences: Sequence[Difference]) -> str:
    """Differences on one line."""
    return "; ".join(map(str, differences))
