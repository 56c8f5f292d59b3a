"""YAML that remembers where everything was written, so that an error can name the file, the line and the key.

Scalars are read as YAML 1.2 does: `1e-4` is a number, `no` and `on` are text, only `true` and `false` are booleans, and
`1:30` or a date stays the text it looks like. PyYAML's own rules (YAML 1.1) get all of these wrong for a search space.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from .errors import WrongInput

KeyPath = tuple[str | int, ...]
Place = Callable[[int], str]
"""Line number -> how an error names it: `spaces/ulpt.yaml:7`, or `--set steps=3` whatever the line."""


class Unfit(ValueError):
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
        return WrongInput(" ".join((f"{place}: {text}" if named else f"{place}: {key}: {text}").split("\n")))

    @contextmanager
    def blame(self, path: KeyPath) -> Iterator[None]:
        """Turn an `Unfit` about the value at `path` into the user's error."""
        try:
            yield
        except Unfit as unfit:
            raise self.wrong((*path, *unfit.at), str(unfit)) from unfit


def read_lines(text: str, place: Place) -> Document:
    """Read one YAML document. Raises `WrongInput` for bad syntax, duplicate keys and anything but plain values."""
    reader = _Reader(place, {})
    try:
        return Document(reader.value(_compose(text, place), (), ()), reader.places)
    except RecursionError as error:
        raise WrongInput(f"{place(1)}: nested too deeply; a space has about five levels") from error


def _compose(text: str, place: Place) -> yaml.Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongInput(f"{place(line)}: not valid YAML: {_say(error)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise WrongInput(f"{place(line)}: not valid YAML: a control character stands here; delete it") from error


def _say(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join((error.problem or error.context or "cannot be read").split())
    if "'\\t'" in problem:
        return f"{problem}; indent with spaces, not tabs"
    if "single document" in (error.context or ""):
        return "a second document starts here; write one space per file"
    return problem


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {}  # its own: adding to the inherited one would change every user of PyYAML in the process
_DIGITS = list("-+.0123456789")
_SCALARS = {
    "null": (r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "int": (r"^[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)$", _DIGITS),
    "float": (r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.inf)$|^\.nan$", _DIGITS),
}
for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)


@dataclass(frozen=True)
class _Reader:
    """Walks a composed node tree, turns it into plain values and notes where each key and item stands."""

    place: Place
    places: dict[KeyPath, str]

    def value(self, node: yaml.Node | None, path: KeyPath, around: tuple[yaml.Node, ...]) -> object:
        self.places.setdefault(path, self.place(_line(node) if node else 1))
        if node in around:
            raise self._wrong(node, path, "refers to itself; write the value out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*around, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, number), (*around, node)) for number, item in enumerate(node.value)]
        return self._scalar(node, path) if node else None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, around: tuple[yaml.Node, ...]) -> dict[str, Any]:
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

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        """Keys are names, so `no:` and `1:` are the texts "no" and "1"."""
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, path, "a key must be a name, got a list or a mapping")
        return str(node.value)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> object:
        name = node.tag.removeprefix("tag:yaml.org,2002:")
        if name not in _READ:
            raise self._wrong(node, path, f"the tag {node.tag} is not supported; write a plain value")
        try:
            return _READ[name](node.value)
        except ValueError as error:
            raise self._wrong(node, path, f"{node.value[:40]!r} is not a valid {name}") from error

    def _wrong(self, node: yaml.Node | None, path: KeyPath, text: str) -> WrongInput:
        place = self.place(_line(node) if node else 1)
        return Document(None, {(): place}).wrong(path, text)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"wanted true or false, got {text!r}")
    return text.lower() == "true"


_READ: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": _boolean,
    "int": int,
    "float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
    "str": str,
}
