"""Rows that belong together, such as the questions on one passage: what must be said of them."""

from collections.abc import Iterator

from ...spaces.errors import WrongInput
from .task import Rows


def group_notes(name: str, column: str | None, train: Rows, validation: Rows, test: Rows) -> Iterator[str]:
    """Say how many draws a grouped task's scores rest on; `WrongInput` where a scored split has fewer than two groups."""
    if column is None:
        return
    counts = {split: len(set(rows.groups)) for split, rows in (("validation", validation), ("test", test))}
    alone = next((split for split, count in counts.items() if count < 2), None)
    if alone is not None:
        raise WrongInput(f"{name}: task.group is {column}, but all {alone} rows are of one group: nothing could be said of others")
    yield f"intervals count groups of {column}, not rows: {counts['validation']:,} in validation, {counts['test']:,} in test"
    shared = len(set(train.groups) & (set(validation.groups) | set(test.groups))) + len(set(validation.groups) & set(test.groups))
    if shared:
        yield f"groups of {column} that stand in more than one split: {shared:,}"
