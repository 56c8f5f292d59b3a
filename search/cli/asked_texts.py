"""What `predict` is asked about: texts on the command line, lines of stdin, or a file of lines or JSON objects."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...spaces.errors import WrongInput

if TYPE_CHECKING:
    from ...workers.tasks import Conversation

PLAIN = ("text", "text_a")
"""Keys of a JSON object that hold its whole text, before the formats of training are looked for."""
KEYS = (*PLAIN, "prompt", "question", "instruction", "messages", "conversations")
JSONL = (".jsonl", ".json")


@dataclass(frozen=True)
class Asked:
    """One row: a text, a pair or a conversation, with its own choices where it brings them."""

    text: "str | tuple[str, str] | Conversation"
    choices: tuple[str, ...] = ()


def asked(texts: Sequence[str], file: Path | None, *, pairs: bool) -> Iterator[Asked]:
    """Yield the rows in their order; empty lines are none.

    Lines of `file` are JSON objects where its name ends so. Raises `WrongInput`, with the line, for what is none, for both texts and a
    file, and where there is neither.
    """
    if texts and file is not None:
        raise WrongInput(f"predict: got texts and --file {file}; give one of them")
    if file is not None:
        rows = _objects(file) if file.suffix in JSONL else _of_file(file)
    elif texts and texts != ("-",):
        rows = iter([Asked(text) for text in texts])
    elif sys.stdin is None or (not texts and sys.stdin.isatty()):
        raise WrongInput("predict: got no texts; give some, --file FILE, or lines on stdin")
    else:
        rows = (Asked(line) for line in _lines(sys.stdin, "stdin"))
    return _paired(rows) if pairs else rows


def batches(rows: Iterable[Asked], size: int) -> Iterator[list[Asked]]:
    """Rows by so many."""
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch


def _of_file(file: Path) -> Iterator[Asked]:
    with file.open(encoding="utf-8-sig") as source:
        yield from (Asked(line) for line in _lines(source, str(file)))


def _lines(source: Iterable[str], name: str) -> Iterator[str]:
    yield from (line.rstrip("\r\n") for line in _decoded(source, name) if line.strip())


def _decoded(source: Iterable[str], name: str) -> Iterator[str]:
    try:
        yield from source
    except UnicodeDecodeError as error:
        raise WrongInput(f"{name}: not UTF-8 (byte 0x{error.object[error.start]:02x}); save it as UTF-8") from error


def _objects(file: Path) -> Iterator[Asked]:
    with file.open(encoding="utf-8-sig") as source:
        for number, line in enumerate(_decoded(source, str(file)), start=1):
            if line.strip():
                yield _row(line, f"{file}:{number}")


def _row(line: str, place: str) -> Asked:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise WrongInput(f"{place}: not valid JSON: {error}; write one object a line") from error
    if isinstance(row, str):
        return Asked(row)
    if not isinstance(row, dict):
        raise WrongInput(f"{place}: wanted a text or an object such as {{'text': ...}}, got {type(row).__name__}")
    choices = row.get("choices") or ()
    if not isinstance(choices, list | tuple) or not all(isinstance(choice, str) for choice in choices):
        raise WrongInput(f"{place}: choices must be a list of texts")
    return Asked(_text(row, place), tuple(choices))


def _text(row: Mapping[str, Any], place: str) -> "str | tuple[str, str] | Conversation":
    first = next((row[key] for key in PLAIN if isinstance(row.get(key), str)), None)
    asked = _conversation(row, place) if first is None or "messages" in row else first
    second = row.get("text_b")
    return asked if second is None or not isinstance(asked, str) else (asked, str(second))


def _conversation(row: Mapping[str, Any], place: str) -> "str | Conversation":
    """What a row asks by the formats of training; one user's text as that text, which every adapter can be asked."""
    from ...workers.tasks import Turn, asked_by

    talk = asked_by(place, row)
    if talk is None:
        raise WrongInput(f"{place}: no text under {', '.join(KEYS)}; it has {', '.join(row) or 'no keys'}")
    alone = len(talk.turns) == 1 and talk.turns[0] == Turn("user", talk.turns[0].text) and not talk.tools
    return talk.turns[0].text if alone and "messages" not in row else talk


def _paired(rows: Iterable[Asked]) -> Iterator[Asked]:
    for number, batch in enumerate(batches(rows, 2)):
        if len(batch) < 2:
            raise WrongInput(f"predict --pairs: got {2 * number + 1} texts; give an even number, a first and its second in turn")
        first, second = batch
        if not isinstance(first.text, str) or not isinstance(second.text, str):
            raise WrongInput(f"predict --pairs: text {2 * number + 1} or the next is no single text; leave --pairs out")
        yield Asked((first.text, second.text))
