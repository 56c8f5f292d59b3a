"""The ledger keeps what it acknowledged, once, in one piece, whoever dies when; and says in one line why it cannot."""

import math
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ulpt_search.search.ledger.ledger import Ledger, StudyRecord
from ulpt_search.spaces.axes import Value
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Outcome, Problem, Result, Trial

from .identities import IDENTITY, with_weights
from .ledgers import SPACE, make, program, result, trial

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
whole = st.integers(0, 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Value] = st.one_of(st.integers(), finite, texts, st.booleans())
small = st.integers(0, 2**31 - 1)
purposes = st.sampled_from(["search", "final"])
trials = st.lists(
    st.builds(
        Trial,
        small,
        texts,
        st.dictionaries(texts, values),
        whole,
        whole,
        st.sampled_from(["search", "final"]),
        st.none() | st.integers(0, 9),
    ),
    unique_by=lambda one: one.number,
    min_size=1,
    max_size=4,
)
numbers = st.floats().map(lambda number: number + 0.0)  # SQLite keeps -0.0 as 0.0, which is equal
results = st.builds(Result, st.just(0), small, st.sampled_from(["validation", "test"]), *[numbers] * 4, texts, whole)
problems = st.builds(Problem, st.just(0), texts, st.booleans())


@given(trials, st.lists(results, unique_by=lambda one: (one.step, one.split), max_size=4), st.lists(problems, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(ledger_url: str, given_trials: list[Trial], of_first: list[Result], wrong: list[Problem]) -> None:
    ledger = Ledger.open(ledger_url)
    name = f"study {len(ledger.studies())}"
    make(ledger, name).add_trials(name, given_trials)
    first = given_trials[0].number
    scored = tuple(Result(first, *list(one.to_json().values())[1:]) for one in of_first)
    failed = tuple(Problem(first, one.error, one.fatal) for one in wrong)
    assert ledger.record(name, Outcome(0, scored, failed)) == scored
    ledger.close()
    again = Ledger.open(ledger_url)
    assert again.trials(name) == sorted(given_trials, key=lambda one: one.number)
    assert list(map(repr, again.results(name))) == list(map(repr, scored)), "repr, since NaN equals nothing"
    assert again.problems(name) == list(failed)
    again.close()


def test_study_is_created_once(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url))
    record = ledger.study("demo")
    frozen, task = IDENTITY.frozen.weights.loaded, IDENTITY.task.digest
    assert record == StudyRecord("demo", SPACE, 10_000, 7, frozen, task, record.created, IDENTITY.to_json())
    assert record.known == IDENTITY
    wider = {**SPACE, "trials": 99}
    again = Ledger.open(ledger_url).create("demo", space=wider, budget=10_000, seed=8, identity=IDENTITY)
    assert again == record, "more trials or another seed may continue a study; what it began with stays written"
    make(ledger, "other")
    assert [one.name for one in ledger.studies()] == ["demo", "other"]


def test_a_study_goes_on_only_as_it_began(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url))
    identity = replace(with_weights("ffff"), task=replace(IDENTITY.task, train="e" * 64, max_tokens="64"))
    other = {"model": {"name": "bert"}, "task": {"name": "sst2"}, "training": {"steps": 100, "rungs": [25, 200]}}
    told = (
        "--study demo: was begun with --budget 10000, not 1000; model minilm, not bert (weights 53aa51172d14, not ffff);"
        " task pydocs, not sst2 (training rows a1a1a1a1a1a1, not eeeeeeeeeeee; max_tokens 128, not 64); steps 200, not 100."
        " Go on as it was begun, or give another --study name"
    )
    with pytest.raises(WrongInput) as caught:
        ledger.create("demo", space=other, budget=1000, seed=7, identity=identity)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("name", "budget", "seed"), [("", 1, 0), (" x", 1, 0), ("a\nb", 1, 0), ("x" * 201, 1, 0), ("x", 2**63, 0), ("x", 1, -1)]
)
def test_what_no_ledger_can_keep(tmp_path: Path, name: str, budget: int, seed: int) -> None:
    ledger = Ledger.open(str(tmp_path / "l"))
    with pytest.raises(WrongInput, match=r"^--(study|budget|seed) .*: wanted [^\n]*$"):
        ledger.create(name, space={}, budget=budget, seed=seed, identity=IDENTITY)
    assert ledger.studies() == []


def test_unknown_study(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    reads: list[Callable[[str], object]] = [ledger.study, ledger.trials, ledger.results, ledger.problems]
    for read in reads:
        with pytest.raises(WrongInput, match=r"^--study dmo: no such study; there is none yet; begin one with ulpt-search run\.$"):
            read("dmo")
    make(ledger)
    for read in reads:
        with pytest.raises(WrongInput, match=r"^--study dmo: no such study; there are demo\. Did you mean demo\?$"):
            read("dmo")


def test_a_result_counts_once(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url), trials=2)
    first, better, later = result(0), result(0, score=0.9), result(0, 50)
    assert ledger.record("demo", Outcome(0, (first, better))) == (first,)
    assert ledger.record("demo", Outcome(0, (first,))) == ()
    assert Ledger.open(ledger_url).record("demo", Outcome(1, (better, result(1), later))) == (result(1), later)
    assert ledger.results("demo") == [first, result(1), later]
    make(ledger, "other", trials=1)
    assert ledger.record("other", Outcome(0, (better,))) == (better,)


def test_an_outcome_is_kept_whole_or_not_at_all(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url), trials=2)
    for stray in (Outcome(0, (result(0), result(5))), Outcome(0, (result(0),), (Problem(1, "x"), Problem(5, "y")))):
        told = r"^the ledger refused a record: .*(?i:foreign key constraint).*; add a trial before what came of it$"
        with pytest.raises(Failure, match=told):
            ledger.record("demo", stray)
    assert (ledger.results("demo"), ledger.problems("demo")) == ([], [])


def test_problems_are_kept_by_attempt(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url), trials=2)
    ledger.record("demo", Outcome(0, (), (Problem(0, "killed"), Problem(1, "killed"))))
    ledger.record("demo", Outcome(1, (), (Problem(0, "loss is NaN", fatal=True), Problem(0, "half a character \udc80, a zero byte \x00"))))
    told = [Problem(0, "killed"), Problem(1, "killed"), Problem(0, "loss is NaN", fatal=True)]
    assert ledger.problems("demo") == [*told, Problem(0, "half a character \\udc80, a zero byte \\x00")]
    with ledger._engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(sa.text("SELECT trial, attempt FROM ulpt_problems ORDER BY id"))] == [
            (0, 1), (1, 1), (0, 2), (0, 3),
        ]  # fmt: skip


def test_trials_are_added_once(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url), trials=3)
    ledger.add_trials("demo", [trial(2), trial(3)])
    ledger.add_trials("demo", [])
    changed = Trial(1, "lora", {"rank": 2}, 0, 3072)
    with pytest.raises(
        Failure, match=r"^study demo: Trial\(number=1, method='lora'.* cannot be added: the ledger has Trial\(number=1, method='ulpt'"
    ):
        ledger.add_trials("demo", [trial(4), changed])
    assert ledger.trials("demo") == [trial(number) for number in range(4)]


WRITER = """
    import sys
    from ulpt_search.search.ledger.ledger import Ledger
    from ulpt_search.spaces.records import Outcome, Problem, Result, Trial
    ledger, first = Ledger.open(sys.argv[1]), int(sys.argv[2])
    with ledger.lease("demo"):
        for number in range(first, first + 100_000):
            ledger.add_trials("demo", [Trial(number, "ulpt", {"dim": 8}, 0, 788)])
            pair = [Result(number, step, "validation", 0.5, 0.01, 1.0, 2.0, "a" * 64, 3152) for step in (25, 50)]
            ledger.record("demo", Outcome(number, tuple(pair), (Problem(number, "and a problem"),)))
            print(number, flush=True)
"""


def test_kill_9_of_a_writer(ledger_url: str) -> None:
    """Every outcome that was acknowledged before the kill is there once and whole; at most the one in flight comes on top."""
    ledger, acknowledged = make(Ledger.open(ledger_url)), set[int]()
    for turn in range(4):
        with subprocess.Popen(program(WRITER, ledger_url, str(turn * 100_000)), stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            acknowledged |= {int(writer.stdout.readline()) for _ in range(6)}
            threading.Timer(random.Random(turn).uniform(0, 0.05), writer.kill).start()
            acknowledged |= {int(line) for line in writer.stdout if line.endswith("\n")}
    kept = [(one.trial, one.step) for one in ledger.results("demo")]
    assert len(acknowledged) >= 24
    assert len(kept) == len(set(kept))
    assert {(number, step) for number in acknowledged for step in (25, 50)} <= set(kept)
    assert {(number, step) for number, _ in kept for step in (25, 50)} == set(kept), "half an outcome"
    assert sorted(problem.trial for problem in ledger.problems("demo")) == sorted({number for number, _ in kept})
    assert len({number for number, _ in kept} - acknowledged) <= 4


SAME = """
    import sys
    from ulpt_search.search.ledger.ledger import Ledger
    from ulpt_search.spaces.records import Outcome, Result
    ledger = Ledger.open(sys.argv[1])
    new = 0
    for number in range(150):
        new += len(ledger.record("demo", Outcome(number, (Result(number, 25, "validation", 0.5, 0.01, 1.0, 2.0, "a" * 64, 3152),))))
    print(new)
"""


def test_writers_side_by_side(ledger_url: str) -> None:
    """Each result is new to exactly one of three processes, and none of them ever fails for the others."""
    ledger = make(Ledger.open(ledger_url), trials=150)
    writers = [subprocess.Popen(program(SAME, ledger_url), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [writer.communicate()[0] for writer in writers]
    assert sum(map(int, told)) == 150
    assert sorted(one.trial for one in ledger.results("demo")) == list(range(150))


def test_recording_is_fast_and_listing_linear(tmp_path: Path) -> None:
    ledger = make(Ledger.open(str(tmp_path / "l.sqlite")), trials=1000)
    with ledger.lease("demo"):
        began = time.process_time()
        for number in range(1000):
            ledger.record("demo", Outcome(number, (result(number),)))
        seconds = time.process_time() - began  # the disk's own time, from 0.2 to 10 ms a commit, is not ours to promise
    assert seconds < 5, f"{seconds:.1f} s for 1,000 outcomes; a job takes seconds, so the ledger must not be felt"
    make(ledger, "large", trials=10_000)
    ledger.record("large", Outcome(0, tuple(result(number) for number in range(10_000))))
    small, large = (min(_seconds(ledger, name) for _ in range(5)) for name in ("demo", "large"))
    assert large < 25 * small, f"ten times the results took {large / small:.0f} times as long to list"


def _seconds(ledger: Ledger, name: str) -> float:
    began = time.process_time()
    assert ledger.results(name)
    assert ledger.trials(name)
    return time.process_time() - began


FULL = """
    import resource, signal, sys
    from ulpt_search.search.ledger.ledger import Ledger
    from ulpt_search.spaces.errors import Failure
    from ulpt_search.spaces.records import Outcome, Result, Trial
    ledger = Ledger.open(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    ledger.add_trials("demo", [Trial(number, "ulpt", {"dim": 8}, 0, 788) for number in range(100)])
    try:
        for number in range(100_000):
            ledger.record("demo", Outcome(number, (Result(number % 100, number, "validation", 0.5, 0.0, 0.0, 0.0, "a" * 64, 1),)))
            print(number)
    except Failure as error:
        print(error)
"""


def test_no_room(tmp_path: Path) -> None:
    """The system refuses to let the file grow, as it does on a full disk: one line, and what was acknowledged stays."""
    path = str(tmp_path / "l")
    make(Ledger.open(path)).close()
    *acknowledged, told = subprocess.run(program(FULL, path), capture_output=True, text=True, check=True).stdout.splitlines()
    reason = "(disk I/O error|database or disk is full)"
    assert acknowledged
    assert told.startswith(f"the ledger {path} cannot be used: ")
    assert re.search(f"{reason}; all that it acknowledged is kept: put that right and run again$", told)
    assert len(Ledger.open(path).results("demo")) == len(acknowledged)


def test_nan_is_a_score_too(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url), trials=1)
    ledger.record("demo", Outcome(0, (result(0, score=math.nan),)))
    assert math.isnan(ledger.results("demo")[0].score)


def test_brief_results_are_the_results_without_what_a_study_can_do_without(ledger_url: str) -> None:
    ledger = make(Ledger.open(ledger_url), trials=2)
    for number, step in ((0, 25), (1, 25), (0, 200)):
        ledger.record("demo", Outcome(0, (replace(result(number, step), others={"f1": 0.5}, numerics="float32"),)))
    full, brief = ledger.results("demo"), ledger.brief_results("demo")
    assert [one.adapter for one in brief] == ["", full[1].adapter, full[2].adapter]
    bare = [replace(one, loss=0.0, seconds=0.0, others=None, numerics=None, adapter="") for one in full]
    assert [replace(one, adapter="") for one in brief] == bare
