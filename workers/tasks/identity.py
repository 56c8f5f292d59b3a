"""By what a task is recognised, part by part, so that an error can name the one that differs."""

from ...spaces.hashing import sha256_of_json
from ...spaces.identity import TaskSide
from .splits import RULE
from .task import Rows, Task


def task_side(task: Task, *, template: str, max_tokens: int) -> TaskSide:
    """Return the identity of a task as a model gets it: with `template`, cut to `max_tokens`."""
    train, validation, test = (_of_rows(rows) for rows in (task.train, task.validation, task.test))
    labels, descriptions = (sha256_of_json([task.kind, *names]) for names in (task.labels, task.descriptions))
    return TaskSide(train, validation, test, labels, descriptions, task.metric, template, str(max_tokens), RULE)


def _of_rows(rows: Rows) -> str:
    return sha256_of_json([rows.texts_a, rows.texts_b, rows.labels, *([rows.groups] if rows.groups else []), *_own(rows)])


def _own(rows: Rows) -> list[object]:
    """Columns that only some tasks have, each with its name."""
    columns = {"choices": rows.choices, "conversations": [one.to_json() for one in rows.conversations], "sets": rows.sets}
    return [{name: column} for name, column in columns.items() if column]
