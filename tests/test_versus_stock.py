"""The benchmark against the stock stack, in its quick mode: both sides finish the same trials."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_quick_mode_compares_the_same_trials() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "versus_stock.py"), "--quick", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours, stock = (found[f"{side}_trials_per_hour"]["median"] for side in ("ours", "stock"))
    assert found["ratio"]["median"] == pytest.approx(ours / stock, rel=1e-3)
    assert found["accuracy_by_method"]["ours"].keys() == found["accuracy_by_method"]["stock"].keys()
    assert abs(found["accuracy_difference"]["median"]) < 0.25
