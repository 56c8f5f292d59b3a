"""Scalars mean what they look like, and every value knows its line."""

import math

import pytest

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.located_yaml import read_yaml


def at(line: int) -> str:
    return f"s.yaml:{line}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-4", 1e-4),
        ("1.", 1.0),
        ("-.5", -0.5),
        (".inf", math.inf),
        ("1_000", 1000),
        ("+7", 7),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("2026-11-28", "2026-11-28"),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("=", "="),
        ("'3'", "3"),
        ("!!float 3", 3.0),
        ("!!str 3", "3"),
    ],
)
def test_a_scalar_means_what_it_looks_like(written: str, meant: object) -> None:
    (read,) = read_yaml(f"- {written}", at).values
    assert (read, type(read)) == (meant, type(meant))


def test_every_key_and_item_knows_its_line() -> None:
    places = read_yaml("a:\n  b: 1\n  no: [2,\n    3]\n1: {<<: x}\n", at).places
    assert places == {
        (): "s.yaml:1",
        ("a",): "s.yaml:1",
        ("a", "b"): "s.yaml:2",
        ("a", "no"): "s.yaml:3",
        ("a", "no", 0): "s.yaml:3",
        ("a", "no", 1): "s.yaml:4",
        ("1",): "s.yaml:5",
        ("1", "<<"): "s.yaml:5",
    }


@pytest.mark.parametrize(("written", "kind"), [("!!int x", "int"), ("!!bool 3", "bool"), ("!!float one", "float")])
def test_a_value_that_its_tag_does_not_fit(written: str, kind: str) -> None:
    with pytest.raises(WrongInput) as caught:
        read_yaml(f"a:\n - {written}", at)
    assert str(caught.value) == f"s.yaml:2: a.0: {written.partition(' ')[2]!r} is not a valid {kind}"


def test_anchors_may_be_used_and_reused() -> None:
    assert read_yaml("[&a 1, *a, &a 2, *a]", at).values == [1, 1, 2, 2]
