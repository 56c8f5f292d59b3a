"""In which of the ways that people write down conversations and answers a file's columns hold them."""

from collections.abc import Collection, Mapping

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.metrics import Kind
from ...spaces.space import Format, TaskSpec
from .composed import columns_of, text_columns
from .table import Table, wanted_columns

NEEDS: Mapping[Format, tuple[tuple[str, ...], ...]] = {
    "messages": (("messages",),),
    "sharegpt": (("conversations",),),
    "prompt_completion": (("prompt", "completion"),),
    "instruction": (("instruction", "output"),),
    "question_answer": (("question", "answer"), ("question", "answers")),
}
"""Format -> the columns that it is recognised by, one way or another; the first that fits is taken."""
BESIDE: Mapping[Format, tuple[str, ...]] = {
    "messages": ("tools",),
    "sharegpt": ("system", "tools"),
    "prompt_completion": ("tools",),
    "instruction": ("input", "system"),
    "question_answer": ("context",),
}
"""Format -> columns that it reads where they are there."""
PASSAGES: Mapping[Format, str] = {"instruction": "input", "question_answer": "context"}
"""Format -> the column that may lose its end."""
TARGET = "target"
"""A column of whole answers beside labels that are their last words, as GSM8K is kept."""


def wanted_of(spec: TaskSpec) -> tuple[str, ...]:
    """Return the columns that a task may read, whatever its format turns out to be."""
    known = [name for sides in NEEDS.values() for side in sides for name in side] + [name for side in BESIDE.values() for name in side]
    own = [name for name in (spec.answer, spec.passage) if name]
    return tuple(dict.fromkeys((*wanted_columns(spec), *own, *known, TARGET)))


def format_of(table: Table, spec: TaskSpec, kind: Kind | None) -> Format:
    """Return the format of a task's training rows; what the space or `meta.json` says goes first, then labels, then what is recognised.

    Raises `WrongInput` where the columns of a format that was asked for are missing.
    """
    if spec.format != "auto":
        _require(table, spec.format)
        return spec.format
    if spec.answer is not None:
        return "columns"
    recognised = next((name for name in NEEDS if _fits(table.names, name)), None)
    if kind == "generation":
        return recognised or "columns"
    labelled = {spec.label, *columns_of(spec.text_a, "text_a")} <= set(table.names)
    return "labels" if kind is not None or labelled or _asks_labels(spec) or recognised is None else recognised


def _asks_labels(spec: TaskSpec) -> bool:
    """Whether the space speaks of labels: a column that is misspelt is then an error, never another kind of task."""
    return spec.label != TaskSpec.label or bool(spec.labels or spec.choices or spec.separator)


def format_note(table: Table, spec: TaskSpec, chosen: Format, answer: str) -> str:
    """Say for people how the rows are read."""
    asked = [name for name in text_columns(spec.text_a, spec.text_b) if name in table.names]
    columns = [side for side in NEEDS.get(chosen, ()) if set(side) <= set(table.names)]
    read = [*(columns[0] if columns else (*asked, answer)), *(name for name in BESIDE.get(chosen, ()) if name in table.names)]
    return f"rows are read as {chosen} ({', '.join(read)}); task.format reads them in another way"


def _fits(names: Collection[str], wanted: Format) -> bool:
    return any(set(side) <= set(names) for side in NEEDS[wanted])


def _require(table: Table, wanted: Format) -> None:
    if wanted not in NEEDS or _fits(table.names, wanted):
        return
    missing = next(name for name in NEEDS[wanted][0] if name not in table.names)
    has = f"it has {', '.join(table.names)}"
    raise WrongInput(f"{table.source}: no column {missing}, which task.format: {wanted} needs; {has}.{did_you_mean(missing, table.names)}")
