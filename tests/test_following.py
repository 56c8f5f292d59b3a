"""The mirror reads what has changed, not the ledger whole, and MLflow shows the same as if it had."""

from pathlib import Path

import pytest

from ulpt_search.search.ledger.changes import Mark
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.tracking.curve_files import Pages
from ulpt_search.search.tracking.run_records import Snapshot
from ulpt_search.search.tracking.runs import Tracking
from ulpt_search.spaces.records import Outcome, Problem
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

from . import ledgers
from .identities import IDENTITY
from .mirror_records import assert_mirrored, result, sqlite, statuses, trial

SPACE = Space("ulpt", ModelSpec(), TaskSpec(), Training(steps=50, rungs=(25, 50)), {"ulpt": {"dim": 3}})


def test_changes_are_what_came_since_whatever_the_order_of_numbers(ledger_url: str) -> None:
    ledger = ledgers.make(Ledger.open(ledger_url))
    ledgers.make(ledger, "other", trials=2)
    ledger.add_trials("demo", [ledgers.trial(n) for n in (0, 3)])
    changed, mark = ledger.changes("demo")
    assert changed == [0, 3]
    assert ledger.changes("demo", since=mark) == ([], mark)
    ledger.add_trials("demo", [ledgers.trial(1)])
    ledger.record("other", Outcome(0, (ledgers.result(0),)))
    ledger.record("demo", Outcome(0, (ledgers.result(3),), (Problem(0, "no such thing"),)))
    changed, later = ledger.changes("demo", since=mark)
    assert changed == [0, 1, 3]
    assert later.trials == {0, 1, 3}
    assert ledger.changes("demo", since=later) == ([], later)
    assert ledger.changes("demo", since=Mark()) == ([0, 1, 3], later)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.open(str(tmp_path / "ledger"))
    made.create("tiny", space=space_to_json(SPACE), budget=10_000, seed=0, identity=IDENTITY)
    made.add_trials("tiny", [trial(n, parameters=700 + n) for n in range(4)])
    made.record("tiny", Outcome(0, tuple(result(n, 25, 0.5 + n / 100) for n in range(3)), (Problem(3, "it diverged", fatal=True),)))
    return made


def numbers(snapshot: Snapshot) -> list[int]:
    return [each.number for trials, _, _ in snapshot.parts() for each in trials]


def test_a_snapshot_has_what_changed_came_onto_the_curve_or_left_it(ledger: Ledger, tmp_path: Path) -> None:
    pages = Pages(ledger, ledger.study("tiny"), folder=tmp_path / "pages")
    whole = pages.snapshot()
    assert (whole.whole, whole.count, numbers(whole)) == (True, 4, [0, 1, 2, 3])
    assert [point.trial for point in whole.frontier] == [0, 1, 2]
    assert numbers(pages.snapshot(())) == []
    ledger.record("tiny", Outcome(1, (result(1, 50, 0.7),)))
    after = pages.snapshot((3,))
    assert [point.trial for point in after.frontier] == [1]
    assert (after.whole, after.count, numbers(after)) == (False, 4, [0, 1, 2, 3])
    assert [one.step for _, results, _ in after.parts() for one in results if one.trial == 1] == [25, 50], "all that came of it"
    ledger.record("tiny", Outcome(2, (result(2, 50, 0.6),)))
    assert numbers(pages.snapshot(())) == [2]


@pytest.mark.slow
def test_mlflow_shows_the_same_by_changes_as_it_does_whole(ledger: Ledger, tmp_path: Path) -> None:
    record = ledger.study("tiny")
    pages = Pages(ledger, record, folder=tmp_path / "pages")
    tracking = Tracking(tracking_uri=sqlite(tmp_path), artifacts=tmp_path / "files", study=record)
    tracking.sync(pages.snapshot(), status="RUNNING")
    ledger.add_trials("tiny", [trial(5), trial(4)])
    ledger.record("tiny", Outcome(1, (result(1, 50, 0.7), result(4, 25, 0.4))))
    for _ in range(2):
        tracking.sync(pages.snapshot(tracking.running), status="RUNNING")
    assert tracking.running == [5]
    tracking.sync(pages.snapshot(tracking.running), status="KILLED")
    every = Snapshot(ledger.trials("tiny"), ledger.results("tiny"), ledger.problems("tiny"))
    assert_mirrored(sqlite(tmp_path), every, study=record)
    assert statuses(sqlite(tmp_path), study=record) == {
        **dict.fromkeys("0124", "FINISHED"), "3": "FAILED", "5": "KILLED", "study": "KILLED"
    }  # fmt: skip
    fresh = Tracking(tracking_uri=sqlite(tmp_path), artifacts=tmp_path / "files", study=record)
    assert fresh.believes_nothing
    with pytest.raises(OSError, match="replaced"):
        fresh.sync(pages.snapshot(()), status="RUNNING")
