"""`docs/models.md` is in step with its command: the families and methods that it tries, and nothing that fails."""

import json
import re
from pathlib import Path

import ulpt_search
from ulpt_search.benchmarks.families import COLUMNS, METHODS, Cell, Family
from ulpt_search.benchmarks.families_page import page
from ulpt_search.benchmarks.tiny_families import FAMILIES

WRITTEN = (Path(ulpt_search.__file__).parent / "docs" / "models.md").read_text(encoding="utf8")
ROWS = [line.split(" | ") for line in WRITTEN.splitlines() if line.startswith("| ")]
HEAD, TABLE = ROWS[0], ROWS[1:]


def test_the_page_has_fifty_families_that_the_command_knows_and_its_methods() -> None:
    names = [row[0].removeprefix("| ") for row in TABLE]
    assert len(names) == len(set(names)) >= 50
    assert set(names) <= set(FAMILIES)
    assert tuple(cell.removesuffix(" |") for cell in HEAD[3:]) == METHODS
    assert len(METHODS) >= 8


def test_nothing_fails_and_every_number_has_its_reason() -> None:
    assert "FAILS" not in WRITTEN
    cited = {number for row in TABLE for cell in row[3:] for found in re.findall(r"\(([\d,]+)\)", cell) for number in found.split(",")}
    told = re.findall(r"^(\d+)\. .+$", WRITTEN, flags=re.MULTILINE)
    assert cited == set(told)
    assert len(told) == len(set(told))


def test_frozen_scores_are_the_plain_models_to_float_noise() -> None:
    far = [float(row[2]) for row in TABLE if row[2] != "–"]
    assert len(far) >= 45
    assert max(far) <= 1e-5


def test_a_page_says_what_was_found() -> None:
    """Four cells of which one is refused and one has failed."""
    states = zip(COLUMNS, ("works", "works", "refused", "failed"), strict=True)
    cells = tuple(Cell("lora", column, state, "why not" if state == "refused" else "") for column, state in states)
    row = Family("llama", "LlamaForCausalLM", 3e-7, cells).to_json()
    assert (row["cells"], row["refused"], row["failed"]) == (4, 1, 1)
    made = page([json.loads(json.dumps(row))], COLUMNS)
    assert "| llama | LlamaForCausalLM | 3e-07 | tn FAILS (1) |" in made
    assert "1. why not" in made
    assert "\n1 families, 4 cells: 2 work, 1 are refused" in made
