"""What stands for each label of a task, and where that comes from: a user's text, our description, or the label's name."""

from collections.abc import Sequence

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.metrics import Kind
from ...spaces.space import TaskSpec
from .descriptions import describe_labels, plain_names
from .labels import listed

NAME, GIVEN, OURS, ROWS = "name", "task.labels", "ours", "rows"
"""Origins: the label's own name in plain words, the user's space or command line, a description that we wrote by hand, each row's own."""


def label_texts(name: str, kind: Kind, labels: Sequence[str], spec: TaskSpec) -> tuple[tuple[str, str], ...]:
    """Return each label's text and its origin. Raises `WrongInput` for texts of unknown labels, empty ones and equal ones."""
    for label in spec.labels:
        if label not in labels:
            has = f"{name} has {listed(labels)}" if labels else f"{name} is a {kind} task and has none"
            raise WrongInput(f"task.labels.{label}: unknown label; {has}.{did_you_mean(label, labels)}")
    if spec.choices is not None:
        return tuple((label, ROWS) for label in labels)
    own = zip(labels, _own(kind, labels, described=spec.label_texts == "described"), strict=True)
    texts = tuple((spec.labels[label].strip(), GIVEN) if label in spec.labels else default for label, default in own)
    _check(labels, [text for text, _ in texts])
    return texts


def _own(kind: Kind, labels: Sequence[str], *, described: bool) -> list[tuple[str, str]]:
    if kind == "multiple_choice":
        return [(str(number + 1), NAME) for number in range(len(labels))]
    names = plain_names(labels)
    texts = describe_labels(labels) if described else names
    return [(text.strip(), NAME if text == plain else OURS) for text, plain in zip(texts, names, strict=True)]


def _check(labels: Sequence[str], texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        if not text or text in texts[:number]:
            other = f"the same as that of {labels[texts.index(text)]}" if text else "empty"
            raise WrongInput(f"task.labels.{labels[number]}: its description is {other} ({text!r}); give each label its own")
