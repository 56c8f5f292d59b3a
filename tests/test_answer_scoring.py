"""A job on written answers, from a file to results: what is decoded when, on which rows, and what becomes of trials that diverge."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ulpt_search.spaces.answer_metrics import exact_match, token_f1
from ulpt_search.spaces.records import Assignment, Job, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.model.decoding import Decoder
from ulpt_search.workers.training import answer_scoring, references, worker
from ulpt_search.workers.training.answer_scoring import some_rows

from . import task_files, written, zoo

STEPS = 30


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return study(tmp_path_factory.mktemp("answers"), metric="exact_match", metrics=("token_f1", "perplexity"), decoded_rows=5)


def study(folder: Path, *, metric: str, metrics: tuple[str, ...] = (), decoded_rows: int = 128) -> Setup:
    rows = [{"prompt": talk.question, "completion": talk.reference} for talk in written.rows(96).conversations]
    place = task_files.folder(folder / "said", train=rows[:64], validation=rows[64:80], test=rows[80:])
    task = TaskSpec("said", path=str(place), metric=metric, metrics=metrics, decoded_rows=decoded_rows, template="plain", max_tokens=48)
    model = ModelSpec(zoo.saved("decoder"), dtype="float32", device="cpu")
    return Setup(model, task, Training(steps=STEPS, rungs=(STEPS,), batch=8), store=str(folder / "store"))


def job(setup: Setup, *, purpose: str = "search", lr: float = 0.03) -> list[Result]:
    values = {"rank": 4, "lr": lr}
    trial = Trial(0, "lora", values, seed=3, parameters=count("lora", values, zoo.backbone("decoder").shape))
    final = purpose == "final"
    asked = Assignment(replace(trial, purpose="final", finalist=0) if final else trial)
    outcome = worker.run_job(setup, Job(0, (asked,), stop=STEPS, splits=("validation", "test") if final else ("validation",)))
    assert not outcome.problems, outcome.problems
    return list(outcome.results)


def test_at_a_rung_only_what_promotion_goes_by_is_decoded_and_of_some_rows(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    write = Decoder.write

    def counted(self: Decoder, pack: object, values: object, prompts: list[object], limits: object) -> object:
        asked.append(len(prompts))
        return write(self, pack, values, prompts, limits)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "write", counted)
    (found,) = job(setup)
    assert asked == [5]
    assert found.others is not None
    assert set(found.others) == {"perplexity"}
    assert found.others["perplexity"] > 1
    asked.clear()
    monkeypatch.setattr(worker, "session", worker.session.__wrapped__)
    job(replace(setup, task=replace(setup.task, metric="perplexity", metrics=("exact_match",))))
    assert not asked


def test_finals_are_measured_by_everything_on_all_rows_and_keep_what_each_row_adds(setup: Setup) -> None:
    validation, test = job(setup, purpose="final")
    assert test.others is not None
    assert set(test.others) == {"token_f1", "perplexity"}
    session = worker.session(setup)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(_trial(setup), 0, test.adapter)])
    answers = answer_scoring.write_answers(session, pack, session.task.test)[0]
    wanted = [talk.reference for talk in session.task.test.conversations]
    assert test.score == pytest.approx(np.mean([exact_match(one, other) for one, other in zip(answers, wanted, strict=True)]))
    assert test.others["token_f1"] == pytest.approx(np.mean([token_f1(one, other) for one, other in zip(answers, wanted, strict=True)]))
    assert test.score > 0.2, "the tiny model has learnt something to be measured"
    kept, _ = session.store.get(test.adapter)
    assert "rows:test" in kept
    assert validation.split == "validation"


def _trial(setup: Setup) -> Trial:
    values = {"rank": 4, "lr": 0.03}
    return Trial(0, "lora", values, seed=3, parameters=count("lora", values, zoo.backbone("decoder").shape))


def test_the_frozen_model_answers_for_itself(setup: Setup) -> None:
    (found,) = references.measure(worker.session(setup), ("frozen", "probe"))
    assert found.kind == "frozen"
    assert found.score == found.test_score == 0
    assert set(found.others) == {"token_f1", "perplexity"}


def test_a_trial_whose_losses_are_no_numbers_harms_no_other(tmp_path: Path) -> None:
    setup = study(tmp_path, metric="perplexity")
    session = worker.session(setup)
    fine, broken = _trial(setup), replace(_trial(setup), number=1, hyperparameters={"rank": 4, "lr": 1e30})
    outcome = worker.run_job(setup, Job(0, (Assignment(fine), Assignment(broken)), stop=3))
    assert [result.trial for result in outcome.results] == [0]
    assert math.isfinite(outcome.results[0].score)
    assert [problem.trial for problem in outcome.problems] == [1]
    assert session.task.metric == "perplexity"


def test_some_rows_are_the_same_ones_and_from_all_over() -> None:
    assert some_rows(5, 9) == [0, 1, 2, 3, 4]
    assert some_rows(1000, 50) == some_rows(1000, 50)
    assert np.ptp(some_rows(1000, 50)) > 800
    assert torch.tensor(some_rows(1000, 50)).unique().numel() == 50


def test_a_plan_counts_the_rows_that_are_answered_and_how_long_that_takes() -> None:
    from ulpt_search.search.cli.printing import writing_line
    from ulpt_search.search.running.speed import Pace
    from ulpt_search.search.running.writing_cost import NONE, WORTH, writes_of, writing_cost
    from ulpt_search.spaces.space import Decoding

    task, counts = written.task("exact_match", decoding=Decoding(decoded_rows=10)), {"scored": 6, "finals": 3, "trained": 100, "workers": 2}
    pace = Pace(2.0, {"validation": 48, "test": 48})
    found = writing_cost(task, zoo.tokenizer(), pace, **counts)
    assert found is not None
    assert (found.rung_rows, found.final_rows, found.tokens) == (6 * 10, 3 * 96, 5)
    assert found.seconds == pytest.approx((60 + 288) * 5 / (2.0 * 100 / WORTH * 2))
    assert writing_line(found) == (
        "answers of 5 tokens at most are written to 60 rows at rungs, 288 of finals: about 0:13 more, if all are so long"
    )
    reported = writing_cost(written.task("perplexity", "exact_match"), zoo.tokenizer(), None, **counts)
    assert reported is not None
    assert (reported.rung_rows, reported.seconds) == (0, None)
    assert writing_cost(written.task(), zoo.tokenizer(), pace, **counts) is None
    told = writes_of(task, zoo.tokenizer, rate=2.0, trained=100)
    assert (told.rung, told.final) == (10, 96)
    assert told.seconds == pytest.approx(5 * WORTH / 200)
    beside = writes_of(written.task("perplexity", "exact_match"), zoo.tokenizer, rate=None, trained=100)
    assert (beside.rung, beside.final) == (0, 96)
    assert writes_of(written.task(), zoo.tokenizer, rate=None, trained=100) == NONE


def test_two_passes_that_should_agree_have_nothing_to_agree_on() -> None:
    from ulpt_search.spaces.errors import WrongInput
    from ulpt_search.workers.model.readouts.choice import for_task

    shape = for_task(zoo.backbone("decoder"), written.task()).shape
    assert count("adamix", {}, zoo.backbone("decoder").shape) > 0
    with pytest.raises(WrongInput, match=r"^adamix: its two passes agree on labels' scores"):
        count("adamix", {}, shape)
