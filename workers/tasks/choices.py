"""Choices that each row brings along: a list of texts, as many as it likes."""

from collections.abc import Iterable

from ...spaces.errors import WrongInput
from .table import Table, describe

Choices = tuple[tuple[str, ...], ...]


def choices_of(table: Table, column: str | None) -> Choices:
    """Return each row's choices, () without a column. Raises `WrongInput` where one is no list of two different texts or more."""
    if column is None:
        return ()
    return tuple(_texts(table, row, column, value) for row, value in enumerate(table.column(column, "choices")))


def _texts(table: Table, row: int, column: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise WrongInput(f"{table.place(row)}: {column} is {describe(value)}, wanted a list of texts; JSONL and Parquet hold lists")
    texts = tuple(text.strip() for text in value)
    if len(set(texts)) < 2:
        raise WrongInput(f"{table.place(row)}: {column} holds {len(set(texts))} text to choose from; give two or more")
    return texts


def choice_notes(choices: Iterable[Choices]) -> tuple[str, ...]:
    """Say in how many rows two choices are the same text: of these, the first is the answer wherever it is the best."""
    twice = sum(len(set(own)) < len(own) for rows in choices for own in rows)
    return (f"rows in which two choices are the same text: {twice:,}",) if twice else ()


def check_answers(table: Table, choices: Choices, labels: tuple[float, ...]) -> None:
    """`WrongInput` for a row whose answer is none of its choices."""
    for row, (own, label) in enumerate(zip(choices, labels, strict=False)):
        if label >= len(own):
            raise WrongInput(f"{table.place(row)}: its answer is number {int(label)}, counted from 0, and it has {len(own)} choices")
