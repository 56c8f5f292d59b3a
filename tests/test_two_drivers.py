"""Drivers at once: on one study exactly one proceeds, and two studies share a home and a ledger without harm."""

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ulpt_search.search.ledger.ledger import Ledger

from . import ledgers, tiny
from .processes import Program

CLAIM = """
import sys
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.errors import WrongInput

ledger = Ledger.open(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    try:
        with ledger.lease("demo"):
            print("proceeds", flush=True)
            sys.stdin.readline()
    except WrongInput as error:
        print("refused" if "is being searched by process" in str(error) else error, flush=True)
        sys.stdin.readline()
    print("over", flush=True)
"""


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_of_two_drivers_at_once_exactly_one_proceeds_twenty_times(ledger_url: str) -> None:
    ledgers.make(Ledger.open(ledger_url)).close()
    both = [
        subprocess.Popen(ledgers.program(CLAIM, ledger_url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        assert [_heard(one) for one in both] == ["ready"] * 2
        for _ in range(20):
            for one in both:
                _say(one)
            assert sorted(_heard(one) for one in both) == ["proceeds", "refused"]
            for one in both:
                _say(one)
            assert [_heard(one) for one in both] == ["over"] * 2
    finally:
        for one in both:
            one.communicate(timeout=60)


def _say(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def _heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_studies_at_once_on_one_home_and_ledger(ledger_url: str, tmp_path: Path, short: Path) -> None:
    tiny.prepare(tmp_path)
    programs = []
    for name in ("first", "second"):
        own = [
            "--study",
            name,
            "--ledger",
            ledger_url,
            "--workers",
            "1",
            "--no-references",
            "--set",
            "model.dtype=float32",
            "--trials",
            "3",
        ]
        (tmp_path / name).mkdir()
        (short / name).mkdir()
        command = [word if word != "home" else str(tmp_path / "home") for word in tiny.COMMAND]
        for file in ("space.yaml", "encoder", "colours.jsonl"):
            (tmp_path / name / file).symlink_to(tmp_path / file)
        programs.append(Program([*command, *own], folder=tmp_path / name, temporary=short / name))
    ends = [program.end(seconds=420) for program in programs]
    assert [status for status, _, _ in ends] == [0, 0], ends
    ledger, found = Ledger.open(ledger_url), []
    for name in ("first", "second"):
        keys = Counter((result.trial, result.step, result.split) for result in ledger.results(name))
        assert set(keys.values()) == {1}
        found.append(sorted((result.trial, result.step, result.split, result.score) for result in ledger.results(name)))
    assert found[0] == found[1], "the same study under two names, as if each had been alone"
    assert [program.left() for program in programs] == [[], []]
