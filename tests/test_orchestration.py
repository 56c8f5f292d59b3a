"""The benchmark of what running a search costs: its arithmetic, and one quick search."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from orchestration import Slept, gaps, overhead

    slept = [Slept(1, 0.0, 4.0), Slept(2, 1.0, 5.0), Slept(1, 4.5, 8.5), Slept(2, 5.5, 9.5), Slept(1, 9.5, 13.5)]
    assert sorted(gaps(slept)) == [0.5, 0.5, 1.0]
    assert overhead(slept) == pytest.approx(2 / 22)


@pytest.mark.slow
def test_quick_mode() -> None:
    command = [sys.executable, str(BENCHMARKS / "orchestration.py"), "--quick", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["jobs"] == 10
    assert 0 < found["gap_seconds"]["median"] < 10
