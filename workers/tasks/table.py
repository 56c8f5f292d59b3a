"""A split as it was read: named columns of plain values, each row with the place that an error about it names."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.space import TaskSpec
from .composed import is_template, parts_of, text_columns

Texts = tuple[tuple[str, ...], tuple[str | None, ...]]


@dataclass(frozen=True)
class Table:
    """Columns of a file or of a hub data set's split. `values` holds at least those that a task needs."""

    source: str
    """How errors call it: a path, or `owner/name train`."""
    names: tuple[str, ...]
    values: Mapping[str, Sequence[object]]
    lines: Sequence[int] | None = None
    """Line of each row, counted from 1; None where the format has no lines (then errors count rows)."""

    @property
    def size(self) -> int:
        """How many rows it has."""
        return len(next(iter(self.values.values()), ()))

    def place(self, row: int) -> str:
        """Where row number `row` (from 0) stands: `train.csv:7`, or `train.parquet: row 7`."""
        return f"{self.source}: row {row + 1}" if self.lines is None else f"{self.source}:{self.lines[row]}"

    def column(self, name: str, key: str) -> Sequence[object]:
        """Return the column `name`; `key` is the task's key that names it. Raises `WrongInput` where it is missing."""
        if name not in self.names:
            has = f"it has {', '.join(self.names)}; name the right one as task.{key}.{did_you_mean(name, self.names)}"
            raise WrongInput(f"{self.source}: no column {name}; {has}")
        return self.values[name]


def wanted_columns(spec: TaskSpec) -> tuple[str, ...]:
    """The columns that a task reads."""
    return tuple(
        dict.fromkeys((*text_columns(spec.text_a, spec.text_b), *(name for name in (spec.label, spec.group, spec.choices) if name)))
    )


def table_of(source: str, records: Sequence[Mapping[str, object]], *, wanted: Collection[str], lines: Sequence[int]) -> Table:
    """Return a table of records whose keys may differ; a key that a record lacks is None there."""
    names = tuple(dict.fromkeys(key for record in records for key in record))
    values = {name: [record.get(name) for record in records] for name in names if name in wanted}
    return Table(source, names, values, lines)


def texts_of(table: Table, spec: TaskSpec) -> Texts:
    """Return the first and the second texts, made of columns where they are templates.

    The second column may be absent unless the user named it.
    """
    firsts = _column(table, spec.text_a, "text_a")
    optional = spec.text_b is None or (spec.text_b == TaskSpec.text_b and spec.text_b not in table.names)
    seconds = [None] * len(firsts) if optional else _column(table, str(spec.text_b), "text_b")
    texts_a = tuple(_text(table, row, spec.text_a, value) for row, value in enumerate(firsts))
    texts_b = tuple(None if _blank(value) else _text(table, row, str(spec.text_b), value) for row, value in enumerate(seconds))
    return texts_a, texts_b


def _column(table: Table, text: str, key: str) -> Sequence[object]:
    """A column, or what a template makes of several."""
    if not is_template(text):
        return table.column(text, key)
    parts = parts_of(text, key)
    columns = {name: table.column(name, key) for _, name in parts if name is not None}
    if not columns:
        raise WrongInput(f"task.{key}: {text!r} names no column; write one in braces, such as {{{table.names[0]}}}")
    return [
        "".join(literal + ("" if name is None else _part(table, row, name, columns[name][row])) for literal, name in parts)
        for row in range(len(next(iter(columns.values()))))
    ]


def _part(table: Table, row: int, column: str, value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number else _text(table, row, column, value)


def groups_of(table: Table, spec: TaskSpec) -> tuple[str, ...]:
    """Return what each row belongs to, empty where no column says so; a row without a value stands for itself."""
    if spec.group is None:
        return ()
    values = table.column(spec.group, "group")
    return tuple(f"row {row}" if value is None else f"{value}" for row, value in enumerate(values))


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(table: Table, row: int, column: str, value: object) -> str:
    if _blank(value):
        raise WrongInput(f"{table.place(row)}: no text in column {column}; fill it in, or delete the row")
    if not isinstance(value, str):
        raise WrongInput(f"{table.place(row)}: {column} is {describe(value)}, wanted text; put it in quotes, or name another column")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise WrongInput(f"{table.place(row)}: {column} holds half of a surrogate pair, which is no character; delete it")
    return value


def describe(value: object) -> str:
    """Say what a value is: `the number 3`, `a list`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else f"the text {value[:40]!r}…"
    return {"list": "a list", "dict": "a mapping", "bytes": "bytes", "NoneType": "nothing"}.get(type(value).__name__, type(value).__name__)
