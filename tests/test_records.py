"""Records go to JSON and back unchanged, so that a ledger, a wire or a file can hold them."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.spaces.records import Assignment, Job, Outcome, Point, Problem, Result, Trial

numbers = st.floats(allow_nan=False, allow_infinity=False)
naturals = st.integers(0, 2**53)
names = st.text(min_size=1, max_size=12)
hyperparameters = st.dictionaries(names, st.integers(-9, 9) | numbers | st.booleans() | names, max_size=4)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)

trials = st.builds(
    Trial,
    number=naturals,
    method=names,
    hyperparameters=hyperparameters,
    seed=naturals,
    parameters=naturals,
    purpose=st.sampled_from(("search", "final")),
    finalist=st.none() | naturals,
)
results = st.builds(
    Result,
    trial=naturals,
    step=naturals,
    split=st.sampled_from(("validation", "test")),
    score=numbers,
    variance=numbers,
    loss=numbers,
    seconds=numbers,
    adapter=digests,
    bytes=naturals,
)
problems = st.builds(Problem, trial=naturals, error=st.text(), fatal=st.booleans())
jobs = st.builds(
    Job,
    number=naturals,
    assignments=st.lists(st.builds(Assignment, trials, naturals, st.none() | digests), max_size=3).map(tuple),
    stop=naturals,
    splits=st.sampled_from((("validation",), ("test",), ("validation", "test"))),
)
outcomes = st.builds(
    Outcome,
    job=naturals,
    results=st.lists(results, max_size=3).map(tuple),
    problems=st.lists(problems, max_size=3).map(tuple),
    pack_limit=st.none() | naturals,
)


@given(trials | results | jobs | outcomes)
def test_a_record_survives_json(record: Trial | Result | Job | Outcome) -> None:
    assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


@given(trials)
def test_json_keeps_the_kind_of_every_hyperparameter(trial: Trial) -> None:
    back = Trial.from_json(json.loads(json.dumps(trial.to_json())))
    assert {name: type(value) for name, value in back.hyperparameters.items()} == {n: type(v) for n, v in trial.hyperparameters.items()}


def test_a_point_is_plain_json_with_every_field() -> None:
    point = Point(3, "lora", {"rank": 2}, 0, 1536, 6300, 200, 0.6, 0.5, 0.7, 0.61, 0.5, 0.7, (11, 12), (5, 6), 5, 0.6, 0.6)
    plain = json.loads(json.dumps(point.to_json()))
    assert list(plain) == [field.name for field in dataclasses.fields(Point)]
    assert plain["hyperparameters"] == {"rank": 2}
    assert plain["seeds"] == [11, 12]


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Problem(1, "out of memory").trial = 2  # type: ignore[misc]
