"""Bytes and JSON with a few changes that somebody may make: flipped, cut, doubled, overwritten, exchanged for words that mean something."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

WORDS = (
    *(b"null", b"NaN", b"-1", b"1e999", b"[]", b"{}", b'""', b"true", b"../../x", b"/etc/passwd", b"\x00", b"\xff\xfe", b"9" * 40, b"inf"),
    *(b"!!python/object:os.system", b"\xf0\x9f\x98\x80", b"&a [*a]", b"__import__", b"\r", b"\n\n", b"\\ud800", b"{" * 50, b"1_000", b"~"),
)
VALUES: tuple[Any, ...] = (
    None,
    -1,
    0,
    1e308,
    True,
    "",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": None},
    "../../x",
    2**70,
    "\ud7ff",
    -0.5,
    ["a"] * 50,
)
"""What takes the place of a value in JSON."""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with one to three changes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(WAYS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(data)))
    return data[:at] + bytes([(data[at] if data else 0) ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] if chance.random() < 0.5 else data[:at] + data[at + chance.randrange(1, 40) :]


def _double(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + chance.randrange(1, 200)]
    return data[:at] + piece + data[at:]


def _say(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(WORDS) + data[at + chance.randrange(0, 6) :]


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _cut, _double, _say, _say)


def revalued(text: str, chance: random.Random) -> str:
    """Return JSON in which one value, somewhere, is another one, or is gone."""
    tree = json.loads(text)
    places = list(_places(tree))
    if places:
        holder, key = chance.choice(places)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = chance.choice(VALUES)
    return json.dumps(tree)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(tree, dict | list):
        for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
            yield tree, key
            yield from _places(value)
