"""Kills at random moments, a few of them here; by the hundred in `benchmarks/chaos.py`."""

import argparse
import time
from pathlib import Path

import pytest

from ulpt_search.benchmarks.chaos import FAULTS, Found, burn


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_left_by_ten_kills(tmp_path: Path) -> None:
    found = Found(until=time.monotonic() + 120)
    options = argparse.Namespace(kills=10, nodes=1, seed=2, pace=1, burst=10, trials=2, share=10)
    burn(tmp_path, options, found)
    assert {fault: found.faults[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0), found.told
    assert found.kills.total() >= 5
    assert found.judged >= 1, "compared with an undisturbed search"
