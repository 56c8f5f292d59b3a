"""A user's axes are read with their kind, and refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.spaces.axes import Axis, Choice, Float, Int, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Linear, Shape
from ulpt_search.spaces.user_axes import SELECTORS

from .space_files import AXES, error, load


def read(method: str, hyperparameter: str) -> Axis | Value:
    """What a space has for the one hyperparameter it gives, e.g. `read("lora", "rank: 4")`."""
    space = load(f"methods:\n  {method}:\n    {hyperparameter}\n")
    return space.methods[method][hyperparameter.partition(":")[0]]


@pytest.mark.parametrize(
    ("method", "given", "wanted"),
    [
        ("lora", "rank: 4", 4),
        ("lora", "rank: {int: [2, 256], log: true}", Int(2, 256, log=True)),
        ("lora", "rank: {choice: [1, 4]}", Choice((1, 4))),
        ("lora", "rank:", AXES["lora"]["rank"]),
        ("lora", "lr: 1e-4", 1e-4),
        ("lora", "lr: {float: [1e-4, 3E-1]}", Float(1e-4, 0.3)),
        ("lora", "lr: {choice: [1e-4, 1]}", Choice((1e-4, 1.0))),
        ("lora", "alpha: 16", 16.0),
        ("lora", "alpha: {float: [1, 64]}", Float(1.0, 64.0)),
        ("lora", "alpha: {int: [1, 64], log: true}", Int(1, 64, log=True)),
        ("ia3", "layers: 0", "0"),
        ("ia3", "layers: [0, 3]", "0,3"),
        ("ia3", "layers: first:2", "first:2"),
        ("ia3", "modules: [q, v]", "q,v"),
        ("ia3", "modules: {choice: [all, [q, v]]}", Choice(("all", "q,v"))),
        ("ia3", "init: normal", "normal"),
        ("ia3", "gate: false", False),
        ("ia3", "gate: no", False),
        ("ia3", "gate: {choice: [On, off]}", Choice((True, False))),
        ("mask", "keep: 0", 0.0),
        ("mask", "blocks: 16", 16),
        ("mask", "blocks: {int: [1, 8]}", Int(1, 8)),
        ("mask", "width: auto", "auto"),
        ("mask", "width: {choice: [8, auto]}", Choice((8, "auto"))),
    ],
)
def test_a_hyperparameter_is_read_with_its_kind(method: str, given: str, wanted: Axis | Value) -> None:
    found = read(method, given)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("lora", "rnak: 3", "rnak: unknown hyperparameter; lora has rank, alpha, lr. Did you mean rank?"),
        ("lora", "rank: 4.0", "rank: wanted a whole number, got 4.0; write 4"),
        ("lora", "rank: true", "rank: wanted a whole number, got true"),
        ("lora", "rank: -2", "rank: wanted a number above 0, got -2"),
        ("lora", "rank: 010", 'rank: wanted a whole number, got "010"'),
        ("lora", "rank: [2, 4]", "rank: wanted one value, got [2, 4]; rank takes whole numbers: 4, {int: [1, 8]} or {choice: [1, 2, 4]}"),
        ("lora", "rank: {float: [1, 2]}", "rank.float: rank takes whole numbers: 4, {int: [1, 8]} or {choice: [1, 2, 4]}"),
        ("lora", "rank: {int: [1, 2.5]}", "rank.int.1: wanted a whole number, got 2.5"),
        ("lora", "rank: {int: [4, 2]}", "rank.int: the range [4, 2] is empty: write the smaller number first"),
        ("lora", "rank: {int: [1, 2, 3]}", "rank.int: wanted 2 entries at most, got [1, 2, 3]"),
        ("lora", "rank: {int: [0, 2]}", "rank.int.0: wanted a number above 0, got 0"),
        ("lora", "rank: {int: 3}", "rank.int: wanted a list, got 3"),
        ("lora", "rank: {int: }", "rank.int: empty; give it a value, or delete the key"),
        ("lora", "rank: {int: [1, 2], lgo: true}", "rank.lgo: unknown key; an int axis has int, log. Did you mean log?"),
        ("lora", "rank: {int: [1, 2], log: yes}", 'rank.log: wanted true or false, got "yes"'),
        ("lora", "rank: {integer: [1, 2]}", "rank.integer: unknown kind of axis; an axis has int, float, choice. Did you mean int?"),
        ("lora", "rank: {int: [1, 2], choice: [1]}", "rank: both int and choice; keep one of them"),
        (
            "lora",
            "rank: {log: true}",
            "rank: an axis needs its values; write {int: [1, 8]}, {float: [1e-4, 1e-1], log: true} or {choice: [a, b]}",
        ),
        ("lora", "rank: {choice: []}", "rank.choice: wanted 1 or more entries, got []"),
        ("lora", "rank: {choice: [1, 2, 1]}", "rank.choice.2: 1 is listed twice; keep one"),
        ("lora", "rank: {choice: [1, two]}", 'rank.choice.1: wanted a whole number, got "two"'),
        (
            "lora",
            "rank: {choice: [1, [2]]}",
            "rank.choice.1: wanted one value, got [2]; rank takes whole numbers: 4, {int: [1, 8]} or {choice: [1, 2, 4]}",
        ),
        ("lora", "lr: no", 'lr: wanted a number, got "no"'),
        ("lora", "lr: .inf", "lr: wanted a finite number, got inf"),
        ("lora", "lr: 0", "lr: wanted a number above 0, got 0.0"),
        ("lora", "lr: {float: [1e-4, .nan]}", "lr.float.1: wanted a finite number, got nan"),
        ("lora", "lr: 2024-01-01", 'lr: wanted a number, got "2024-01-01"'),
        ("lora", "lr: !!float abc", "lr: 'abc' is not a valid float"),
        ("mask", "keep: -0.1", "keep: wanted 0 or more, got -0.1"),
        ("mask", "keep: {float: [0, 1], log: true}", "keep.float: a logarithmic range must start above 0, got [0.0, 1.0]"),
        ("mask", "width: 7", 'width: wanted one of "auto", 8, got 7.'),
        ("mask", "width: {int: [1, 8]}", "width.int: width takes its own options: {choice: [auto, 8]}"),
        ("ia3", "init: nromal", 'init: wanted one of "ones", "normal", got "nromal". Did you mean normal?'),
        ("ia3", "gate: 1", "gate: wanted true or false, got 1"),
        ("ia3", "gate: {int: [0, 1]}", "gate.int: gate takes true or false: {choice: [true, false]}"),
        ("ia3", "layers: true", 'layers: wanted text, got true; put it in quotes: "true"'),
        ("ia3", "layers: lats:2", 'layers: wanted all, first:2, last:2, last:50% or numbers such as 0,3, got "lats:2"'),
        ("ia3", "modules: [q, 2.5]", 'modules: wanted one value, got ["q", 2.5]; modules takes text: {choice: [k,v, all]}'),
    ],
)
def test_a_wrong_hyperparameter_is_one_line_with_a_way_out(method: str, given: str, message: str) -> None:
    assert error(f"# a comment\nmethods:\n  {method}:\n    {given}\n") == f"s.yaml:4: methods.{method}.{message}"


DEEP = Shape("encoder", 8, 100, 10, 1.0, tuple(Linear(f"{n}.q", n, "q", 8, 8, True) for n in range(100)), (), ())


@given(st.from_regex(SELECTORS["layers"][0], fullmatch=True))
def test_layers_accepted_here_are_understood_by_the_shape(layers: str) -> None:
    try:
        chosen = DEEP.select_layers(layers)
    except WrongInput as problem:
        refusal = str(problem)
    else:
        assert chosen
        return
    assert "this model has" in refusal, "only the depth of a model may refuse them"
