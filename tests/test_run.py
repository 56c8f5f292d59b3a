"""The whole command on a tiny model: from a space file to the last screen, and what is left when it is stopped on the way."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from mlflow import MlflowClient

from ulpt_search.search.brain.search_space import Proposal
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.row_scores import row_scores
from ulpt_search.spaces.records import Result

from . import tiny
from .door import call, drive, inside, values
from .processes import Program

SHAPE = {
    "trial",
    "method",
    "hyperparameters",
    "seed",
    "trainable_parameters",
    "bytes",
    "steps",
    "score",
    "score_low",
    "score_high",
    "test_score",
    "test_low",
    "test_high",
    "seeds",
    "finals",
    "exported",
    "exported_score",
    "exported_test",
    "others",
}
"""What programs rely on in `frontier --json`."""


@dataclass(frozen=True)
class Study:
    """A folder in which the tiny study was run."""

    folder: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.folder / 'home' / 'ledger.sqlite'}")

    @property
    def results(self) -> list[Result]:
        return self.ledger.results("tiny")

    def json(self, command: str, *words: str) -> Any:
        """What another command prints about it."""
        with inside(self.folder):
            return values(command, *words, "--home", "home")

    def runs(self) -> list[Any]:
        """Every MLflow run of the study."""
        client = MlflowClient(tracking_uri=f"sqlite:///{self.folder / 'home' / 'mlflow.sqlite'}")
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, max_results=1000))


@pytest.fixture
def temporary() -> Iterator[Path]:
    with TemporaryDirectory(prefix="t-", dir="/tmp") as folder:  # Ray's socket paths must be short
        yield Path(folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, str, str]:
    """The finished study, with what it printed."""
    study = Study(tmp_path_factory.mktemp("done"))
    tiny.prepare(study.folder)
    with TemporaryDirectory(prefix="t-", dir="/tmp") as temporary:
        program = Program(tiny.COMMAND, folder=study.folder, temporary=Path(temporary))
        status, out, err = program.end(seconds=280)
        assert status == 0, err
        assert program.left() == []
        assert (list(Path(temporary).iterdir()), list(program.home.iterdir())) == ([], [])
    return study, out, err


def start(folder: Path, temporary: Path, *words: str) -> tuple[Study, Program]:
    tiny.prepare(folder)
    return Study(folder), Program([*tiny.COMMAND, *words], folder=folder, temporary=temporary)


def has_results(study: Study, count: int) -> Callable[[], bool]:
    return lambda: (study.folder / "home" / "ledger.sqlite").exists() and len(_results_so_far(study)) >= count


def _results_so_far(study: Study) -> list[Result]:
    return study.results if any(record.name == "tiny" for record in study.ledger.studies()) else []


def test_the_last_screen(done: tuple[Study, str, str]) -> None:
    study, out, err = done
    assert f"curve{study.folder}/home/curves/tiny/frontier.html" in "".join(out.split())
    assert "  ulpt-search ui --home home\n" in out
    assert "6 trials planned, budget 200 parameters" in err
    assert "finals: retraining the frontier over fresh seeds" in err


def test_everything_is_under_the_home(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    assert {path.name for path in study.folder.iterdir()} == {"home", "user", "space.yaml", "encoder", "colours.jsonl"}
    assert {"ledger.sqlite", "mlflow.sqlite", "mlartifacts", "store", "ray", "curves"} <= {
        path.name for path in (study.folder / "home").iterdir()
    }


def test_the_ledger_holds_the_study(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    trials = study.ledger.trials("tiny")
    searched = [trial for trial in trials if trial.purpose == "search"]
    assert len(searched) == 6
    assert all(trial.parameters <= 200 for trial in trials)
    finals = [result for result in study.results if result.split == "test"]
    assert {result.trial for result in finals} == {trial.number for trial in trials if trial.purpose == "final"}
    assert {result.step for result in finals} == {8}


def test_what_was_done_to_the_data_is_said_everywhere(done: tuple[Study, str, str]) -> None:
    study, _, err = done
    notes = study.ledger.study("tiny").task_notes
    assert notes
    page = (study.folder / "home" / "curves" / "tiny" / "frontier.html").read_text(encoding="utf8")
    parent = next(run for run in study.runs() if "mlflow.parentRunId" not in run.data.tags)
    with inside(study.folder):
        shown, planned = call("show", "tiny", "--home", "home").stdout, call("plan", *tiny.OPTIONS).stdout
    for note in notes:
        assert all(note in said for said in (err, page, shown, planned, parent.data.tags["task_notes"]))


def test_what_each_row_added_is_kept_with_every_final(done: tuple[Study, str, str]) -> None:
    """The mean of what is kept is the score that the ledger has."""
    study, *_ = done
    finals = {trial.number for trial in study.ledger.trials("tiny") if trial.purpose == "final"}
    scored = [result for result in study.results if result.trial in finals]
    kept = row_scores(str(study.folder / "home" / "store"), scored)
    assert kept.keys() == {(result.trial, result.split) for result in scored}
    for result in scored:
        assert sum(kept[result.trial, result.split]) / len(kept[result.trial, result.split]) == pytest.approx(result.score)


def test_every_adapter_is_in_the_store(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    stored = {path.stem for path in (study.folder / "home" / "store").glob("*/*.safetensors")}
    assert {result.adapter for result in study.results} == stored


def test_the_frontier_has_the_promised_shape(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    front = study.json("frontier", "tiny")
    assert front
    assert all(set(point) == SHAPE for point in front)
    assert [point["trainable_parameters"] for point in front] == sorted(point["trainable_parameters"] for point in front)
    assert all(point["seeds"] == [1000, 1001] and point["test_score"] is not None for point in front)


def test_the_curve_as_files(done: tuple[Study, str, str], tmp_path: Path) -> None:
    study, *_ = done
    with inside(study.folder):
        result = call("frontier", "tiny", "--home", "home", "--csv", "-", "--png", f"{tmp_path}/a.png", "--html", f"{tmp_path}/b/a.html")
    assert result.stdout.startswith("trial,method,")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert "<html" in (tmp_path / "b" / "a.html").read_text(encoding="utf8")


def test_show_and_studies(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    shown = study.json("show", "tiny")
    assert {trial["state"] for trial in shown["trials"]} <= {"done", "stopped"}
    assert shown["frontier"] == [point["trial"] for point in study.json("frontier", "tiny")]
    assert shown["space"]["task"]["metric"] == "accuracy"  # the space does not say: it is the task's own
    (summary,) = study.json("studies")
    assert (summary["study"], summary["task"], summary["trials"], summary["budget"]) == ("tiny", "colours", 6, 200)


def test_mlflow_shows_the_same(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    runs = study.runs()
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(parents) == 1
    beside = [run for run in runs if run.data.tags.get("purpose") == "reference"]
    assert {run.data.tags["method"] for run in beside} == {"frozen", "probe"}
    assert len(runs) == 1 + len(study.ledger.trials("tiny")) + len(beside)
    names = {run.data.tags["method"] for run in runs if run not in (parents[0], *beside)}
    assert names == {trial.method for trial in study.ledger.trials("tiny")}


def test_the_best_adapter_is_exported_and_used(done: tuple[Study, str, str], tmp_path: Path) -> None:
    study, *_ = done
    words = ["tiny", "--best", "--format", "peft", "--out", str(tmp_path / "adapter")]
    report = study.json("export", *words)
    assert set(report) == {"path", "format", "trial", "trainable_parameters", "effect", "proof", "note"}
    assert report["trial"] == study.json("frontier", "tiny")[-1]["exported"]
    assert report["effect"] > 0
    with inside(study.folder):
        answers = values("predict", report["path"], "w0 w11 w12", "w1 w40")
        scored = values("evaluate", report["path"], "--task", "colours.jsonl")
    assert [answer["label"] in tiny.COLOURS for answer in answers] == [True, True]
    assert (scored["task"], scored["metric"], scored["split"]) == ("colours", "accuracy", "test")


def test_the_same_command_again_changes_nothing(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    before = (study.ledger.trials("tiny"), study.results, len(study.runs()))
    with inside(study.folder):
        again = drive([*tiny.OPTIONS, "--json"])
    assert again.code == 0, again.err
    assert (study.ledger.trials("tiny"), study.results, len(study.runs())) == before
    assert json.loads(again.out)["frontier"] == study.json("frontier", "tiny")


def test_after_a_run_a_plan_says_how_long(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    plan = study.json("plan", *tiny.OPTIONS)
    assert 0 < plan["expected_seconds"] < 60


def test_another_budget_is_another_study(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    with inside(study.folder):
        other = drive([*tiny.OPTIONS, "--budget", "300"])
    assert (other.code, other.out) == (2, "")
    assert "budget" in other.err
    assert "200" in other.err
    assert "300" in other.err


def test_what_the_study_was_begun_with_is_held_to(done: tuple[Study, str, str]) -> None:
    """Other lengths of text are another task; another precision is told, and kept with each result."""
    study, *_ = done
    known = study.ledger.study("tiny").known
    assert known is not None
    assert {result.numerics for result in study.results} == {str(known.numerics)}
    with inside(study.folder):
        other = drive([*tiny.OPTIONS, "--set", "task.max_tokens=16"])
        dtype = "float32" if known.numerics.dtype == "bfloat16" else "bfloat16"
        low = drive([*tiny.OPTIONS, "--set", f"model.dtype={dtype}"])
    assert (other.code, other.out) == (2, "")
    assert "task colours (max_tokens 128, not 16). Go on as it was begun, or give another --study name" in other.err
    assert low.code == 0, low.err
    assert f"tiny: goes on with {dtype}, not {known.numerics.dtype}" in low.err


def test_an_adapter_file_of_an_earlier_step_is_written_again(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    (card,) = (study.folder / "home" / "curves" / "tiny").glob("trial-*/ulpt.json")
    told = json.loads(card.read_text())
    card.write_text(json.dumps({**told, "step": 2, "adapter": "0" * 64}))
    with inside(study.folder):
        again = drive(tiny.OPTIONS)
    assert again.code == 0, again.err
    written = json.loads(card.read_text())
    assert (written["step"], written["adapter"]) == (told["step"], told["adapter"])
    assert written["adapter"] in {result.adapter for result in study.results}


def test_a_second_driver_is_refused(done: tuple[Study, str, str]) -> None:
    study, *_ = done
    with study.ledger.lease("tiny"), inside(study.folder):
        second = drive(tiny.OPTIONS)
    assert (second.code, second.out) == (2, "")
    assert str(os.getpid()) in second.err


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["driver", "supervisor"])
def test_kill_9_costs_nothing_that_was_acknowledged(tmp_path: Path, temporary: Path, victim: str) -> None:
    study, program = start(tmp_path, temporary)
    program.until(has_results(study, 4))
    (program.child() if victim == "driver" else program.process).send_signal(signal.SIGKILL)
    status, _, err = program.end()
    acknowledged = study.results
    assert status != 0, err
    assert program.left() == []

    (tmp_path / "user").rmdir()
    again = Program([*tiny.COMMAND, "--ceiling"], folder=tmp_path, temporary=temporary)
    status, _, err = again.end(seconds=280)
    assert status == 0, err
    results = study.results
    assert results[: len(acknowledged)] == acknowledged
    keys = [(result.trial, result.step, result.split) for result in results]
    assert len(keys) == len(set(keys))
    trials = study.ledger.trials("tiny")
    assert len([trial for trial in trials if trial.purpose == "search"]) == 6
    assert len({(Proposal.of(trial).identity, trial.purpose) for trial in trials}) == len(trials)
    runs = study.runs()
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert [one.kind for one in study.ledger.references("tiny")] == ["frozen", "probe", "ceiling"]  # once, whoever was killed
    assert len(runs) == 1 + len(trials) + 3


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path: Path, temporary: Path) -> None:
    study, program = start(tmp_path, temporary)
    program.until(has_results(study, 2))
    program.process.send_signal(signal.SIGINT)
    status, out, err = program.end(seconds=90)
    assert (status, out) == (130, "")
    assert (
        "tiny: stopped by SIGINT. Everything acknowledged is kept; the same command goes on:\n  ulpt-search run --space space.yaml" in err
    )
    assert program.left() == []
    assert study.results
    assert "RUNNING" not in {run.info.status for run in study.runs()}


@pytest.mark.slow
def test_a_finished_study_measures_the_references_that_it_lacks(done: tuple[Study, str, str], temporary: Path) -> None:
    """The last test of this file: it adds to the study that the others look at."""
    study, *_ = done
    with sqlite3.connect(study.folder / "home" / "ledger.sqlite") as ledger:
        ledger.execute("delete from ulpt_references where kind = 'probe'")
    before = study.results
    (study.folder / "user").rmdir()
    program = Program([*tiny.COMMAND, "--ceiling"], folder=study.folder, temporary=temporary)
    status, _, err = program.end(seconds=200)
    assert status == 0, err
    assert "tiny: has no probe reference yet, which is measured now; --no-references goes without" in err
    assert [one.kind for one in study.ledger.references("tiny")] == ["frozen", "probe", "ceiling"]
    assert study.results == before
    assert "reference: ceiling" in {run.info.run_name for run in study.runs()}
