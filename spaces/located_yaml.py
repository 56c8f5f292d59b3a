"""YAML that remembers where everything was written, so that an error can name the file, the line and the key.

ruamel.yaml parses and keeps the line marks. Scalars are read as YAML 1.2 does: `1e-4` is a number, `no` and `on` are text, only
`true` and `false` are booleans. What might mean two things stays the text it looks like: a date, `1:30`, `010`, `0x1f`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from .errors import WrongInput, one_line

KeyPath = tuple[str | int, ...]
Place = Callable[[int], str]
"""Line number -> how an error names it: `spaces/ulpt.yaml:7`, or `--set steps=3` whatever the line."""


class Invalid(ValueError):
    """A value that cannot be used; `at` leads from the value to the part of it that is wrong."""

    def __init__(self, text: str, at: KeyPath = ()) -> None:
        super().__init__(text)
        self.at = at


@dataclass(frozen=True)
class Document:
    """Plain values (dict, list, text, numbers, booleans, None) with the place each was written at."""

    values: Any
    places: dict[KeyPath, str]

    def place(self, path: KeyPath) -> str:
        """Where `path` was written, or the nearest thing around it that was written anywhere."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def wrong(self, path: KeyPath, text: str) -> WrongInput:
        """The error to raise about `path`: one line of place, key and `text`."""
        place, key = self.place(path), ".".join(map(str, path))
        named = not key or place.startswith(f"--set {key}=")
        return WrongInput((f"{place}: {text}" if named else f"{place}: {key}: {text}").replace("\n", " "))

    @contextmanager
    def blame(self, path: KeyPath) -> Iterator[None]:
        """Turn an `Invalid` about the value at `path` into the user's error."""
        try:
            yield
        except Invalid as invalid:
            raise self.wrong((*path, *invalid.at), str(invalid)) from invalid


def read_yaml(text: str, place: Place) -> Document:
    """Read one YAML document. Raises `WrongInput` for bad syntax, duplicate keys and anything but plain values."""
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    reader = _Reader(yaml, place, {})
    try:
        return Document(reader.value(_compose(yaml, text, place), (), ()), reader.places)
    except (RecursionError, MaxDepthExceededError) as error:
        raise WrongInput(f"{place(1)}: nested too deeply; a space has about five levels") from error


def _compose(yaml: YAML, text: str, place: Place) -> Node | None:
    try:
        return yaml.compose(text)  # type: ignore[no-any-return]
    except MaxDepthExceededError:
        raise
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongInput(f"{place(line)}: not valid YAML: {_say(error)}") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise WrongInput(f"{place(line)}: not valid YAML: a control character stands here; delete it") from error


def _say(error: MarkedYAMLError) -> str:
    problem = one_line(error.problem or error.context or "cannot be read")
    if "'\\t'" in problem:
        return f"{problem}; indent with spaces, not tabs"
    if "single document" in (error.context or ""):
        return "a second document starts here; write one space per file"
    return problem


_PLAIN = ("null", "bool", "int", "float", "str")
_LOOKS_ELSE = ("timestamp", "merge", "value")
"""What YAML would make of `2026-11-28`, `<<` and `=`, which are texts here."""
_OTHER_BASE = re.compile(r"[-+]?0[0-9a-zA-Z_]+")
"""Whole numbers that readers of YAML do not agree on."""


@dataclass(frozen=True)
class _Reader:
    """Turns composed nodes into plain values and notes where each key and item stands."""

    yaml: YAML
    place: Place
    places: dict[KeyPath, str]

    def value(self, node: Node | None, path: KeyPath, around: tuple[Node, ...]) -> object:
        self.places.setdefault(path, self.place(_line(node) if node else 1))
        if node in around:
            raise self._wrong(node, path, "refers to itself; write the value out")
        if isinstance(node, MappingNode):
            return self._mapping(node, path, (*around, node))
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, number), (*around, node)) for number, item in enumerate(node.value)]
        return self._scalar(node, path) if node else None

    def _mapping(self, node: MappingNode, path: KeyPath, around: tuple[Node, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, item in node.value:
            name = self._key(key, path)
            if name in values:
                raise self._wrong(key, (*path, name), f"given twice, first on line {lines[name]}; keep one")
            lines[name] = _line(key)
            self.places[*path, name] = self.place(lines[name])
            values[name] = self.value(item, (*path, name), around)
        return values

    def _key(self, node: Node, path: KeyPath) -> str:
        """Keys are names, so `no:` and `1:` are the texts "no" and "1"."""
        if not isinstance(node, ScalarNode):
            raise self._wrong(node, path, "a key must be a name, got a list or a mapping")
        return str(node.value)

    def _scalar(self, node: Node, path: KeyPath) -> object:
        name = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if name in _LOOKS_ELSE or (name == "int" and _OTHER_BASE.fullmatch(node.value)):
            return node.value
        if name not in _PLAIN:
            raise self._wrong(node, path, f"the tag {node.tag} is not supported; write a plain value")
        try:
            return self.yaml.constructor.construct_object(node)
        except (ValueError, KeyError, MarkedYAMLError) as error:  # KeyError: `!!bool 3`
            raise self._wrong(node, path, f"{node.value[:40]!r} is not a valid {name}") from error

    def _wrong(self, node: Node | None, path: KeyPath, text: str) -> WrongInput:
        place = self.place(_line(node) if node else 1)
        return Document(None, {(): place}).wrong(path, text)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
