"""A search over two machines' worth of Ray nodes, with its ledger on PostgreSQL and its adapters in a bucket; one node is killed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.records import Result
from ulpt_search.workers.training.store import AdapterStore

from . import moto_store, postgres, tiny
from .door import call, values
from .processes import ROOT, Program


@dataclass(frozen=True)
class Site:
    """Two nodes of one CPU each, a database and a bucket."""

    nodes: Any
    second: Any
    ledger: str
    store: str

    @property
    def options(self) -> tuple[str, ...]:
        return ("--address", self.nodes.address, "--workers", "2", *self.places)

    @property
    def places(self) -> tuple[str, ...]:
        return ("--ledger", self.ledger, "--store", self.store)

    def results(self) -> list[Result]:
        ledger = Ledger.open(self.ledger)
        return ledger.results("tiny") if any(record.name == "tiny" for record in ledger.studies()) else []


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with moto_store.bucket(monkeypatch) as made:
        yield made.url


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(bucket: str, postgresql: str, short: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    from ray.cluster_utils import Cluster as RayCluster

    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    told = {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_TMPDIR": str(short),
        "PYTHONPATH": paths,
    }
    for key, value in {**told, "PYTHONWARNINGS": "ignore"}.items():
        monkeypatch.setenv(key, value)
    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8}
    nodes = RayCluster(initialize_head=True, head_node_args=node)
    second = nodes.add_node(num_cpus=1, object_store_memory=10**8)
    nodes.wait_for_nodes()
    yield Site(nodes, second, postgres.emptied(postgresql), bucket)
    nodes.shutdown()


def run(site: Site, folder: Path, short: Path, *more: str) -> Program:
    tiny.prepare(folder)
    temporary = short / "mine"
    temporary.mkdir()
    return Program([*tiny.COMMAND, *site.options, "--no-references", *more], folder=folder, temporary=temporary)


@pytest.mark.slow
def test_a_node_dies_and_the_search_goes_on_to_its_end(site: Site, tmp_path: Path, short: Path) -> None:
    program = run(site, tmp_path, short)
    program.until(lambda: len(site.results()) >= 2, seconds=240)
    site.nodes.remove_node(site.second, allow_graceful=False)
    before = {(result.trial, result.step, result.split): result for result in site.results()}
    status, _, err = program.end(seconds=240)
    assert status == 0, err
    after = site.results()
    keys = [(result.trial, result.step, result.split) for result in after]
    assert len(set(keys)) == len(keys), "nothing counts twice"
    assert all(found in after for found in before.values()), "nothing acknowledged is lost"
    store = AdapterStore(site.store)
    assert all(store.read(result.adapter) for result in after), "every adapter is in the bucket, under the hash of its bytes"
    front = values("frontier", "tiny", "--home", str(tmp_path / "home"), "--ledger", site.ledger)
    assert front
    assert all(point["test_score"] is not None for point in front)
    assert program.left() == []


@pytest.mark.slow
def test_what_cannot_be_reached_is_said_at_the_door(site: Site, tmp_path: Path, short: Path) -> None:
    began = time.monotonic()
    status, _, err = run(site, tmp_path, short, "--store", "s3://nowhere/mine").end(seconds=120)
    assert status == 1
    assert "the store s3://nowhere/mine cannot be written" in err
    assert "Traceback" not in err
    result = call("studies", "--ledger", "postgresql://postgres@127.0.0.1:9/none", "--home", str(tmp_path / "home"))
    assert result.exit_code in (1, 2)
    assert len(result.stderr.strip().splitlines()) == 1
    assert time.monotonic() - began < 120
