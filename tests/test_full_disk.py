"""A disk that is full, the kernel's own: a file system of a megabyte, which only root can make."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.errors import Failure
from ulpt_search.spaces.records import Outcome, Result, Trial
from ulpt_search.workers.training.store import AdapterStore

from .ledgers import make


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder on it; full is what `fill` leaves."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root makes a file system here")
    with tempfile.TemporaryDirectory() as name:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", name], capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"no file system can be made here: {made.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def fill(disk: Path) -> Path:
    """Use up what is free, and return the file to delete for room."""
    path = disk / "rest"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return path


def test_a_store_on_a_full_disk_says_so_and_goes_on_once_there_is_room(disk: Path) -> None:
    store, state = AdapterStore(str(disk / "store")), {"w": torch.ones(4000)}
    rest = fill(disk)
    with pytest.raises(Failure, match=r"the store \S+ cannot be written: No space left on device; put that right and run again$"):
        store.put(state, {})
    assert [path.name for path in (disk / "store").rglob("*.safetensors")] == []
    rest.unlink()
    digest = store.put(state, {})
    assert torch.equal(store.get(digest)[0]["w"], state["w"])


def test_a_ledger_on_a_full_disk_keeps_what_it_acknowledged_and_goes_on_once_there_is_room(disk: Path) -> None:
    ledger = make(Ledger.open(str(disk / "ledger")))
    ledger.add_trials("demo", [Trial(10, "ulpt", {"dim": 8}, 0, 788)])
    rest, acknowledged = fill(disk), list[int]()

    def record(steps: range) -> None:
        for step in steps:
            ledger.record("demo", Outcome(step, (Result(10, step, "validation", 0.5, 0.0, 0.0, 0.0, "a" * 64, 1),)))
            acknowledged.append(step)

    with pytest.raises(Failure, match=r"(disk I/O error|database or disk is full); all that it acknowledged is kept: put that right"):
        record(range(100_000))
    rest.unlink()
    assert [one.step for one in ledger.results("demo")] == acknowledged
    record(range(200_000, 200_001))
    assert [one.step for one in ledger.results("demo")] == acknowledged
    ledger.close()
