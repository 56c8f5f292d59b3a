"""Label values as they stand in the data -> label numbers, and the errors for those that cannot be one."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.metrics import Kind
from ...spaces.metrics import metric as metric_called
from .table import Table, describe

Cells = Sequence[tuple[int, object]]
"""Label values, each with the number of its row."""
SHOWN = 12
"""An error lists at most this many labels."""


@dataclass(frozen=True)
class Codec:
    """How a label value becomes a number: by its name, or (where the data holds numbers of `names`) as it is."""

    names: tuple[str, ...]
    by_number: bool
    origin: str = ""
    """Where the names come from, for errors: ` (the labels of train.csv)`."""

    def number(self, table: Table, row: int, value: object) -> int:
        """Return the label's number. Raises `WrongInput` for no label and for one that is not in the list."""
        text = plain(value)
        if text is None or (self.by_number and text == "-1"):
            raise WrongInput(f"{table.place(row)}: no label ({_shown(value)}); give it one, or delete the row")
        if self.by_number and text.isdecimal() and int(text) < len(self.names):
            return int(text)
        if not self.by_number and text in self.names:
            return self.names.index(text)
        known = [str(number) for number in range(len(self.names))] if self.by_number else self.names
        raise WrongInput(f"{table.place(row)}: label {text!r} is not one of {listed(known)}{self.origin}.{did_you_mean(text, known)}")


def plain(value: object) -> str | None:
    """Return a label value as text, or None where there is no label: nothing, an empty text, not-a-number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None


def is_unlabelled(values: Sequence[object]) -> bool:
    """Whether a whole split has no labels, as published test splits do (absent, or all -1)."""
    marks = {plain(value) for value in values}
    return len(marks) == 1 and marks <= {None, "-1"}


def infer_kind(values: Sequence[object], metric: str | None) -> Kind:
    """Return several labels a row where all rows bring lists; else what the metric is of, or regression where numbers have fractions.

    A metric of numbers and labels alike says nothing of it.
    """
    present = [value for value in values if plain(value) is not None]
    if present and all(isinstance(value, list) for value in present):
        return "multi_label"
    kinds = () if metric is None else metric_called(metric).kinds
    asked: list[Kind] = [kind for kind in ("regression", "classification") if kind in kinds]
    if len(asked) == 1:
        return asked[0]
    numbers = [number(value) for value in present]
    fractions = None not in numbers and any(not float(n).is_integer() for n in numbers if n is not None)
    return "regression" if fractions else "classification"


def codec_for(table: Table, cells: Cells, names: Sequence[str] | None) -> Codec:
    """Return the codec for training labels: given `names`, or those that occur, sorted (numbers by value)."""
    _check_types(table, cells)
    present = {text for _, value in cells if (text := plain(value)) is not None}
    if names is None:
        numeric = all(number(text) is not None for text in present)
        inferred = sorted(present, key=lambda text: (number(text) or 0.0, text) if numeric else (0.0, text))
        return Codec(tuple(inferred), by_number=False, origin=f" (the labels of {table.source})")
    numbers = all(text.removeprefix("-").isdecimal() for text in present)
    return Codec(tuple(names), by_number=numbers and not present <= set(names), origin=f" ({listed(names)})" if numbers else "")


def encode(table: Table, values: Sequence[object], codec: Codec | None) -> tuple[float, ...]:
    """Return the numbers of a split's labels; without a codec (regression) the labels are numbers already."""
    if codec is None:
        return tuple(_score(table, row, value) for row, value in enumerate(values))
    _check_types(table, list(enumerate(values)))
    return tuple(codec.number(table, row, value) for row, value in enumerate(values))


def lists(table: Table, values: Sequence[object], separator: str | None) -> list[list[object]]:
    """Return each row's labels, of a list or of a text that a `separator` parts. Raises `WrongInput` for anything else."""
    return [_list(table, row, value, separator) for row, value in enumerate(values)]


def _list(table: Table, row: int, value: object, separator: str | None) -> list[object]:
    if isinstance(value, list):
        return value
    if separator is not None and isinstance(value, str):
        return [part.strip() for part in value.split(separator) if part.strip()]
    way_out = "say what parts them as task.separator" if isinstance(value, str) and value.strip() else "write [] where there is none"
    raise WrongInput(f"{table.place(row)}: label is {describe(value)}, wanted a list of labels; {way_out}")


def cells_of(values: Sequence[Sequence[object]]) -> Cells:
    """Return every label of every row, with its row."""
    return [(row, value) for row, own in enumerate(values) for value in own]


def encode_sets(table: Table, values: Sequence[Sequence[object]], codec: Codec) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of each row's labels, in order, each once."""
    _check_types(table, cells_of(values))
    return tuple(tuple(sorted({codec.number(table, row, value) for value in own})) for row, own in enumerate(values))


def listed(names: Collection[str]) -> str:
    """The first names, and how many there are beyond them."""
    shown = list(names)[:SHOWN]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(shown)}{more}"


def number(value: object) -> float | None:
    """Return a finite number (or a text that is one) as a float, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def _score(table: Table, row: int, value: object) -> float:
    if plain(value) is None:
        raise WrongInput(f"{table.place(row)}: no label ({_shown(value)}); give it one, or delete the row")
    result = number(value)
    if result is None:
        raise WrongInput(f"{table.place(row)}: label is {describe(value)}, wanted a number (this is a regression task)")
    return result


def _check_types(table: Table, cells: Cells) -> None:
    """Text, numbers and truth values must not mix: `"1"` and `1` are two labels to one reader and the same to the next."""
    first: tuple[int, str] | None = None
    for row, value in cells:
        if plain(value) is None:
            continue
        if not isinstance(value, str | int | float) or (isinstance(value, float) and math.isinf(value)):
            raise WrongInput(f"{table.place(row)}: label is {describe(value)}, wanted a name or a number")
        kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
        first = first or (row, kind)
        if kind != first[1]:
            unlike = f"label is {describe(value)} but {table.place(first[0])} has {first[1]}"
            raise WrongInput(f"{table.place(row)}: {unlike}; write all labels alike")


def _shown(value: object) -> str:
    return "empty" if value in (None, "") else str(value)
