"""A home that an older version left goes on: nothing acknowledged is lost, done twice, or unreadable.

Each folder `data/home-VERSION` was written by that version's own `run`: the study `whole` ended, `half` was stopped by SIGINT.
The ledger is kept as SQL; `{folder}` stands in it for the folder that the study ran in.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.records import Result, Trial

from .door import call, drive, inside, values
from .processes import Program

HOMES = sorted(Path(__file__).parent.glob("data/home-*"))


def options(study: str) -> list[str]:
    inputs = ["--space", "space.yaml", "--model", "./encoder", "--task", "colours.jsonl", "--budget", "200"]
    return [*inputs, "--study", study, "--home", "home"]


def records(folder: Path, study: str) -> tuple[list[Trial], list[Result]]:
    ledger = Ledger.open(f"sqlite:///{folder / 'home' / 'ledger.sqlite'}")
    return ledger.trials(study), ledger.results(study)


@pytest.fixture(scope="module", params=HOMES, ids=lambda home: home.name)
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as the older version left it."""
    folder: Path = tmp_path_factory.mktemp("older") / "folder"
    shutil.copytree(request.param, folder)
    dump = folder / "home" / "ledger.sql"
    database = sqlite3.connect(folder / "home" / "ledger.sqlite")
    database.executescript(dump.read_text(encoding="utf8").replace("{folder}", str(folder)))
    database.close()
    dump.unlink()
    return folder


@pytest.fixture(scope="module")
def shown(left: Path) -> Iterator[Path]:
    """The folder to read from."""
    with inside(left):
        yield left


def test_it_is_read(shown: Path) -> None:
    trials, results = records(shown, "whole")
    assert {summary["study"] for summary in values("studies", "--home", "home")} == {"whole", "half"}
    listed = values("show", "whole", "--home", "home")["trials"]
    done = [trial["number"] for trial in listed if trial["state"] == "done"]
    assert done == sorted({result.trial for result in results if result.step == 8})
    assert len(listed) == len(trials)


def test_its_frontier_is_the_best_of_its_results(shown: Path) -> None:
    """Its finals had validation scores, too, which are what counts now: their mean over the seeds."""
    trials, results = records(shown, "whole")
    searched = {trial.number: trial.parameters for trial in trials if trial.purpose == "search"}
    finals = {trial.number: trial.finalist for trial in trials if trial.finalist is not None}
    scores: dict[int, list[float]] = {}
    for result in results:
        if result.trial in finals and result.split == "validation":
            scores.setdefault(finals[result.trial], []).append(result.score)
    reached = {finalist: sum(own) / len(own) for finalist, own in scores.items()}
    beaten = {a for a in reached for b in reached if searched[b] <= searched[a] and reached[b] > reached[a]}
    front = values("frontier", "whole", "--home", "home")
    assert {point["trial"] for point in front} == reached.keys() - beaten
    assert all(point["score"] == pytest.approx(reached[point["trial"]]) for point in front)


@pytest.mark.slow
def test_its_adapters_are_exported(shown: Path, tmp_path: Path) -> None:
    front = values("frontier", "whole", "--home", "home")
    for point, style in ((front[0], "native"), (front[-1], "peft")):
        out = str(tmp_path / style)
        report = values("export", "whole", "--trial", str(point["exported"]), "--format", style, "--out", out, "--home", "home")
        assert report["effect"] > 0
        assert len(values("predict", out, "w0 w11 w12")) == 1


@pytest.mark.slow
def test_what_had_ended_has_nothing_left_to_do(shown: Path) -> None:
    before = records(shown, "whole")
    again = drive([*options("whole"), "--json"])
    assert again.code == 0, again.err
    assert records(shown, "whole") == before


def test_a_trial_that_counts_otherwise_today_is_one_line(left: Path, tmp_path: Path) -> None:
    """As when q and v of a fused projection meant the whole: it would share a curve with trials that mean something else."""
    folder = tmp_path / "folder"
    shutil.copytree(left, folder)
    with sqlite3.connect(folder / "home" / "ledger.sqlite") as database:
        database.execute("UPDATE ulpt_trials SET parameters = parameters + 1 WHERE number = 2")
    before = records(folder, "whole")
    with inside(folder):
        again = drive([*options("whole"), "--json"])
        exported = call("export", "whole", "--trial", "2", "--out", "out", "--home", "home")
    for code, told, where in ((again.code, again.err, "--study whole"), (exported.exit_code, exported.stderr, "export")):
        assert code == 2, told
        assert f"{where}: trial 2 (" in told
        assert "start another --study" in told
    assert records(folder, "whole") == before


@pytest.mark.slow
def test_what_was_stopped_goes_on(left: Path) -> None:
    trials, results = records(left, "half")
    with TemporaryDirectory(prefix="t-", dir="/tmp") as temporary:  # Ray's socket paths must be short
        words = ["-W", "default", "-m", "ulpt_search.search.cli", "run", *options("half")]
        status, _, err = Program(words, folder=left, temporary=Path(temporary)).end(seconds=280)
    assert status == 0, err
    all_trials, all_results = records(left, "half")
    assert (all_trials[: len(trials)], all_results[: len(results)]) == (trials, results)
    keys = [(result.trial, result.step, result.split) for result in all_results]
    assert len(keys) == len(set(keys))
    assert len([trial for trial in all_trials if trial.purpose == "search"]) == 6
    assert {result.split for result in all_results} == {"validation", "test"}
