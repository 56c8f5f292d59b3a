"""JSONL, CSV and Parquet files -> tables. Every error names the file and the line."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from ...spaces.errors import WrongInput, reason
from .table import Table, describe, table_of

DELIMITERS = (",", ";", "\t", "|")
"""Tried first; any other sign that separates the wanted columns in the header line is found too."""
FIELD_LIMIT = 2**31 - 1
"""Longest CSV field; Python's own limit of 131,072 characters is too short for documents."""


def read_table(path: Path, wanted: Collection[str]) -> Table:
    """Return the rows of a file whose ending is one of `READERS`, with the `wanted` columns that it has.

    Raises `WrongInput` for a file that cannot be read, has no rows or breaks its format.
    """
    try:
        return READERS[path.suffix](path, wanted)
    except OSError as error:
        raise WrongInput(f"{path}: cannot be read: {reason(error)}; check the file and its permissions") from error


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text; `WrongInput` for another encoding and for an empty file."""
    data = path.read_bytes()
    if not data.strip():
        raise _empty(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WrongInput(f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8") from error


def _jsonl(path: Path, wanted: Collection[str]) -> Table:
    records, lines = [], []
    # Only line feeds end a line: str.splitlines would also cut at U+2028 and the like, which JSON allows inside a text.
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            records.append(_record(f"{path}:{line}", text))
            lines.append(line)
    return table_of(str(path), records, wanted=wanted, lines=lines)


def _json(path: Path, wanted: Collection[str]) -> Table:
    """One JSON array of objects, as chat files often are, or one object a line."""
    text = read_text(path)
    if not text.lstrip().startswith("["):
        return _jsonl(path, wanted)
    records, lines = [], []
    for line, value in _elements(path, text):
        records.append(_object(f"{path}:{line}", value))
        lines.append(line)
    if not records:
        raise WrongInput(f"{path}: an empty list; put rows in, or delete the file")
    return table_of(str(path), records, wanted=wanted, lines=lines)


def _elements(path: Path, text: str) -> Iterator[tuple[int, object]]:
    """The values of a JSON array, each with the line that it begins on."""
    decoder, place, line, counted = json.JSONDecoder(), _past_space(text, text.index("[") + 1), 1, 0
    while place < len(text) and text[place] != "]":
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise WrongInput(f"{path}:{error.lineno}: not valid JSON: {error.msg} at column {error.colno}") from error
        except (ValueError, RecursionError) as error:
            raise WrongInput(f"{path}:{line}: not usable JSON: {error}; write a list of flat objects") from error
        yield line, value
        place = _past_space(text, place)
        if place < len(text) and text[place] not in ",]":
            raise WrongInput(f"{path}:{text.count(chr(10), 0, place) + 1}: not valid JSON: wanted a comma or the list's end")
        place = _past_space(text, place + 1) if place < len(text) and text[place] == "," else place
    if place >= len(text) or text[place + 1 :].strip():
        what = "the list is not closed" if place >= len(text) else "more behind the list"
        raise WrongInput(f"{path}:{text.count(chr(10), 0, place) + 1}: not valid JSON: {what}; is the file whole?")


def _past_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _record(place: str, text: str) -> Mapping[str, object]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise WrongInput(f"{place}: not valid JSON: {error.msg} at column {error.colno}; write one object a line") from error
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"{place}: not usable JSON: {error}; write one flat object a line") from error
    return _object(place, record)


def _object(place: str, record: object) -> Mapping[str, object]:
    if not isinstance(record, dict):
        raise WrongInput(f"{place}: {describe(record)}, wanted one JSON object a line (JSONL)")
    return record


def _csv(path: Path, wanted: Collection[str]) -> Table:
    text = read_text(path)
    delimiter = _delimiter(text.lstrip().split("\n", 1)[0].rstrip("\r"), wanted)
    (_, header), *rows = _csv_rows(path, text, delimiter)
    names = tuple(name.strip() for name in header)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise WrongInput(f"{path}:1: two columns are called {twice!r}; rename one")
    if not rows:
        raise _no_rows(path)
    for line, fields in rows:
        if len(fields) != len(names):
            counted = f"{len(fields)} fields, the header has {len(names)}"
            raise WrongInput(f"{path}:{line}: {counted}; put texts with {delimiter!r} in double quotes")
    values = {name: [fields[i] for _, fields in rows] for i, name in enumerate(names) if name in wanted}
    return Table(str(path), names, values, [line for line, _ in rows])


def _csv_rows(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Each record with the line it starts on. Tab-separated files have no quotes (IANA's text/tab-separated-values)."""
    source = io.StringIO(text, newline="")
    if delimiter == "\t":
        reader = csv.reader(source, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(source, delimiter=delimiter, strict=True)
    rows, line, limit = [], 1, csv.field_size_limit(FIELD_LIMIT)
    try:
        for fields in reader:
            if fields:
                rows.append((line, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        raise WrongInput(f"{path}:{line}: not valid CSV: {error}; close every quote, and double those inside a text") from error
    finally:
        csv.field_size_limit(limit)
    return rows


def _delimiter(header: str, wanted: Collection[str]) -> str:
    """The sign that parts the header into the wanted columns; failing that, into the most columns."""
    signs = [sign for sign in dict.fromkeys((*DELIMITERS, *header)) if sign in DELIMITERS or not (sign.isalnum() or sign in "_\"' \\\r\n")]

    def fit(sign: str) -> tuple[int, bool, int]:
        fields = [field.strip(' "') for field in header.split(sign)]
        return len(set(wanted) & set(fields)), sign in DELIMITERS, len(fields)

    best: str = max(signs, key=fit)
    return best


def _parquet(path: Path, wanted: Collection[str]) -> Table:
    import pyarrow
    import pyarrow.parquet

    if not path.stat().st_size:
        raise _empty(path)
    try:
        table = pyarrow.parquet.ParquetFile(path).read()
    except pyarrow.ArrowException as error:
        raise WrongInput(f"{path}: not a readable Parquet file: {reason(error)}; write it again") from error
    if not table.num_rows:
        raise _no_rows(path)
    names = tuple(table.column_names)
    return Table(str(path), names, {name: table.column(name).to_pylist() for name in names if name in wanted})


def _empty(path: Path) -> WrongInput:
    return WrongInput(f"{path}: the file is empty; put rows in, or delete it")


def _no_rows(path: Path) -> WrongInput:
    return WrongInput(f"{path}: a header and no rows; put rows in, or delete the file")


READERS: Mapping[str, Callable[[Path, Collection[str]], Table]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
"""File ending -> reader."""
