"""The door: what each command prints and how wrong input is answered."""

import json
from pathlib import Path

import pytest

from .door import call, drive, values

SPACE = """
methods:
  prompt:
    prompt_length: {int: [1, 4]}
  ulpt:
    dim: 2
steps: 4
rungs: [2, 4]
trials: 4
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own, and no settings of the person who runs it."""
    for variable in ("HOME", "LEDGER", "STORE", "TRACKING_URI"):
        monkeypatch.delenv(f"ULPT_SEARCH_{variable}", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPACE, encoding="utf8")
    return tmp_path


def test_methods_have_the_promised_shape() -> None:
    listings = {listing["name"]: listing for listing in values("methods")}
    assert {"ulpt", "prompt", "lora", "ia3", "bitfit"} <= set(listings)
    for listing in listings.values():
        assert set(listing) == {"name", "formula", "citation", "floor", "axes", "exports", "packable", "source"}
    assert listings["prompt"]["axes"]["prompt_length"] == {"int": [1, 100], "log": True}
    assert (listings["prompt"]["floor"], listings["ulpt"]["floor"]) == (384, 4)


def test_methods_of_a_model_that_is_not_there() -> None:
    result = call("methods", "--model", "./nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: model ./nowhere: no such folder with a config.json; give a transformers folder, a hub id, or minilm\n"


def test_methods_for_people() -> None:
    output = call("methods").stdout
    assert "Σ r·(in + out)" in output
    assert "384" in output


def test_spaces() -> None:
    listings = {listing["name"]: listing for listing in values("spaces")}
    assert {"ulpt", "smoke"} <= set(listings)
    assert all(Path(listing["path"]).is_file() for listing in listings.values())
    assert "ulpt" in call("spaces").stdout


def test_schema_for_editors() -> None:
    schema = values("spaces", "--schema")
    assert "dim" in json.dumps(schema["properties"]["methods"]["properties"]["ulpt"])


def test_tasks() -> None:
    from ulpt_search.workers.tasks.published import definitions

    assert [listing["name"] for listing in values("tasks")] == ["pydocs", *definitions(), "PATH", "OWNER/NAME"]


def test_plan_has_the_promised_shape() -> None:
    plan = values("plan", "--space", "tiny.yaml", "--budget", "500")
    assert set(plan["methods"]["prompt"]) == {"smallest", "largest", "feasible", "why"}
    assert plan["methods"]["prompt"] | {"why": ""} == {"smallest": 384, "largest": 384, "feasible": True, "why": ""}
    assert plan["methods"]["ulpt"]["smallest"] == 4
    assert plan["expected_seconds"] is None, "nothing was measured here"
    assert (plan["study"], plan["trials"], plan["rungs"][0]) == ("tiny-pydocs-minilm-500", 4, {"step": 2, "trials": 4})


def test_plan_says_what_would_make_a_method_possible() -> None:
    method = values("plan", "--space", "tiny.yaml", "--budget", "100")["methods"]["prompt"]
    assert (method["smallest"], method["largest"], method["feasible"]) == (384, None, False)
    assert method["why"] == "needs at least 384; raise --budget to 384"


def test_plan_writes_nothing(elsewhere: Path) -> None:
    assert call("plan", "--space", "tiny.yaml", "--budget", "1k").exit_code == 0
    assert [path.name for path in elsewhere.iterdir()] == ["tiny.yaml"]


def test_no_studies_yet(elsewhere: Path) -> None:
    assert values("studies") == []
    result = call("studies", "--home", "there")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"no studies under {elsewhere / 'there'} yet; start with ulpt-search run")
    assert not (elsewhere / "there").exists()


@pytest.mark.parametrize("words", [["show", "x"], ["frontier", "x"], ["export", "x", "--out", "o"]])
def test_a_study_where_nothing_was_searched(elsewhere: Path, words: list[str]) -> None:
    result = call(*words)
    home = elsewhere / "ulpt-search-home"
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: no study x: nothing has been searched under {home} yet; start with ulpt-search run, or give --home\n"
    assert not home.exists()


def test_home_may_come_from_the_environment(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULPT_SEARCH_HOME", "mine")
    assert f"under {elsewhere / 'mine'} yet" in call("studies").stderr


def test_ui_without_a_search(elsewhere: Path) -> None:
    assert call("ui").stderr.startswith(f"error: nothing has been searched under {elsewhere / 'ulpt-search-home'} yet")


def test_doctor() -> None:
    result = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert (result.exit_code, checks["torch"]["fine"], checks["home"]["fine"]) == (0, True, True)
    assert {"ray", "mlflow", "optuna", "CPUs", "GPUs", "disk", "ledger", "model minilm"} <= set(checks)


def test_doctor_finds_a_home_that_is_a_file(elsewhere: Path) -> None:
    (elsewhere / "file").write_text("", encoding="utf8")
    result = call("doctor", "--home", "file")
    assert result.exit_code == 1
    assert f"NO home --home {elsewhere}/file: {elsewhere}/file is a file; give a folder of yours" in " ".join(result.stdout.split())


WRONG = {
    "budget 0": (["--budget", "0"], "--budget 0: must be at least 1"),
    "budget in words": (["--budget", "many"], "--budget many: wanted a whole number such as 10000, 1e4 or 10k"),
    "time": (["--time", "soon"], "--time soon: wanted a duration such as 30m, 1h30m or 90s"),
    "no such space": (
        ["--space", "ulp"],
        "ulp: no such file; the shipped spaces are paper-llama, paper-t5, smoke, ulpt. Did you mean ulpt?",
    ),
    "no such option": (["--bugdet", "3"], "no such option '--bugdet'"),
    "study": (["--study", "a/b"], "--study a/b: a name has up to 100 letters"),
    "unknown key": (["--set", "methods.lora.rnak=1"], "--set methods.lora.rnak=1: unknown hyperparameter; lora has"),
    "no such model": (["--model", "./nowhere"], "--model ./nowhere: "),
    "no such task": (["--task", "pydoc"], "task pydoc: no task of this name (pydocs, sst2,"),
    "floor": (["--set", "methods.ulpt.scale=true", "--budget", "100"], "no method fits under a budget of 100 trainable parameters"),
    "home": (["--home", "tiny.yaml/x"], "is a file; give a folder of yours with --home"),
    "gpus": (["--gpus-per-worker", "0.5"], "--gpus-per-worker 0.5: this machine shows no GPU"),
    "address": (["--address", "nowhere:1"], "--address nowhere:1: also give --workers N"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_of_run_leaves_nothing(elsewhere: Path, case: str) -> None:
    import torch

    if case == "gpus" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    words, message = WRONG[case]
    ended = drive(["--space", "tiny.yaml", "--budget", "1000", *words])
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("error: ")
    assert message in ended.err
    assert [path.name for path in elsewhere.iterdir()] == ["tiny.yaml"]


def test_training_rules_are_listed() -> None:
    rules = {rule["name"]: rule for rule in values("methods", "--rules")}
    assert {"adamw", "sgc", "subzero", "senszoq", "dst", "sara", "light_peft"} <= rules.keys()
    assert rules["dst"]["axes"] == {"fraction": {"float": [0.0001, 0.5], "log": True}}
    assert "subzero" in call("methods", "--rules").stdout
