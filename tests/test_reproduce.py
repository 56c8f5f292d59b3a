"""A paper's table with ours beside it: what it says without a study, and after a real search of one task."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ulpt_search.search.cli import main
from ulpt_search.search.cli.reproduction import reproduction, run_missing
from ulpt_search.search.home import Home
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.workers.tasks.published import definitions, suites
from ulpt_search.workers.tasks.published_results import PublishedResults, PublishedRow, published_results

from .task_files import folder, records

ONE = PublishedResults("one", "a paper", {"model": "t5", "steps": 30000, "batch": 8, "max_tokens": 32, "prompt_length": 4}, ())


def call(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, result.output


def test_tables_are_of_the_suites_tasks() -> None:
    tables, known = published_results(), suites()
    assert list(tables) == ["glue", "superglue", "others", "mrqa", "reasoning"]
    for suite, table in tables.items():
        assert set(table.tasks) == {one.name for one in known[suite]}
        assert all(set(row.scores) == set(table.tasks) for row in table.rows)


@pytest.mark.parametrize(
    ("suite", "method", "average"),
    [("glue", "PT", 84.9), ("superglue", "ULPT r64", 76.8), ("others", "PT", 73.8), ("mrqa", "PT", 70.8), ("mrqa", "ULPT r256", 72.8)],
)
def test_averages_are_the_papers(suite: str, method: str, average: float) -> None:
    row = next(row for row in published_results()[suite].rows if row.method == method)
    assert sum(row.scores.values()) / len(row.scores) == pytest.approx(average, abs=0.06)


@pytest.mark.parametrize("rank", [2, 16, 64, 256])
def test_counts_are_those_of_the_method(rank: int) -> None:
    widths = {"paper-t5": 768, "paper-llama": 2048}
    for table in published_results().values():
        said = {row.parameters for row in table.rows if row.method == f"ULPT r{rank}"}
        assert said <= {table.recipe["prompt_length"] * rank + 2 * widths[table.space]}


def test_without_a_study_the_paper_is_shown_and_how_to_run(tmp_path: Path) -> None:
    status, said = call("reproduce", "glue", "--home", str(tmp_path))
    assert status == 0
    assert "none of ours is measured yet: ulpt-search reproduce glue --run" in said
    status, told = call("reproduce", "glue", "--home", str(tmp_path), "--json")
    assert {one["task"]: one["best"] for one in json.loads(told)["ours"]} == dict.fromkeys(published_results()["glue"].tasks)


def test_what_is_no_suite_or_misses_run_is_told(tmp_path: Path) -> None:
    assert call("reproduce", "gleu", "--home", str(tmp_path))[0] == 2
    assert call("reproduce", "glue", "--home", str(tmp_path), "--", "--model", "x")[0] == 2
    with pytest.raises(WrongInput, match="no folder rte in it"):
        run_missing(_one("rte"), str(tmp_path / "home"), data=tmp_path, more=())


def test_every_folder_is_looked_for_before_the_first_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rte").mkdir()
    started = list[Any]()
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: started.append(command))
    with pytest.raises(WrongInput, match="no folder cola in it"):
        run_missing(_one("rte", "cola"), str(tmp_path / "home"), data=tmp_path, more=())
    assert not started


@pytest.mark.slow
def test_a_real_search_stands_beside_the_paper_with_what_differs(tmp_path: Path) -> None:
    folder(tmp_path / "rte", train=_pairs(60, 0), validation=_pairs(24, 100))
    home = tmp_path / "home"
    quick = ("--space", "smoke", "--trials", "2", "--no-references", "--quiet", "--set", "methods.lora.layers=last:1")
    run_missing(_one("rte"), str(home), data=tmp_path, more=quick)
    found = reproduction(_one("rte"), Home.at(str(home)))
    (ours,) = found.ours
    assert ours.best is not None
    assert ours.best.test_score is not None
    assert found.differences[:2] == ("model: minilm, in the paper t5", "steps: 8, in the paper 30000")
    assert "rows: of a folder, not the hub's" in found.differences
    assert not any(line.startswith(("batch", "max_tokens", "prompt_length")) for line in found.differences)
    with pytest.raises(Failure, match="rte: its search ended with 2"):
        run_missing(_one("rte"), str(home), data=tmp_path, more=("--budget", "none"))


def _one(*tasks: str) -> PublishedResults:
    assert set(tasks) <= set(definitions())
    return PublishedResults(ONE.suite, ONE.source, ONE.recipe, (PublishedRow("ULPT r2", 1736, dict.fromkeys(tasks, 76.3)),))


def _pairs(count: int, start: int) -> list[dict[str, object]]:
    rows = records(count, labels=("entailment", "not_entailment"), start=start)
    return [{**row, "text_b": f"and more of it {number}"} for number, row in enumerate(rows)]
