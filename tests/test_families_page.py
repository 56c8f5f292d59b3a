"""`docs/models.md` is in step with its command: the families and methods that it tries, and nothing that fails."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import ulpt_search
from ulpt_search.benchmarks.families import METHODS, Cell, Family, recorded
from ulpt_search.benchmarks.families_page import COLUMNS, RECORDS, page, read
from ulpt_search.benchmarks.family_gates import Gates
from ulpt_search.benchmarks.tiny_families import KNOWN
from ulpt_search.spaces.errors import WrongInput

WRITTEN = (Path(ulpt_search.__file__).parent / "docs" / "models.md").read_text(encoding="utf8")
ROWS = [line.split(" | ") for line in WRITTEN.splitlines() if line.startswith("| ")]
HEAD, TABLE = ROWS[0], ROWS[1:]
FIRST = HEAD.index("ulpt")


def test_the_page_has_fifty_families_that_the_command_knows_and_its_methods() -> None:
    names = [row[0].removeprefix("| ") for row in TABLE]
    assert len(names) == len(set(names)) >= 50
    assert set(names) <= set(KNOWN)
    assert tuple(cell.removesuffix(" |") for cell in HEAD[FIRST:]) == METHODS
    assert len(METHODS) >= 8


def test_the_page_is_made_of_its_records_and_these_by_one_state_of_the_code() -> None:
    found = read(RECORDS)
    assert page(found) == WRITTEN
    assert len({(row["code"], str(row["libraries"])) for row in found}) == 1
    assert {row["name"] for row in found} == set(KNOWN)
    assert not any(row["failed"] or row["closed"] for row in found)
    assert RECORDS.stat().st_size < 600_000


def test_nothing_fails_and_every_number_has_its_reason() -> None:
    assert "FAILS" not in WRITTEN
    cells = [cell for row in TABLE for cell in row[FIRST:]]
    cited = {number for cell in cells for found in re.findall(r"\(([\d,]+)\)", cell) for number in found.split(",")}
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
    row = Family("llama", "LlamaForCausalLM", 3e-7, cells, Gates(("lora",), 1e-7, 2e-6, 8, (), ())).to_json()
    assert (row["cells"], row["refused"], row["failed"], row["closed"]) == (4, 1, 1, False)
    made = page([json.loads(json.dumps(row))])
    assert "| llama | LlamaForCausalLM | 3e-07 | 2e-06 | 8 | tn FAILS (1) |" in made
    assert "1. why not" in made
    assert f"transformers {version('transformers')}, " in made
    assert "\n1 families, 4 cells: 2 work, 1 are refused" in made


@pytest.mark.parametrize(
    "gates",
    [
        Gates(("lora",), 1e-3, 0.0, 8, (), ()),
        Gates(("lora",), 0.0, 1e-3, 8, (), ()),
        Gates(("lora",), 0.0, 0.0, 8, ("lora: 0.q/B",), ()),
        Gates(("lora",), 0.0, 0.0, 8, (), ("lora",)),
        Gates(("lora",), float("nan"), 0.0, 8, (), ()),
    ],
)
def test_a_gate_that_is_closed_is_seen(gates: Gates) -> None:
    row = Family("llama", "LlamaForCausalLM", 3e-7, (), gates).to_json()
    assert row["closed"]
    assert ("DEAD" in page([row])) == bool(gates.dead or gates.idle)


def test_records_of_other_code_are_not_mixed_with_these(tmp_path: Path) -> None:
    row = {**Family("llama", "LlamaForCausalLM", 3e-7, ()).to_json(), "code": "0" * 16}
    (tmp_path / "records.jsonl").write_text(json.dumps(row), encoding="utf8")
    with pytest.raises(WrongInput, match=r"^--records \S+: llama was tried by other code or libraries; name another file"):
        list(recorded(["llama"], METHODS, tmp_path / "records.jsonl"))
