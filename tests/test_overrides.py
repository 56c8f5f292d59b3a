"""`--set key=value` changes a space before it is validated, and names itself when it is wrong."""

import pytest

from ulpt_search.spaces.axes import Int
from ulpt_search.spaces.space import ModelSpec, TaskSpec, Training

from .space_files import AXES, error, load


def test_overrides_are_laid_over_the_file() -> None:
    base = "model: minilm\ntask: pydocs\nmethods:\n  lora:\n    rank: {choice: [1, 2]}\nsteps: 8\n"
    space = load(
        base, "methods.lora.rank={int: [1, 4]}", "methods.lora.lr=1e-3", "task.limit=9", "model.dtype=float32", "steps=4", "steps=16"
    )
    assert space.methods["lora"] == {**AXES["lora"], "rank": Int(1, 4), "lr": 1e-3}
    assert (space.task, space.model) == (TaskSpec(limit=9), ModelSpec(dtype="float32"))
    assert space.training == Training(steps=16, rungs=(2, 4, 8, 16))
    assert load(base, "methods.lora.rank=").methods["lora"] == AXES["lora"]
    assert load(base, "methods={ia3: }").methods == {"ia3": AXES["ia3"]}
    for key in ("lora.rank", "lora"):
        value = "7" if key == "lora.rank" else "{rank: 7}"
        assert load("methods: {lora+ia3: {lora.rank: 1}}", f"methods.lora+ia3.{key}={value}").methods["lora+ia3"]["lora.rank"] == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("methods.lora.rnak=3", "unknown hyperparameter; lora has rank, alpha, lr. Did you mean rank?"),
        ("methods.lora={rnak: 3}", "methods.lora.rnak: unknown hyperparameter; lora has rank, alpha, lr. Did you mean rank?"),
        ("methods.lroa.rank=3", "methods.lroa: unknown method; there are lora, ia3, mask."),
        ("methods.lora.rank=", None),
        ("seeds=0", "wanted a number above 0, got 0"),
        ("rungs=[3, 2]", "rungs.1: 2 comes after 3; rungs must increase"),
        ("steps.first=3", "steps holds 8, which has no keys; set it as a whole"),
        ("steps", "wanted key=value, such as --set steps=100 or --set methods.lora.rank=4"),
        (".steps=3", "wanted key=value, such as --set steps=100 or --set methods.lora.rank=4"),
        ("rungs={factor: 3}", "rungs.first: missing; rungs needs it, such as first: 25"),
        ("steps.first=\n3", "steps holds 8, which has no keys; set it as a whole"),
        ("rungs=[1", "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("model=\n- a", 'wanted a name, or a mapping of name, dtype and device, got ["a"]'),
    ],
)
def test_a_wrong_override_names_itself(override: str, message: str | None) -> None:
    text = "steps: 8\nrungs: {first: 1}\nmethods:\n  lora:\n    rank: 2\n"
    if message is None:
        assert load(text, override).methods["lora"] == AXES["lora"]
    else:
        assert error(text, override) == f"--set {override}: {message}".replace("\n", " ")


def test_what_an_override_leads_through_keeps_its_line() -> None:
    assert (
        error("methods:\n  lroa: {rank: 1}\n", "methods.lroa.rank=3")
        == "s.yaml:2: methods.lroa: unknown method; there are lora, ia3, mask."
    )
