"""`--set key=value`: dotted keys laid over a space before it is validated."""

from collections.abc import Sequence

from .errors import WrongInput
from .located_yaml import Document, KeyPath, read_yaml


def override(document: Document, assignments: Sequence[str]) -> Document:
    """Return `document` with every `key=value` set, later ones last; the value is YAML, the key dotted.

    Raises `WrongInput`, starting with `--set key=value`, where it is not an assignment or leads through a plain value.
    """
    for assignment in assignments:
        document = _set(document, assignment)
    return document


def _set(document: Document, assignment: str) -> Document:
    key, equals, text = assignment.partition("=")
    place = f"--set {assignment}".replace("\n", " ")
    path: KeyPath = tuple(key.strip().split("."))
    if not equals or "" in path:
        raise WrongInput(f"{place}: wanted key=value, such as --set steps=100 or --set methods.lora.rank=4")
    given = read_yaml(text, lambda _: place)
    places = {old: where for old, where in document.places.items() if old[: len(path)] != path}
    places |= {path[:depth]: place for depth in range(1, len(path) + 1) if path[:depth] not in places}
    places |= {(*path, *inner): place for inner in given.places}
    return Document(_placed(document.values, path, given.values, place), places)


def _placed(around: object, path: KeyPath, value: object, place: str, walked: KeyPath = ()) -> object:
    """A copy of `around` with `value` at `path`; missing mappings on the way are made."""
    if not path:
        return value
    inside = {} if around is None else {"name": around} if walked in (("model",), ("task",)) and isinstance(around, str) else around
    if not isinstance(inside, dict):
        raise WrongInput(f"{place}: {'.'.join(map(str, walked))} holds {around!r}, which has no keys; set it as a whole")
    first, *rest = path
    return {**inside, first: _placed(inside.get(first), tuple(rest), value, place, (*walked, first))}
