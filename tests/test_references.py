"""What stands beside a curve: measured by the study's own readout on its own splits, kept apart, and never in the way."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ulpt_search.dashboards.headline import headline
from ulpt_search.dashboards.scale import parameter_range, reference_start
from ulpt_search.dashboards.verdicts import beside, under_probe
from ulpt_search.search.cli.printing import ceiling_line
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.request import Request
from ulpt_search.search.running.cost_estimate import ceiling_cost
from ulpt_search.search.running.dispatch import failed
from ulpt_search.search.running.reference_jobs import LAST, NUMBER, ReferenceJobs, worthwhile
from ulpt_search.search.running.speed import Pace
from ulpt_search.search.tracking.run_records import Snapshot, reference_runs
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Job, Outcome, Split
from ulpt_search.spaces.references import CEILING, KINDS, Reference
from ulpt_search.spaces.shape import Answers
from ulpt_search.spaces.space import ModelSpec, Setup, Space, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.training import ceiling, heads, pack_scores, references, worker
from ulpt_search.workers.training.probes import MISSING
from ulpt_search.workers.training.scoring import Score
from ulpt_search.workers.training.session import Session

from . import asked, ledgers, task_files, tiny, zoo
from .curve_records import curve
from .test_answer_scoring import study

PROBE = Reference("probe", "linear probe on the mean, C = 1", 2310, 0.9, 1e-4, 0.88, 1e-4, 2.5, "float32", {"f1": 0.87})
FROZEN = Reference("frozen", "frozen model: cosine", 0, 0.5, 1e-3, 0.49, 1e-3, 0.5, "float32")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("references")
    tiny.prepare(folder)
    task = TaskSpec(name="colours", path=str(folder / "colours.jsonl"), metrics=("f1_macro",))
    yield Setup(ModelSpec(str(folder / "encoder"), dtype="float32"), task, Training(steps=8, rungs=(8,)), str(folder / "store"))
    worker.session.cache_clear()


def measured(setup: Setup) -> dict[str, Reference]:
    outcome = worker.run_job(setup, Job(NUMBER, (), 0, references=KINDS))
    assert outcome.unable is None
    back = Outcome.from_json(json.loads(json.dumps(outcome.to_json())))
    assert back == outcome
    return {one.kind: one for one in back.references}


def means(session: Session, split: str) -> np.ndarray:
    """Mean of each text's states by transformers alone, one row at a time."""
    with torch.no_grad():
        texts = [torch.tensor(ids.tolist())[None] for ids in session.splits[split].ids]
        return np.stack([session.backbone.model(text).last_hidden_state[0].mean(0).double().numpy() for text in texts])


def test_the_probe_is_scikit_learns_on_training_rows_alone(setup: Setup) -> None:
    """The same four penalties by hand: only the choice of C looks at validation, nothing at test."""
    found, session = measured(setup)["probe"], worker.session(setup)
    train, validation, test = (means(session, split) for split in ("train", "validation", "test"))
    scale = StandardScaler().fit(train)
    y = {split: np.asarray(session.splits[split].targets) for split in session.splits}
    models = [LogisticRegression(C=c, max_iter=1000).fit(scale.transform(train), y["train"]) for c in references.PENALTIES]
    scores = [model.score(scale.transform(validation), y["validation"]) for model in models]
    best = models[int(np.argmax(scores))]
    assert found.score == pytest.approx(max(scores))
    assert found.test_score == pytest.approx(best.score(scale.transform(test), y["test"]))
    assert found.parameters == best.coef_.size + best.intercept_.size == 3 * train.shape[1] + 3
    assert f"C = {best.C:g} chosen in validation, {len(train)} training rows" in found.about
    assert found.others.keys() == {"f1_macro"}


def test_of_a_large_split_the_probe_sees_rows_spread_over_it(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "SEEN", 7)
    found, session = measured(setup)["probe"], worker.session(setup)
    rows = len(session.splits["train"].targets)
    assert f"7 of {rows} training rows" in found.about


def test_the_frozen_model_is_read_as_trials_are(setup: Setup) -> None:
    found, session = measured(setup)["frozen"], worker.session(setup)
    assert found.parameters == 0
    with torch.no_grad():
        texts = [torch.tensor(ids.tolist())[None] for ids in session.splits["test"].ids]
        plain = [session.trainer.readout.plain(text, None).argmax().item() for text in texts]
    assert found.test_score == pytest.approx(np.mean(np.equal(plain, session.splits["test"].targets)))


def test_the_scale_of_the_states_changes_nothing(setup: Setup) -> None:
    session, draw = worker.session(setup), np.random.default_rng(0)
    targets = np.asarray(session.splits["train"].targets)
    rows = draw.normal(size=(len(targets), 8)) + 2 * np.eye(8)[targets]
    small, large = (references._fit(session, rows * by, targets, 1.0).predict(rows * by) for by in (1.0, 1000.0))
    assert (small == large).all()


def test_full_fine_tuning_goes_on_while_more_steps_help(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates are brought up to what eight steps of a random model need; the scores are the trained model's, whatever was chosen."""
    monkeypatch.setattr(ceiling, "RATES", (1e-9, 3e-2))
    judged, own = list[tuple[str, float]](), pack_scores.pack_scores

    def heard(session: Session, pack: Pack, split: Split, *, final: bool) -> list[Score]:
        found = own(session, pack, split, final=final)
        judged.append((split, found[0].value))
        return found

    monkeypatch.setattr(ceiling, "pack_scores", heard)
    best = ceiling.tune(worker.session(setup))
    tried = [value for split, value in judged if split == "validation"]
    steps = [8, 8, 16, 32][: len(tried)]
    shorter = max(tried[:2])
    assert max(zip(tried, steps, strict=True))[0] == best.validation.value > 0.6 > tried[0]
    assert best.longer_helped == (best.steps == 32)
    assert len(tried) == (3 if tried[2] <= shorter else 4)
    assert ceiling.planned(8) == (3 * 8 - 8 + 16, 3 * 8 - 8 + 48)
    assert best.parameters == sum(linear.inputs * linear.outputs for linear in worker.session(setup).backbone.shape.linears)
    assert best.about.startswith("full fine-tuning of all linears, rate 0.03 of 1e-09, 0.03 and ")


def test_where_nothing_but_a_head_reads_a_task_it_is_tuned_under_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "RATES", (1e-3,))
    monkeypatch.setattr(ceiling, "LONGEST", 1)
    task = asked.spec(asked.folder(tmp_path, "multi_label"))
    setup = Setup(ModelSpec(zoo.saved("encoder"), dtype="float32", device="cpu"), task, Training(4, (4,), batch=8), str(tmp_path / "store"))
    outcome = worker.run_job(setup, Job(LAST, (), 0, references=CEILING))
    (found,) = outcome.references
    shape = worker.session(setup).backbone.shape
    assert found.about.startswith("full fine-tuning of all linears under a head, rate 0.001 of 0.001 and 4 steps")
    linears = sum(linear.inputs * linear.outputs for linear in shape.linears)
    assert found.parameters == linears + count("head", {}, shape)
    assert found.score > 0


def test_written_answers_have_a_ceiling_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the task's metric on all rows, decoded, with what is reported beside it."""
    monkeypatch.setattr(ceiling, "RATES", (1e-3,))
    monkeypatch.setattr(ceiling, "LONGEST", 1)
    setup = replace(study(tmp_path, metric="token_f1", metrics=("perplexity",)), training=Training(4, (4,), batch=8))
    outcome = worker.run_job(setup, Job(LAST, (), 0, references=CEILING))
    (found,) = outcome.references
    assert found.kind == "ceiling"
    assert 0 <= found.test_score <= 1
    assert found.others["perplexity"] > 1
    assert references.possible(worker.session(setup).task, Answers()) == ("frozen", "ceiling")


def test_full_fine_tuning_that_diverges_is_one_line(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "RATES", (1e30,))
    with pytest.raises(Failure, match=r"^full fine-tuning diverged at every rate of 1e\+30: scores are no numbers$"):
        ceiling.tune(worker.session(setup))


def test_a_ceiling_is_asked_for_and_never_under_a_time_limit(tmp_path: Path) -> None:
    assert not Request(source="smoke", budget=100, home=str(tmp_path)).ceiling
    with pytest.raises(WrongInput, match=r"^--ceiling with --time 600s: full fine-tuning cannot be cut short; leave --time out, or run"):
        Request(source="smoke", budget=100, home=str(tmp_path), ceiling=True, limit=600.0)


def test_a_plan_says_what_a_ceiling_would_take(setup: Setup) -> None:
    space = Space("tiny", setup.model, setup.task, setup.training, {})
    shape = worker.session(setup).backbone.shape
    cost = ceiling_cost(space, shape, Pace(rate=2.0, rows={"validation": 1, "test": 1}))
    assert cost.steps == (40, 72)
    assert cost.seconds == (40 * 1.5 / 2, 72 * 1.5 / 2)
    said = ceiling_line(cost)
    assert said.startswith(f"ceiling: full fine-tuning of {cost.parameters:,} parameters after the search, 40 to 72 steps one trial")
    assert "between 0:30 and 0:54 by one worker" in said
    assert "a time that no run has measured here by one worker" in ceiling_line(ceiling_cost(space, shape, None))


def test_a_ceiling_that_fails_says_why_and_is_not_tried_again() -> None:
    jobs = ReferenceJobs([FROZEN, PROBE], wanted=CEILING, attempts=1, number=LAST)
    job = jobs.next_job()
    assert job is not None
    assert (job.number, job.references) == (LAST, ("ceiling",))
    lost = Outcome.from_json(json.loads(json.dumps(failed(job, "out of memory").to_json())))
    assert jobs.record(lost) == "the references (ceiling) could not be measured: out of memory; the search goes on without them"
    assert jobs.over


def test_a_ceiling_is_a_level_of_the_picture_and_a_sentence_of_the_headline() -> None:
    """It is a thousand times beyond the budget: the axis does not reach there."""
    full = replace(PROBE, kind="ceiling", about="full fine-tuning", parameters=10**9, score=0.95)
    bare, whole = curve(), replace(curve(), references=(FROZEN, full))
    assert parameter_range(whole) == parameter_range(bare)
    low, high = parameter_range(whole)
    assert [reference_start(one, low, high) for one in whole.references] == [low, low]
    assert "Full fine-tuning has 0.950 with 1,000,000,000 parameters." in headline(whole)
    assert under_probe(whole) == ""
    assert "full fine-tuning (1,000,000,000 parameters): validation 0.950" in beside(whole)[1]


def test_under_a_limit_only_what_it_has_time_for_is_measured() -> None:
    every = (*KINDS, *CEILING)
    assert worthwhile(every, limit=None, writes=True) == worthwhile(every, limit=600, writes=False) == KINDS
    assert worthwhile(every, limit=600, writes=True) == ("probe",)
    assert worthwhile(every, limit=60, writes=False) == ()


def test_a_fit_gets_as_many_rounds_as_its_time_allows(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(64, 8))
    assert references._rounds(rows, 3) == references.ROUNDS
    monkeypatch.setattr(references, "PATIENCE", 1e-12)
    assert references._rounds(rows, 3) == references.LEAST_ROUNDS
    monkeypatch.setattr(references, "LEAST_ROUNDS", 1)
    assert ", not converged in 1 rounds" in measured(setup)["probe"].about


def test_options_by_number_have_a_probe_of_labels(tmp_path: Path) -> None:
    """Multiple choice whose options stand in the text: every row has the same numbers to answer with."""
    rows = [{"text_a": f"w{number % 3} w{number % 50 + 3}", "label": number % 3} for number in range(60)]
    meta = {"kind": "multiple_choice", "labels": ["1", "2", "3"]}
    folder = task_files.folder(tmp_path / "options", meta=meta, train=rows[:30], validation=rows[30:45], test=rows[45:])
    task = TaskSpec("options", path=str(folder), max_tokens=32, labels=dict(zip("123", tiny.COLOURS, strict=True)))
    model = ModelSpec(zoo.saved("decoder"), dtype="float32", device="cpu")
    found = measured(Setup(model, task, Training(steps=8, rungs=(8,)), str(tmp_path / "store")))
    assert found.keys() == {"frozen", "probe"}
    assert found["probe"].score > 0.6


def test_a_reference_that_fails_takes_no_other_with_it(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: Session) -> Reference:
        raise TypeError("no fit")

    monkeypatch.setattr(references, "MEASURES", {**references.MEASURES, "probe": broken})
    outcome = worker.run_job(setup, Job(NUMBER, (), 0, references=("probe", "frozen")))
    assert [one.kind for one in outcome.references] == ["frozen"]
    assert outcome.failed == "TypeError: no fit"


def test_a_label_without_training_rows_keeps_its_column(setup: Setup) -> None:
    """Columns follow the task's labels, not the classes that the library saw."""
    session = worker.session(setup)
    rows, targets = np.array([[0.0], [1.0], [0.1], [0.9]]), np.array([0, 2, 0, 2])
    scores = references._label_scores(session, references._fit(session, rows, targets, 10.0), np.array([[1.0], [0.0]]))
    assert scores.shape == (2, 3)
    assert scores.argmax(1).tolist() == [2, 0]
    assert bool(np.all(scores[:, 1] == MISSING))


def test_a_ledger_keeps_them_once_and_apart_from_trials(tmp_path: Path) -> None:
    ledger = ledgers.make(Ledger.open(str(tmp_path / "ledger.sqlite")), trials=2)
    ledger.record("demo", Outcome(NUMBER, references=(PROBE, FROZEN)))
    ledger.record("demo", Outcome(NUMBER, references=(replace(PROBE, score=0.1),)))
    assert ledger.references("demo") == [FROZEN, PROBE]
    assert (len(ledger.trials("demo")), ledger.results("demo")) == (2, [])


def test_the_job_comes_first_and_once_and_only_what_is_missing() -> None:
    jobs = ReferenceJobs([FROZEN])
    job = jobs.next_job()
    assert job is not None
    assert (job.number, job.references, job.assignments) == (NUMBER, ("probe",), ())
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job
    assert (jobs.next_job(), jobs.over) == (None, False)
    assert jobs.record(Outcome(NUMBER, references=(PROBE,))) == ""
    assert (jobs.next_job(), jobs.over) == (None, True)
    assert ReferenceJobs([FROZEN, PROBE]).over


def test_a_search_goes_on_without_references_that_fail_twice() -> None:
    jobs = ReferenceJobs([])
    told = []
    while jobs.next_job() is not None:
        told.append(jobs.record(Outcome(NUMBER)))
    assert told == ["", "the references (frozen, probe) could not be measured; the search goes on without them"]
    assert jobs.over


def test_what_came_back_is_not_asked_for_again_and_a_limit_pays_for_one_attempt() -> None:
    jobs = ReferenceJobs([], attempts=1)
    assert jobs.next_job() is not None
    assert (
        jobs.record(Outcome(NUMBER, references=(FROZEN,)))
        == "the references (probe) could not be measured; the search goes on without them"
    )
    assert jobs.over
    alone = ReferenceJobs([FROZEN], wanted=("frozen",))  # a task that has no probe
    assert (alone.next_job(), alone.over) == (None, True)


def test_the_headline_says_when_the_curve_is_under_the_probe() -> None:
    best = curve().front[-1]
    over = replace(PROBE, score=best.score + 0.05, parameters=10)
    told = under_probe(replace(curve(), references=(FROZEN, over)))
    assert told == f"The curve is under a linear probe with 10 parameters: {over.score:.3f} in validation."
    assert told in headline(replace(curve(), references=(FROZEN, over)))
    told = under_probe(replace(curve(), references=(replace(over, parameters=20_000),)))
    assert "20,000 parameters" in told
    assert told.endswith("in validation, more than the budget.")


def test_a_curve_that_reaches_the_probe_only_with_more_parameters_is_told_from_where() -> None:
    low, high = curve().front[0], curve().front[-1]
    probe = replace(PROBE, score=high.score, parameters=low.trainable_parameters)
    assert under_probe(replace(curve(), references=(probe,))) == (
        f"Up to {high.trainable_parameters:,} parameters the curve is under a linear probe with {low.trainable_parameters:,} parameters: "
        f"{high.score:.3f} in validation."
    )
    assert under_probe(replace(curve(), references=(replace(PROBE, score=0.0),))) == ""
    assert under_probe(curve()) == ""


def test_each_is_a_sentence_under_the_curve_with_its_intervals() -> None:
    said = beside(replace(curve(), references=(FROZEN, PROBE)))
    assert said[0].startswith("Reference, frozen model: cosine (nothing trained): validation 0.500 [0.438, 0.562], test 0.490 [")
    assert "C = 1 (2,310 parameters): validation 0.900" in said[1]
    sure = beside(replace(curve(), ends=(0.0, 1.0), references=(replace(PROBE, score=0.99, variance=0.01),)))
    assert "validation 0.990 [0.794, 1.000]" in sure[0]
    unknown = beside(replace(curve(), references=(replace(PROBE, score=0.0, variance=0.0),)))
    assert "validation 0.000 (no interval: no row moves it)" in unknown[0]


def test_mlflow_runs_are_tagged_as_references() -> None:
    from .mirror_records import STUDY

    frozen, probe = reference_runs(STUDY, Snapshot(references=(FROZEN, PROBE)), parent="p")
    assert (probe.tags["purpose"], probe.tags["on_frontier"], probe.key) == ("reference", "no", "reference probe")
    numbers = {number.key: number.value for number in probe.rows[0]}
    assert numbers["validation_score"] == 0.9
    assert numbers["test_f1"] == 0.87
    assert numbers["trainable_parameters"] == 2310
    assert frozen.status == "FINISHED"
