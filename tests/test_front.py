"""The frontier that the database chooses is the one that is chosen from all records; what `show` streams is what they hold."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulpt_search.dashboards.curve import Curve
from ulpt_search.dashboards.states import states_of
from ulpt_search.dashboards.verdicts import notes
from ulpt_search.search.home import Home
from ulpt_search.search.ledger import ledger as ledgers
from ulpt_search.search.ledger import result_columns
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.reading import History, front_of
from ulpt_search.search.ledger.shown import Shown
from ulpt_search.search.tracking.curve_files import read_history
from ulpt_search.spaces.axes import Int
from ulpt_search.spaces.records import Outcome, Problem, Result, Split, Trial
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

from .door import call, values
from .identities import IDENTITY

STEPS = (2, 4, 8)
SPLITS: tuple[Split, ...] = ("validation", "test")
SPACE = Space("s", ModelSpec(), TaskSpec(name="colours"), Training(steps=8, rungs=STEPS), {"prompt": {"prompt_length": Int(1, 9)}})
SIZES, SCORES = st.integers(1, 6), st.sampled_from([0.1, 0.25, 0.5, 0.5, 0.75, 1.0, math.nan, math.inf, -math.inf])
"""Few of each, so that many are equal."""


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Trial], Outcome]:
    """Search trials and finals of some of them, in any state that a search can be killed in."""
    searched = [Trial(n, "prompt", {"prompt_length": size}, 0, size) for n, size in enumerate(draw(st.lists(SIZES, max_size=12)))]
    repeated = draw(st.lists(st.sampled_from(searched), max_size=3, unique_by=lambda one: one.number)) if searched else []
    seeds = [(one, seed) for one in repeated for seed in (1000, 1001)]
    finals = [replace(one, number=20 + n, seed=seed, purpose="final", finalist=one.number) for n, (one, seed) in enumerate(seeds)]
    keys = [(one, step, split) for one in (*searched, *finals) for step in STEPS for split in SPLITS]
    usual = [(one, step, split) for one, step, split in keys if one.purpose == "final" or split == "validation" or one.number % 5 == 0]
    scored = draw(st.lists(st.sampled_from(usual), unique_by=lambda key: (key[0].number, *key[1:]), max_size=30)) if usual else []
    results = [
        Result(one.number, step, split, draw(SCORES), 1e-4, 0.5, 1.0, f"{one.number}/{step}", draw(SIZES)) for one, step, split in scored
    ]
    failed = [Problem(one.number, "diverged", fatal=draw(st.booleans())) for one in (*searched, *finals) if draw(st.integers(0, 4)) == 0]
    return [*searched, *finals], Outcome(0, tuple(results), tuple(failed))


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    return Ledger.open(ledger_url)


def written(ledger: Ledger, history: tuple[list[Trial], Outcome], space: Space) -> str:
    """The name of a new study, beside those of earlier examples, which must not be seen."""
    name = f"study {len(ledger.studies())}"
    ledger.create(name, space=space_to_json(space), budget=500, seed=0, identity=IDENTITY)
    ledger.add_trials(name, history[0])
    ledger.record(name, history[1])
    return name


def read(ledger: Ledger, name: str) -> History:
    return read_history(ledger, ledger.study(name))


def said(curve: Curve) -> tuple[object, ...]:
    return curve.front, notes(curve), curve.caption, curve.trials, curve.failed, curve.competed, curve.has_finals


@pytest.fixture
def examples(ledger_url: str) -> settings:
    """Fewer where each of a hundred questions goes to another process."""
    return settings(max_examples=25 if "sqlite" in ledger_url else 4, database=None)


def test_the_database_chooses_the_frontier_that_all_records_have(ledger: Ledger, examples: settings) -> None:
    @examples
    @given(histories(), st.sampled_from(["parameters", "bytes"]))
    def check(history: tuple[list[Trial], Outcome], size: str) -> None:
        name = written(ledger, history, replace(SPACE, objectives=("score", size)))  # type: ignore[arg-type]
        assert said(front_of(ledger, name, "")) == said(read(ledger, name).curve)

    check()


@pytest.mark.parametrize("fatal", [True, False])
def test_the_database_knows_of_a_final_that_failed(ledger: Ledger, fatal: bool) -> None:
    """And does not rank its configuration by the finals that did not; one that met an error and is tried again is only late."""
    searched = [Trial(n, "prompt", {"prompt_length": n + 1}, 0, n + 1) for n in range(2)]
    finals = [
        replace(one, number=10 + 3 * one.number + n, seed=1000 + n, purpose="final", finalist=one.number)
        for one in searched
        for n in range(3)
    ]
    scored = [(one, split) for one in finals[:-1] for split in SPLITS]
    results = [Result(one.number, 8, split, one.parameters / 10, 1e-4, 0.5, 1.0, f"{one.number}", 4) for one, split in scored]
    lost = Problem(finals[-1].number, "diverged", fatal=fatal)
    name = written(ledger, ([*searched, *finals], Outcome(0, tuple(results), (lost,))), SPACE)
    curve = front_of(ledger, name, "")
    assert said(curve) == said(read(ledger, name).curve)
    assert [(point.trial, len(point.seeds)) for point in curve.front] == ([(0, 3)] if fatal else [(0, 2), (1, 2)])


def test_a_study_is_shown_as_its_records_are(ledger: Ledger, examples: settings) -> None:
    @examples
    @given(histories())
    def check(history: tuple[list[Trial], Outcome]) -> None:
        name = written(ledger, history, SPACE)
        whole, shown = read(ledger, name), Shown(ledger, ledger.study(name))
        assert shown.states == states_of(whole.trials, whole.results, whole.problems, last_step=8)
        latest = {trial: result.step for trial, result in whole.latest_results.items()}
        assert [(one.number, one.step) for one in shown.outlines] == [(trial.number, latest.get(trial.number)) for trial in whole.trials]
        told = list(shown.told([one.number for one in shown.outlines][::-1]))
        assert [one["number"] for one in told] == [trial.number for trial in whole.trials][::-1]
        for one in told:
            own = [result.to_json() for result in whole.results if result.trial == one["number"]]
            assert repr(one["results"]) == repr(own)  # NaN equals nothing
            assert one["problems"] == [problem.error for problem in whole.problems if problem.trial == one["number"]]

    check()


def test_results_in_columns_are_all_of_a_study_s_however_they_are_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of two: of a study of nearly all rows, of one of few of them, and of numbers that end with a chunk and that do not."""
    monkeypatch.setattr(result_columns, "CHUNK", 2)
    for count in (11, 1, 2, 0):
        results = tuple(Result(n, 8, "validation", n / 16, 1e-4, 0.5, 1.0, f"{n}", n) for n in range(count))
        name = written(ledger, ([Trial(n, "prompt", {"prompt_length": 1}, 0, n) for n in range(12)], Outcome(0, results, ())), SPACE)
        found = ledger.brief_results(name)
        assert [(one.trial, one.score, one.adapter, one.bytes) for one in found] == [(n, n / 16, f"{n}", n) for n in range(count)]


def test_a_small_study_reads_nothing_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the index, and once where one chunk holds it; a study of most rows goes through them in their order."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setattr(result_columns, "CHUNK", 8)
    results = tuple(Result(n, 8, "validation", 0.5, 1e-4, 0.5, 1.0, f"{n}", n) for n in range(40))
    large, small = (
        written(ledger, ([Trial(n, "prompt", {"prompt_length": n}, 0, n) for n in range(40)], Outcome(0, some, ())), SPACE)
        for some in (results, results[:3])
    )
    asked, tuples = list[str](), result_columns._tuples
    monkeypatch.setattr(result_columns, "_tuples", lambda connection, chosen: asked.append(str(chosen)) or tuples(connection, chosen))  # type: ignore[func-returns-value]
    assert (len(ledger.brief_results(small)), len(asked), "study +" in asked[-1]) == (3, 1, False)
    assert (len(ledger.brief_results(large)), len(asked), "study +" in asked[-1]) == (40, 1 + 6, True)


def test_a_list_that_is_printed_as_it_comes_is_printed_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many items and pages there are, and whatever line ends their texts have: all of the ledger's trials, in their order."""
    monkeypatch.setattr(ledgers, "PAGE", 2)
    home = Home.at(tmp_path)
    home.prepare()
    trials = [Trial(n, "prompt", {"prompt_length": n}, 0, n) for n in range(25)]
    odd = Outcome(0, (Result(0, 8, "validation", 0.5, 1e-4, 0.5, 1.0, "a", 4),), (Problem(1, "one\u2028two\x85three\n", fatal=True),))
    written(Ledger.open(home.ledger_url), (trials, odd), SPACE)
    own = [{**trial.to_json(), "state": "waiting", "results": [], "problems": []} for trial in trials]
    own[0] |= {"state": "done", "results": [odd.results[0].to_json()]}
    own[1] |= {"state": "failed", "problems": [odd.problems[0].error]}
    wanted: tuple[tuple[list[str], list[Any]], ...] = (
        ([], own),
        (["--method", "prompt", "--top", "3"], own[:3]),
        (["--skip", "9"], own[9:]),
        (["--skip", "999"], []),
    )
    for options, kept in wanted:
        told = values("show", "study 0", "--home", str(tmp_path), *options)
        printed = call("show", "study 0", "--json", "--home", str(tmp_path), *options).stdout
        assert told["trials"] == kept
        assert printed == json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    assert printed.count('"trials": []') == 1
