"""A study read back from the ledger: choosing an adapter, summing up, and what programs are told."""

import math
from pathlib import Path

import pytest

from ulpt_search.search.home import Home
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.reading import choose, read_study, summaries
from ulpt_search.search.ledger.shown import open_study
from ulpt_search.search.tracking.curve_files import Pages
from ulpt_search.spaces.axes import Int
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Outcome, Problem, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

from .identities import IDENTITY

SPACE = Space("s", ModelSpec(), TaskSpec(name="colours"), Training(steps=4, rungs=(2, 4)), {"prompt": {"prompt_length": Int(1, 9)}})


def trial(number: int, parameters: int, *, finalist: int | None = None) -> Trial:
    seed = 1000 if finalist is not None else 0
    return Trial(number, "prompt", {"prompt_length": parameters}, seed, parameters, "final" if finalist is not None else "search", finalist)


def result(number: int, step: int, score: float, split: str = "validation") -> Result:
    return Result(number, step, split, score, 1e-4, 0.5, 1.0, f"{number:032d}{step:032d}", 10 * number)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Trials 0 and 1 make the curve, 2 is beaten, 3 stopped early, 4 failed, 5 was never scored, 6 repeats 1 and 7 repeats 0."""
    places = Home.at(tmp_path)
    places.prepare()
    ledger = Ledger.open(places.ledger_url)
    ledger.create("one", space=space_to_json(SPACE), budget=500, seed=0, identity=IDENTITY)
    searched = [trial(0, 10), trial(1, 100), trial(2, 200), trial(3, 20), trial(4, 30), trial(5, 40)]
    ledger.add_trials("one", [*searched, trial(6, 100, finalist=1), trial(7, 10, finalist=0)])
    first = [result(number, 2, score) for number, score in ((0, 0.4), (1, 0.5), (2, 0.5), (3, 0.1))]
    last = [result(0, 4, 0.5), result(1, 4, 0.8), result(2, 4, 0.7), result(6, 4, 0.7), result(6, 4, 0.6, "test")]
    last += [result(7, 4, 0.5), result(7, 4, 0.4, "test")]
    ledger.record("one", Outcome(0, tuple(first), (Problem(4, "diverged", fatal=True),)))
    ledger.record("one", Outcome(1, tuple(last)))
    ledger.close()
    return places


def test_the_best_is_the_end_of_the_curve(home: Home) -> None:
    history = read_study(home, "one")
    chosen, scored = choose(history, best=True, trial=None, max_parameters=None)
    assert (chosen.number, scored) == (6, result(6, 4, 0.7))
    assert choose(history, best=False, trial=None, max_parameters=None) == (chosen, scored)


def test_a_curve_is_made_of_each_trials_highest_scored_step(home: Home) -> None:
    """And of nothing else, a score that is no number among them."""
    ledger = Ledger.open(home.ledger_url)
    ledger.record("one", Outcome(2, (result(3, 4, math.nan),)))
    whole, alone = read_study(home, "one"), read_study(home, "one", curve_alone=True)
    assert len(alone.results) < len(whole.results)
    assert alone.curve == whole.curve
    assert [point.trial for point in alone.curve.faint] == [2, 3]


@pytest.mark.parametrize(("limit", "number"), [(10, 7), (99, 7), (100, 6), (10_000, 6)])
def test_the_best_under_a_number_of_parameters(home: Home, limit: int, number: int) -> None:
    chosen, _ = choose(read_study(home, "one"), best=False, trial=None, max_parameters=limit)
    assert chosen.number == number


@pytest.mark.parametrize(("number", "step"), [(2, 4), (3, 2), (6, 4)])
def test_any_trial_with_a_result(home: Home, number: int, step: int) -> None:
    chosen, scored = choose(read_study(home, "one"), best=False, trial=number, max_parameters=None)
    assert (chosen.number, scored.trial, scored.step) == (number, number, step)


@pytest.mark.parametrize(
    ("best", "number", "limit", "message"),
    [
        (False, 9, None, "--trial 9: one has trials 0 to 7; see `ulpt-search show one`"),
        (False, 5, None, "--trial 5: it has no result yet; see `ulpt-search show one`"),
        (False, None, 9, "--max-parameters 9: the smallest adapter of the curve has 10; give at least that"),
        (True, 0, None, "--best and --trial choose differently; give one of them"),
        (False, 0, 10, "--trial and --max-parameters choose differently; give one of them"),
    ],
)
def test_choices_that_cannot_be_made(home: Home, best: bool, number: int | None, limit: int | None, message: str) -> None:
    with pytest.raises(WrongInput) as raised:
        choose(read_study(home, "one"), best=best, trial=number, max_parameters=limit)
    assert str(raised.value) == message


def test_nothing_scored_yet(home: Home) -> None:
    ledger = Ledger.open(home.ledger_url)
    ledger.create("two", space=space_to_json(SPACE), budget=500, seed=0, identity=IDENTITY)
    with pytest.raises(WrongInput, match=r"^two: no trial has been scored yet"):
        choose(read_study(home, "two"), best=True, trial=None, max_parameters=None)


def test_an_unknown_study_names_the_nearest(home: Home) -> None:
    with pytest.raises(WrongInput, match=r"no such study; there are one\. Did you mean one\?"):
        read_study(home, "ome")


def test_states_follow_from_records(home: Home) -> None:
    history = read_study(home, "one")
    states = {each.number: history.state(each) for each in history.trials}
    assert states == {0: "done", 1: "done", 2: "done", 3: "stopped", 4: "failed", 5: "waiting", 6: "done", 7: "done"}


def test_what_show_tells_programs(home: Home) -> None:
    shown = open_study(home, "one")
    assert (shown.head()["name"], shown.head()["budget"], shown.tail()["frontier"]) == ("one", 500, [0, 1])
    told = list(shown.told(range(8)))
    assert told[4]["problems"] == ["diverged"]
    assert [entry["split"] for entry in told[6]["results"]] == ["validation", "test"]


def test_the_curve_holds_what_the_finals_measured(home: Home) -> None:
    curve = read_study(home, "one").curve
    assert [(point.trial, point.score, point.test_score) for point in curve.front] == [(0, 0.5, 0.4), (1, 0.7, 0.6)]
    assert (curve.task, curve.model, curve.budget, curve.methods) == ("colours", "minilm", 500, ("prompt",))


def test_summaries(home: Home) -> None:
    (summary,) = summaries(home)
    assert (summary.study, summary.task, summary.model, summary.budget, summary.trials, summary.best) == (
        "one",
        "colours",
        "minilm",
        500,
        6,
        0.7,
    )


def test_a_home_without_a_ledger(tmp_path: Path) -> None:
    assert summaries(Home.at(tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()


def test_pages_are_drawn_when_the_curve_has_changed(home: Home, tmp_path: Path) -> None:
    ledger = Ledger.open(home.ledger_url)
    pages = Pages(ledger, ledger.study("one"), folder=tmp_path / "pages")
    snapshot = pages.snapshot()
    assert [path.name for path in snapshot.files] == ["frontier.csv", "frontier.html", "frontier.png"]
    assert [point.trial for point in snapshot.frontier] == [0, 1]
    (tmp_path / "pages" / "frontier.png").unlink()
    pages.snapshot()
    assert not (tmp_path / "pages" / "frontier.png").exists()
    ledger.add_trials("one", [trial(8, 20, finalist=3)])
    ledger.record("one", Outcome(2, (result(8, 4, 0.9), result(8, 4, 0.9, "test"))))
    assert [point.trial for point in pages.snapshot().frontier] == [0, 3]
    assert (tmp_path / "pages" / "frontier.png").exists()
