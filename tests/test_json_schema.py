"""The editors' schema accepts what the door accepts, and marks the mistakes that it can see."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ulpt_search.spaces.axes import Axis, Choice, Float, Int
from ulpt_search.spaces.located_yaml import read_yaml
from ulpt_search.spaces.schema import json_schema, shipped_spaces
from ulpt_search.workers.catalogue import axes_of, catalogue

AXES: dict[str, dict[str, Axis]] = {
    "lora": {"rank": Int(1, 16), "lr": Float(1e-4, 0.1, log=True), "modules": Choice(("q,v", "all"))},
    "ia3": {"gate": Choice((True, False)), "init": Choice(("ones", "normal"))},
}
GOOD = [
    "methods: {lora: }",
    "methods: {lora: {rank: 4, lr: 1e-4, modules: [q, v]}, ia3: {gate: false, init: ones}}",
    "methods: {lora: {rank: {int: [2, 256], log: true}, lr: {float: [1e-4, 1]}, modules: {choice: [all, [q, v]]}}}",
    "methods: {lora+ia3: {lora.rank: 2}}\nrungs: {first: 25, factor: 2}\nmodel: ./here\ntask: {path: data, limit: 3}",
    "methods: {ia3: {gate: {choice: [true]}}}\nsteps: 8\nrungs: [2, 8]\nobjectives: [score, bytes]\nmodel: {name: m, dtype: bfloat16}",
]
BAD = [
    "methods: {lora: {rnak: 4}}",
    "methods: {lora: {rank: 4.5}}",
    "methods: {lora: {rank: {float: [1, 2]}}}",
    "methods: {lora: {lr: {float: [1]}}}",
    "methods: {lroa: }",
    "methods: {lora+iaa3: }",
    "methods: {ia3: {init: zeros}}",
    "methods: {}",
    "steps: 8",
    "methods: {lora: }\nstpes: 8",
    "methods: {lora: }\nbatch: 0",
    "methods: {lora: }\nrungs: {frist: 2}",
    "methods: {lora: }\nmodel: {dtype: half}",
]


def problems(schema: dict[str, Any], text: str) -> list[str]:
    """What a validator that knows nothing of us finds in a space file."""
    validator = pytest.importorskip("jsonschema").Draft7Validator
    validator.check_schema(schema)
    return [problem.message for problem in validator(schema).iter_errors(read_yaml(text, str).values)]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_space_has_no_problem(text: str) -> None:
    assert problems(json_schema(AXES), text) == []


@pytest.mark.parametrize("text", BAD)
def test_a_bad_space_has_one(text: str) -> None:
    assert problems(json_schema(AXES), text)


def real_schema() -> dict[str, Any]:
    return json_schema({method: axes_of(method) for method in catalogue()})


@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_spaces_have_no_problem(name: str) -> None:
    assert problems(real_schema(), shipped_spaces()[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", shipped_spaces())
def test_the_schema_has_every_key_of_the_shipped_spaces(name: str) -> None:
    space = read_yaml(shipped_spaces()[name].read_text(encoding="utf-8"), str).values
    known = real_schema()["properties"]
    assert space.keys() <= known.keys()
    methods = known["methods"]["properties"]
    for name, given in space["methods"].items():
        if name not in methods:  # several in one trial, whose keys no schema can list
            assert any(re.search(pattern, name) for pattern in known["methods"]["patternProperties"])
            continue
        assert (given or {}).keys() <= methods[name]["properties"].keys()


def test_the_schema_is_plain_json_and_says_what_things_are() -> None:
    schema = json.loads(json.dumps(json_schema(AXES)))
    lora = schema["properties"]["methods"]["properties"]["lora"]["properties"]
    assert lora["rank"]["description"] == "by default whole numbers from 1 to 16"
    assert lora["lr"]["description"] == "by default numbers from 0.0001 to 0.1, in the logarithm"
    assert lora["modules"]["description"] == "by default one of q,v, all"
    assert schema["properties"]["rungs"]["description"]
    assert set(references(schema)) <= {f"#/$defs/{name}" for name in schema["$defs"]}


def references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (value for key, value in schema.items() if key == "$ref")
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from references(inner)
