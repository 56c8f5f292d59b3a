"""The command for the day when a GPU is at hand, on a CPU with tiny shapes: its parts, their figures, what it skips and what it needs."""

import ast
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import ulpt_search
from ulpt_search.benchmarks import gpu, gpu_checks
from ulpt_search.benchmarks.gpu_speed import Left
from ulpt_search.benchmarks.tiny_tasks import colours

ROOT, CPU = Path(ulpt_search.__file__).parent, torch.device("cpu")
BROUGHT = {"torch", "transformers", "peft", "safetensors", "numpy"} | {
    "tokenizers",
    "huggingface_hub",
    "psutil",
    "jinja2",
    "filelock",
    "fsspec",
}
"""What the command needs, and what these bring themselves."""


def plenty() -> float:
    return 1e6


@cache
def found() -> dict[str, Any]:
    """The report as its file has it."""
    whole: dict[str, Any] = json.loads(json.dumps(gpu.report(gpu.SHORT, CPU, plenty)))
    return whole


def rows(part: str) -> list[dict[str, Any]]:
    return next(one["rows"] for one in found()["parts"] if one["name"] == part)


def test_every_part_is_done_and_fine() -> None:
    assert [(one["name"], one["state"], one["why"]) for one in found()["parts"]] == [
        (name, "done", "") for name in ("packed = alone", "exports", "readouts", "tiny")
    ]
    assert all(row["fine"] for one in found()["parts"] for row in one["rows"])
    assert found()["machine"]["torch"] == torch.__version__


def test_checks_cover_what_they_promise_and_say_how_far_it_was() -> None:
    packed = rows("packed = alone")
    assert {(row["model"], row["dtype"], row["method"]) for row in packed} == {
        (model, dtype, method) for model in ("bert", "llama") for dtype in ("float32", "bfloat16") for method, _ in gpu_checks.MIXED
    }
    assert all(row["far"] <= row["within"] for row in (*packed, *rows("exports")))
    assert {(row["model"], row["format"]) for row in rows("exports")} == {(m, f) for m in ("bert", "llama") for f in ("native", "peft")}
    read = {row["readout"]: row["class"] for row in rows("readouts")}
    assert read["label words"] == "Words"
    assert read["whole labels"] == "Likelihood"
    assert read.keys() == {*gpu_checks.READOUTS, "generate"}
    assert all(row["tokens"] > 0 for row in rows("readouts") if row["readout"] == "generate")


def test_speeds_are_beside_one_trial_and_beside_peft() -> None:
    loop, one, four = rows("tiny")
    assert [row["way"] for row in (loop, one, four)] == ["PEFT loop", "pack of 1", "pack of 4"]
    assert loop["over_peft_loop"] == one["over_one_trial"] == 1
    assert four["over_one_trial"] == pytest.approx(four["trial_steps_per_second"] / one["trial_steps_per_second"])
    assert four["paper_bytes"] > one["paper_bytes"] > 0
    assert loop["peak_bytes"] is None, "a CPU's allocator keeps no peak"


def test_the_tables_have_every_row() -> None:
    text = gpu.markdown(found())
    count = sum(len(one["rows"]) for one in found()["parts"])
    assert text.count("\n| ") == count + 2 * len(found()["parts"])
    assert "| bert | peft | lora |" in text


def test_trials_of_other_rows_and_exports_that_do_nothing_are_not_fine() -> None:
    own = gpu_checks.backbone("llama", CPU, torch.bfloat16)
    together = gpu_checks.learnt(own, colours(gpu_checks.ROWS), [gpu_checks.LORA] * 2, [0, 7])
    assert gpu_checks.beside(together, 0, gpu_checks.LORA, 0.25)["fine"]
    other = gpu_checks.beside(together, 1, gpu_checks.LORA, 0.25)
    assert not other["fine"]
    assert other["far"] > 1, "seed 7 is not the second place's own"
    assert not gpu_checks.reloaded(together, together.before)["fine"]


def broken(device: torch.device, left: Left) -> Iterator[gpu.Row]:
    yield {"what": "first", "fine": True}
    raise RuntimeError("the device is gone")


def wrong(device: torch.device, left: Left) -> Iterator[gpu.Row]:
    yield {"what": "second", **gpu_checks.checked({}, lambda: {"fine": 1 / 0 > 1})}


def test_a_part_that_fails_or_does_not_fit_does_not_end_the_others() -> None:
    parts = [gpu.Part("broken", 1, broken), gpu.Part("long", 100, wrong), gpu.Part("wrong", 1, wrong)]
    told = gpu.report(parts, CPU, lambda: 50.0)["parts"]
    assert [(one["state"], one["why"]) for one in told] == [
        ("failed", "RuntimeError: the device is gone"),
        ("skipped", "needs about 100 s, 50 s are left"),
        ("failed", "1 of 1 are not fine"),
    ]
    assert [row["what"] for one in told for row in one["rows"]] == ["first", "second"]
    assert "ZeroDivisionError" in told[2]["rows"][0]["why"]


def test_the_command_writes_what_it_found_within_its_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--minutes", "0", "--json", str(path)])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert not ended.value.code
    assert {(one["name"], one["state"]) for one in json.loads(path.read_text())["parts"]} == {(part.name, "skipped") for part in gpu.FULL}
    assert "8b: skipped" in capsys.readouterr().out


def test_where_there_is_no_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit, match="PyTorch sees no GPU here"):
        gpu.main()


def at_import(path: Path) -> Iterator[str]:
    """Modules that a file imports when it is imported itself, by their whole names."""
    package = ("ulpt_search", *path.relative_to(ROOT).parent.parts)
    for node in ast.parse(path.read_text(encoding="utf8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def files_of(module: str) -> Iterator[Path]:
    """The file of one of our modules, and the packages that it lies in."""
    inside = module.split(".")[1:]
    for depth in range(1, len(inside) + 1):
        place = ROOT.joinpath(*inside[:depth])
        yield from (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())


def test_it_needs_nothing_but_torch_transformers_peft_safetensors_and_numpy() -> None:
    """Methods and rules are found by their files."""
    waiting = [
        ROOT / "benchmarks" / "gpu.py",
        *(ROOT / "workers" / "methods").glob("*.py"),
        *(ROOT / "workers" / "optimizers").glob("*.py"),
    ]
    seen, foreign = set[Path](), set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        modules = set(at_import(path))
        foreign |= {module.split(".")[0] for module in modules if not module.startswith("ulpt_search")}
        waiting += {one for module in modules if module.startswith("ulpt_search") for one in files_of(module)} - seen
    assert ROOT / "workers" / "training" / "trainer.py" in seen
    assert not any(path.is_relative_to(ROOT / "search") for path in seen)
    assert foreign - set(sys.stdlib_module_names) <= BROUGHT
