"""A space survives JSON, and its axes in JSON are the YAML a person would write."""

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ulpt_search.spaces.axes import Axis, Choice, Float, Int, Value
from ulpt_search.spaces.schema import load_space, space_from_json, space_to_json
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training

names = st.text(min_size=1, max_size=9)
naturals = st.integers(1, 10**9)
positive = st.floats(1e-300, 1e300)
flags = st.booleans()

ints = st.builds(lambda ends, log: Int(min(ends), max(ends), log=log), st.tuples(naturals, naturals), flags)
floats = st.builds(lambda ends, log: Float(min(ends), max(ends), log=log), st.tuples(positive, positive), flags)
choices = st.builds(
    lambda options: Choice(tuple(options)),
    st.lists(naturals, min_size=1, unique=True)
    | st.lists(names, min_size=1, unique=True)
    | st.just([True, False])
    | st.just(["auto", 8, 0.5]),
)
values = naturals | positive | names | flags
tasks = st.builds(
    TaskSpec,
    name=names,
    path=st.none() | names,
    hub=st.none() | names,
    text_b=st.none() | names,
    labels=st.dictionaries(names, names, max_size=3),
    metric=st.sampled_from((None, "f1")),
    limit=st.none() | naturals,
)
trainings = st.builds(
    Training, steps=naturals, rungs=st.lists(naturals, max_size=4).map(tuple), batch=naturals, warmup=positive, clip=positive
)
spaces = st.builds(
    Space,
    name=names,
    model=st.builds(ModelSpec, name=names, dtype=st.sampled_from(("auto", "bfloat16")), device=names),
    task=tasks,
    training=trainings,
    methods=st.dictionaries(names, st.dictionaries(names, ints | floats | choices | values, max_size=4), max_size=3),
    trials=naturals,
    seeds=naturals,
    finalists=naturals,
    objectives=st.sampled_from((("score",), ("score", "parameters"), ("score", "bytes"))),
)


@given(spaces)
def test_a_space_survives_json(space: Space) -> None:
    back = space_from_json(json.loads(json.dumps(space_to_json(space))))
    assert back == space
    assert repr(back) == repr(space), "kinds and order survive too: 1 is not 1.0 and not true"


@given(ints, floats, st.lists(naturals, min_size=1, unique=True), positive)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_the_axes_in_json_can_be_pasted_into_a_space_file(tmp_path: Path, rank: Axis, lr: Axis, options: list[int], alpha: Value) -> None:
    own: dict[str, Axis] = {"rank": Int(1, 8), "blocks": Int(1, 8), "lr": Float(1e-4, 1.0), "alpha": Float(1.0, 2.0)}
    wanted = {"rank": rank, "blocks": Choice(tuple(options)), "lr": lr, "alpha": alpha}
    written = space_to_json(Space("s", ModelSpec(), TaskSpec(), Training(), {"lora": wanted}))["methods"]
    (tmp_path / "s.yaml").write_text(f"methods: {json.dumps(written)}", encoding="utf-8")
    assert load_space(str(tmp_path / "s.yaml"), catalogue=lambda _: own).methods == {"lora": wanted}
