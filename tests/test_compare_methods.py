"""The page of the comparison says what the records say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "compare_methods.py"
RECIPE = {"model": "minilm", "trials": 3, "seeds": 3, "steps": 60, "batch": 16}


def record(method: str, budget: float, parameters: int | None, test: list[float], why: str = "") -> dict[str, Any]:
    found = {"task": "trec", "method": method, "budget": budget, "recipe": RECIPE, "dtype": "float32", "parameters": parameters}
    return found | ({"why": why} if why else {"test": test, "variance": [1e-4] * len(test)})


RECORDS = [
    record("frozen", float("inf"), 0, [0.5]),
    record("full", float("inf"), 10_000, [0.9, 0.9, 0.9]),
    record("long prompt", float("inf"), 40_000, [0.80, 0.81, 0.79]) | {"hyperparameters": {"prompt_length": 128}},
    record("long ulpt", float("inf"), 800, [0.77, 0.78, 0.76]),
    record("prompt", 1e4, 3840, [0.80, 0.81, 0.79]),
    record("ulpt", 1e4, 768, [0.77, 0.78, 0.76]),
    record("lora", 1e4, 768, [0.60, 0.61, 0.59]),
    record("snell", 1e4, None, [], why="no configuration fits"),
]


def test_page(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in RECORDS), encoding="utf8")
    command = [sys.executable, str(SCRIPT), "--records", str(path), "--report"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "keeps at least 97% of full fine-tuning's score on no task, not on trec." in page
    assert "ULPT has at least 20% of its parameters (trec, 10,000) and then keeps 90% of its gain; 2 % takes" in page
    long = "With 2.0% of the parameters of a prompt of 128 tokens, ULPT scores 0.770 ±0.024 against 0.800 ±0.024 on trec: 90% of its gain."
    assert page.count(long) == 2, "in short and under the task"
    assert "### trec, at most 10,000 parameters (float32)" in page
    assert "| prompt | 3,840 | 0.800 ±0.024 | best |" in page
    assert "| ulpt | 768 | 0.770 ±0.024 | yes |" in page
    assert "| lora | 768 | 0.600 ±0.024 |  |" in page
    assert "Not shown: snell (no configuration fits)." in page
    assert "ULPT has 20% of the prompt's parameters here and 90% of its gain over the frozen model." in page
    assert "The best adapter, prompt, has 89% of full fine-tuning's score, 75% of its gain." in page
    assert page.index("frozen model alone (0 parameters) 0.500 ±0.020") < page.index(
        "full fine-tuning of all linears (10,000 parameters) 0.900"
    )
