import math
from dataclasses import replace

from ulpt_search.search.tracking.run_records import MARK, Logged, RunRecord, Snapshot, difference, identity, settled, study_run, trial_runs
from ulpt_search.spaces.records import Point, Problem

from .mirror_records import STUDY, add, result, small, trial


def entries(snapshot: Snapshot, status: str = "RUNNING") -> dict[str, RunRecord]:
    return {entry.key: entry for entry in trial_runs(STUDY, snapshot, status=status, parent="p")}  # type: ignore[arg-type]


def logged(entry: RunRecord, rows: int | None = None) -> Logged:
    """The run of an entry of which the first `rows` rows were written."""
    mark = entry.mark(len(entry.rows) if rows is None else rows)
    return Logged("run", 0, entry.status, {**entry.tags, MARK: mark})


def test_a_trial_shows_its_scores_costs_and_where_it_stands() -> None:
    entry = entries(small())["0"]
    assert entry.name == "ulpt #0"
    assert entry.params == {"method": "ulpt", "seed": "0", "dim": "2", "lr": "0.1", "scale": "True"}
    assert entry.tags["on_frontier"] == "yes"
    assert (entry.tags["method"], entry.tags["model"], entry.tags["task"], entry.tags["purpose"]) == ("ulpt", "minilm", "pydocs", "search")
    assert [[(n.key, n.value, n.step) for n in row] for row in entry.rows] == [
        [("trainable_parameters", 788, 0), ("log10_trainable_parameters", math.log10(788), 0)],
        [("validation_score", 0.5, 25), ("loss", 0.04, 25), ("seconds", 0.25, 25), ("bytes", 3152, 25)],
        [("validation_score", 0.6, 50), ("loss", 0.02, 50), ("seconds", 0.75, 50), ("bytes", 3152, 50)],
    ]
    assert entry.seconds == 0.75


def test_both_splits_of_a_step_cost_the_training_once() -> None:
    entry = entries(small())["4"]
    assert [number.key for number in entry.rows[2]] == ["test_score"]
    assert (entry.tags["purpose"], entry.tags["finalist"], entry.seconds) == ("final", "0", 0.5)


def test_states_follow_the_records() -> None:
    snapshot = small()
    assert {key: entry.status for key, entry in entries(snapshot).items()} == {
        "0": "FINISHED",
        "1": "FINISHED",
        "2": "FAILED",
        "3": "RUNNING",
        "4": "FINISHED",
    }
    assert entries(snapshot, "FINISHED")["3"].status == "KILLED"
    twice = replace(snapshot, problems=[Problem(3, "it broke", alone=True)] * 2)
    assert entries(twice)["3"].status == "RUNNING"
    thrice = replace(snapshot, problems=[Problem(3, "it broke", alone=True)] * 3)
    assert entries(thrice)["3"].status == "FAILED"
    assert entries(thrice)["3"].tags["problem"] == "it broke"
    assert entries(add(snapshot, result(3, 25, math.nan)))["3"].status == "FAILED"


def test_only_what_is_missing_is_written() -> None:
    entry = entries(small())["0"]
    change = difference(entry, logged(entry, rows=2))
    assert change
    assert [number.step for number in change.numbers] == [50, 50, 50, 50]
    assert (change.params, change.status) == ({}, None)
    assert change.tags == {MARK: entry.mark(3)}
    assert not difference(entry, logged(entry))


def test_a_run_without_a_mark_is_written_from_the_start() -> None:
    entry = entries(small())["1"]
    change = difference(entry, Logged("run", 0, "RUNNING", entry.tags))
    assert change
    assert change.params == entry.params
    assert len(change.numbers) == 6
    assert change.status == "FINISHED"


def test_a_late_test_score_extends_a_run_and_a_changed_score_contradicts_it() -> None:
    before = Snapshot([trial(0)], [result(0, 25, 0.5), result(0, 50, 0.6)])
    after = entries(add(before, result(0, 50, 0.55, split="test")))["0"]
    change = difference(after, logged(entries(before)["0"]))
    assert change
    assert [(n.key, n.value) for n in change.numbers] == [("test_score", 0.55)]
    other = entries(Snapshot([trial(0)], [result(0, 25, 0.51), result(0, 50, 0.6)]))["0"]
    assert difference(other, logged(entries(before)["0"])) is None
    shorter = entries(Snapshot([trial(0)], [result(0, 25, 0.5)]))["0"]
    assert difference(shorter, logged(entries(before)["0"])) is None


def test_studies_of_one_name_are_told_apart() -> None:
    assert identity(STUDY) == identity(replace(STUDY))
    assert identity(STUDY) != identity(replace(STUDY, created="2025-11-21T20:00:00+00:00"))


def test_the_study_shows_its_frontier_and_fits_a_tag() -> None:
    entry = study_run(STUDY, small(), status="RUNNING")
    assert (entry.params["budget"], entry.params["methods"], entry.tags["trials"]) == ("10000", "ulpt, lora", "5")
    assert "| #0 | ulpt | 788 | 0.6000 (0.5700 to 0.6300) | 0.5800 (0.5500 to 0.6100) over 1 seed |" in entry.tags["mlflow.note.content"]
    points = [Point(n, "ulpt", {}, 0, n, n, 200, 0.5, 0.4, 0.6) for n in range(500)]
    note = study_run(STUDY, replace(small(), frontier=points), status="RUNNING").tags["mlflow.note.content"]
    assert len(note) <= 5000
    assert note.splitlines()[-1].startswith("| … | the whole frontier is among the artifacts")


def test_a_study_that_nobody_drives_is_as_its_driver_left_it() -> None:
    whole = add(small(), result(3, 25, 0.7))
    assert [settled(whole, shown=shown) for shown in ("FINISHED", "FAILED", "KILLED")] == ["FINISHED", "FAILED", "KILLED"]
    assert settled(whole, shown="RUNNING") == "KILLED"  # its driver did not live to say how it ended
    assert settled(whole, shown=None) == "FINISHED"
    assert settled(small(), shown=None) == "KILLED"
