"""`show` and `frontier` as a person and as a program see them: what is chosen, in which order, and where files go."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ulpt_search.search.home import Home
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.axes import Int
from ulpt_search.spaces.records import Outcome, Problem, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

from .door import call, values
from .identities import IDENTITY

SPACE = Space(
    "s", ModelSpec(), TaskSpec(name="colours", metric="f1"), Training(steps=4, rungs=(2, 4)), {"prompt": {"prompt_length": Int(1, 9)}}
)
LONG = "the loss became NaN at step 3 " + "and this goes on for longer than any terminal is wide, " * 5 + "to its end"


def result(number: int, step: int, score: float) -> Result:
    return Result(number, step, "validation", score, 1e-3, 0.5, 1.0, f"{number:032d}{step:032d}", 40 * number)


@pytest.fixture
def home(tmp_path: Path) -> str:
    """Trials 0 (prompt) and 2 (lora) reached the end, 1 and 3 stopped at step 2, where 3 was better; 4 failed."""
    places = Home.at(tmp_path / "home")
    places.prepare()
    ledger = Ledger.open(places.ledger_url)
    ledger.create("one", space=space_to_json(SPACE), budget=500, seed=0, identity=IDENTITY)
    methods = ("prompt", "prompt", "lora", "lora", "ia3")
    ledger.add_trials("one", [Trial(n, method, {"lr": 0.1 * n}, 0, 100 - n) for n, method in enumerate(methods)])
    scores = ((0, 4, 0.5), (1, 2, 0.6), (2, 4, 0.7), (3, 2, 0.9))
    ledger.record("one", Outcome(0, tuple(result(*score) for score in scores), (Problem(4, LONG, fatal=True),)))
    ledger.close()
    return str(places.root)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["--sort", "score"], [2, 0, 3, 1, 4]),
        (["--sort", "parameters"], [4, 3, 2, 1, 0]),
        (["--sort", "method"], [4, 2, 3, 0, 1]),
        (["--sort", "state"], [0, 2, 4, 1, 3]),
        (["--sort", "score", "--top", "1"], [2]),
        (["--method", "lora", "--method", "ia3"], [2, 3, 4]),
        (["--method", "prompt", "--sort", "score", "--top", "9"], [0, 1]),
    ],
)
def test_show_sorts_and_chooses_for_people_and_programs_alike(home: str, options: list[str], numbers: list[int]) -> None:
    told = values("show", "one", "--home", home, *options)
    assert [trial["number"] for trial in told["trials"]] == numbers
    assert told["frontier"] == [2]  # of all trials, whichever are shown
    printed = call("show", "one", "--home", home, *options).stdout.splitlines()
    assert [int(line.split()[0]) for line in printed[3 : 3 + len(numbers)]] == numbers
    assert (printed[-1] == f"{len(numbers)} of 5 trials") == (len(numbers) < 5)


def test_a_score_that_is_no_number_sorts_as_none(home: str) -> None:
    """First and in the middle of what is sorted: NaN is neither less nor more than others, and may not scramble them."""
    ledger = Ledger.open(Home.at(Path(home)).ledger_url)
    ledger.add_trials("one", [Trial(n, "prompt", {"lr": 0.1}, 0, 50) for n in range(5, 12)])
    scores = ((5, math.nan), (6, 0.2), (7, math.inf), (8, 0.8), (9, math.nan), (10, 0.9), (11, -math.inf))
    ledger.record("one", Outcome(0, tuple(result(number, 4, score) for number, score in scores), ()))
    ledger.close()
    told = values("show", "one", "--home", home, "--sort", "score")
    assert [trial["number"] for trial in told["trials"]] == [10, 8, 2, 0, 6, 3, 1, 4, 5, 7, 9, 11]


def test_a_method_that_was_never_tried_is_named_with_the_nearest(home: str) -> None:
    ended = call("show", "one", "--home", home, "--method", "loraa")
    assert ended.exit_code == 2
    assert ended.stderr == "error: --method loraa: study one has ia3, lora, prompt. Did you mean lora?\n"


def test_a_line_of_a_piped_table_holds_all_of_its_row(home: str) -> None:
    (line,) = [line for line in call("show", "one", "--home", home).stdout.splitlines() if line.lstrip().startswith("4 ")]
    assert line.split()[:4] == ["4", "ia3", "96", "0"]
    assert LONG in line


def test_output_that_cannot_show_a_character_shows_a_plain_one(home: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "ulpt_search.search.cli", "frontier", "one", "--home", home]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert ended.stdout.isascii()
    assert ended.stdout.splitlines()[1].split() == ["2", "lora", "98", "80", "B", "0.700", "-", "-", "-", "0", "lr=0.2"]


def test_the_curve_is_named_by_its_metric_and_holds_every_scored_trial(home: str, tmp_path: Path) -> None:
    assert call("frontier", "one", "--home", home, "--html", f"{tmp_path}/a.html").exit_code == 0
    page = (tmp_path / "a.html").read_text(encoding="utf8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["light"]["layout"]["yaxis"]["title"]["text"] == "f1"
    assert data["commands"].keys() == {"0", "1", "2", "3"}
    assert "2 of 5 trials at step 4, 1 failed" in page


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_means_a_folder(home: str, tmp_path: Path, slash: str) -> None:
    folder = tmp_path / "out"
    if not slash:
        folder.mkdir()
    ended = call("frontier", "one", "--home", home, "--html", f"{folder}{slash}", "--png", f"{folder}{slash}", "--csv", f"{folder}{slash}")
    assert ended.exit_code == 0, ended.stderr
    assert {path.name for path in folder.iterdir()} == {"one.html", "one.png", "one.csv"}
    (row,) = csv.DictReader(io.StringIO((folder / "one.csv").read_text(encoding="utf8")))
    assert row["trial"] == "2"


def test_a_picture_is_what_its_ending_says(home: str, tmp_path: Path) -> None:
    assert call("frontier", "one", "--home", home, "--png", f"{tmp_path}/a.pdf").exit_code == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--picture", "a.gif", "--csv", "a.csv"], "a.gif: a picture cannot be written as gif; end its name in .png, .svg or .pdf."),
        (["--html", "-"], "--html -: only --csv can be printed; name a file such as curve.html"),
    ],
)
def test_files_that_cannot_be_written_stop_all_of_them(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = call("frontier", "one", "--home", home, *options)
    assert (ended.exit_code, ended.stderr) == (2, f"error: {message}\n")
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
