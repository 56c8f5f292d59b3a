"""A text with gaps for columns, `question: {question} context: {context}`; `{{` stands for a brace."""

from collections.abc import Mapping
from string import Formatter

from ...spaces.errors import WrongInput
from .messages import whole
from .table import Table, Texts, describe


def columns_of(text: str, key: str) -> tuple[str, ...]:
    """Return the columns that a text's gaps name, each once; `WrongInput` for braces that are no gaps, and for a text without any."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise WrongInput(f"task.{key}: {text!r}: {error}; write a gap as {{column}}, a brace as {{{{") from error
    wrong = next((name for _, name, how, turn in parts if name is not None and (not name or how or turn)), None)
    names = tuple(dict.fromkeys(name for _, name, _, _ in parts if name))
    if wrong is not None or not names:
        raise WrongInput(f"task.{key}: {text!r} has {'an empty or formatted gap' if wrong is not None else 'no gap'}; write {{column}}")
    return names


def filled(table: Table, row: int, text: str, values: Mapping[str, object]) -> str:
    """Return the text with a row's values in its gaps, nothing where one is null; `WrongInput` for values that are no text or number."""
    return "".join(
        before + ("" if name is None else _said(table, row, name, values[name])) for before, name, _, _ in Formatter().parse(text)
    )


def prompted(table: Table, text: str) -> Texts:
    """Return the text of every row, and no second texts; `WrongInput` for a row that fills no gap."""
    values = {name: table.column(name, "prompt") for name in columns_of(text, "prompt")}
    empty = next((row for row in range(table.size) if all(_is_empty(column[row]) for column in values.values())), None)
    if empty is not None:
        raise WrongInput(f"{table.place(empty)}: no text in {', '.join(values)}; fill one in, or delete the row")
    texts = tuple(filled(table, row, text, {name: column[row] for name, column in values.items()}) for row in range(table.size))
    return texts, (None,) * len(texts)


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _said(table: Table, row: int, column: str, value: object) -> str:
    if isinstance(value, str):
        return whole(f"{table.place(row)}: {column}", value.strip())
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongInput(f"{table.place(row)}: {column} is {describe(value)}, wanted text or a number")
    return f"{value:g}" if isinstance(value, float) else str(value)
