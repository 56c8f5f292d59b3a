"""Damaged files end in one line: a few of each kind here, by the thousand in `benchmarks/mutations.py`."""

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from ulpt_search.benchmarks.damage import damaged, revalued
from ulpt_search.benchmarks.mutated import KINDS
from ulpt_search.benchmarks.mutations import Found, mutate
from ulpt_search.search.ledger.damage import require_sound
from ulpt_search.spaces.errors import Failure

from . import kept
from .door import call


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "exports"])
def test_damaged_files_are_told_in_one_line(kind: str, tmp_path: Path) -> None:
    found = Found()
    mutate(tmp_path, found, cases=50, seed=1, only=kind)
    assert found.cases.total() == 50
    assert found.faults == []


def test_a_case_is_made_again_by_its_number() -> None:
    assert damaged(b"x" * 500, random.Random("1")) == damaged(b"x" * 500, random.Random("1"))
    assert len({damaged(b"abc" * 100, random.Random(n)) for n in range(50)}) > 30
    assert len({revalued('{"a": [1, {"b": 2}], "c": "d"}', random.Random(n)) for n in range(50)}) > 10


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE ulpt_results SET numerics = NULL, score = 'x'", "as its score"),
        ("UPDATE ulpt_trials SET hyperparameters = '5'", "as its hyperparameters"),
        ("UPDATE ulpt_trials SET hyperparameters = ''", "as its hyperparameters"),
        ("UPDATE ulpt_studies SET created = x'ff'", "as its created"),
    ],
    ids=["score", "number", "empty", "bytes"],
)
def test_a_cell_that_nobody_could_have_written_is_named(statement: str, told: str, tmp_path: Path) -> None:
    home = kept.home(tmp_path / "home")
    with contextlib.closing(sqlite3.connect(home.root / "ledger.sqlite")) as connection, connection:
        assert connection.execute(statement).rowcount
    for words in (("verify", "demo"), ("show", "demo"), ("frontier", "demo")):
        done = call(*words, "--home", str(home.root))
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert done.exit_code == 1 or words[0] != "verify"
        if done.exit_code:
            assert len(done.stderr.strip().splitlines()) == 1
            assert "was damaged or changed" in done.stderr
            assert told in done.stderr


@pytest.mark.parametrize(
    "statement", ["UPDATE ulpt_trials SET number = -1 WHERE number = 3", "UPDATE ulpt_results SET trial = 77 WHERE trial = 0"]
)
def test_a_row_of_no_trial_is_named(statement: str, tmp_path: Path) -> None:
    home = kept.home(tmp_path / "home")
    with contextlib.closing(sqlite3.connect(home.root / "ledger.sqlite")) as connection, connection:
        assert connection.execute(statement).rowcount
    with pytest.raises(Failure, match="which its study does not have"):
        require_sound(home.ledger_url)
    for words in (("verify", "demo"), ("show", "demo"), ("frontier", "demo")):
        done = call(*words, "--home", str(home.root))
        assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_sound_ledger_is_sound(tmp_path: Path) -> None:
    require_sound(kept.home(tmp_path / "home").ledger_url)
