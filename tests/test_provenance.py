"""Nothing is trained on, exported from or used with a model or task that is not the study's; one line says what differs."""

import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ulpt_search.search.running.dispatch import Dispatch, Halt
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.identity import Identity
from ulpt_search.spaces.records import Assignment, Job, Outcome, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import Card, evaluate, export, load_export
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.identity import former_fingerprint
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.provenance import FORMER_KEY, KEY
from ulpt_search.workers.training.store import AdapterStore

from . import task_files, toy, zoo
from .test_identity import change_a_weight, edit, save_without_pooler

VALUES: Hyperparameters = {"prompt_length": 2, "lr": 0.05}
TRIAL = Trial(0, "prompt", VALUES, 3, count("prompt", VALUES, zoo.backbone("encoder").shape))
JOB = Job(0, (Assignment(TRIAL),), stop=2)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A model's and a task's folder of this test's own."""
    folder = shutil.copytree(zoo.saved("encoder"), tmp_path / "model")
    return of_model(folder)


def of_model(folder: Path) -> Setup:
    rows = [{"text_a": text, "label": toy.LABELS[int(label)]} for text, label in zip(toy.rows().texts_a, toy.rows().labels, strict=True)]
    task_files.folder(folder.parent / "toy", train=rows[:64], validation=rows[64:80], test=rows[80:])
    task = TaskSpec("toy", path=str(folder.parent / "toy"), labels={label: label for label in toy.LABELS}, max_tokens=32)
    model = ModelSpec(str(folder), dtype="float32", device="cpu")
    return Setup(
        model, task, Training(steps=4, rungs=(2, 4), batch=8), store=str(folder.parent / "store"), cache=str(folder.parent / "cache")
    )


def begun(setup: Setup) -> Setup:
    """The setup as a driver hands it out: with the identity that the study was begun with."""
    return replace(setup, identity=worker.session(setup).identity)


def trained(setup: Setup) -> str:
    """Train two steps for real; returns what the store calls the adapter."""
    worker.session.cache_clear()
    outcome = worker.run_job(setup, JOB)
    assert not outcome.problems
    assert outcome.refused is None, outcome.refused
    return outcome.results[0].adapter


def change_a_row(setup: Setup) -> Setup:
    path = next(Path(str(setup.task.path)).glob("train*"))
    path.write_text(path.read_text().replace("w1", "w9"))
    return setup


def change_the_weights(setup: Setup) -> Setup:
    change_a_weight(Path(setup.model.name))
    return setup


def change_the_tokenizer(setup: Setup) -> Setup:
    edit(Path(setup.model.name) / "tokenizer_config.json", truncation_side="left")
    return setup


CHANGES: list[tuple[Callable[[Setup], Setup], str]] = [
    (change_the_weights, "weights "),
    (change_the_tokenizer, "tokenizer "),
    (change_a_row, "training rows "),
    (lambda setup: replace(setup, task=replace(setup.task, max_tokens=16)), "max_tokens 32, not 16"),
    (lambda setup: replace(setup, task=replace(setup.task, labels={"red": "w5"})), "descriptions "),
    (lambda setup: replace(setup, task=replace(setup.task, metric="f1")), "metric accuracy, not f1"),
]


@pytest.mark.parametrize(("change", "part"), CHANGES, ids=[part.split()[0] for _, part in CHANGES])
def test_a_worker_compares_before_it_trains(setup: Setup, change: Callable[[Setup], Setup], part: str) -> None:
    study = begun(setup)
    trained(study)
    before = sorted(Path(setup.store).rglob("*.safetensors"))
    changed = change(study)
    worker.session.cache_clear()
    outcome = worker.run_job(changed, JOB)
    assert (outcome.results, outcome.problems) == ((), ())
    assert sorted(Path(setup.store).rglob("*.safetensors")) == before
    told = str(outcome.refused)
    assert told.startswith(f"{setup.model.name} and toy on {platform.node()} are not what the study was begun with: {part}")
    assert told.endswith("; put those there, or start another study")
    assert ";" not in told.removesuffix("; put those there, or start another study"), "only what differs is named"


def test_a_worker_with_another_store_trains_nothing(setup: Setup, tmp_path: Path) -> None:
    shared = replace(setup, mark=AdapterStore(setup.store).mark())
    trained(shared)
    elsewhere = replace(shared, store=str(tmp_path / "another machine's"))
    worker.session.cache_clear()
    outcome = worker.run_job(elsewhere, JOB)
    assert (outcome.results, outcome.problems) == ((), ())
    assert str(outcome.refused).startswith(f"the store {elsewhere.store} on {platform.node()} is not the one of this search")
    assert not list(Path(elsewhere.store).rglob("*.safetensors"))
    assert AdapterStore(setup.store).mark() == shared.mark, "the same mark again"
    assert AdapterStore(elsewhere.store).mark() != shared.mark


def test_such_a_worker_ends_the_run_and_costs_no_attempt() -> None:
    recorded = list[Outcome]()
    run = Dispatch(lambda: JOB, recorded.append, lambda: False, patience=1.0)
    run.suggest("a")
    with pytest.raises(Halt):
        run.settle("a", Outcome.from_json(Outcome(0, refused="weights of another").to_json()))
    assert isinstance(run.reason, Failure)
    assert (str(run.reason), recorded) == ("weights of another", [])


def test_other_numerics_are_kept_with_the_result(setup: Setup) -> None:
    study = begun(setup)
    (result,) = worker.run_job(study, JOB).results
    assert result.numerics == str(study.identity.numerics if study.identity else None)
    low = replace(study, model=replace(study.model, dtype="bfloat16"))
    (other,) = worker.run_job(low, JOB).results
    assert other.numerics is not None
    assert other.numerics.startswith("bfloat16, auto attention, cpu, torch ")


def test_an_adapter_in_the_store_says_what_it_was_trained_on(setup: Setup) -> None:
    digest = trained(setup)
    _, metadata = AdapterStore(setup.store).get(digest)
    assert Identity.from_json(json.loads(metadata[KEY])) == worker.session(setup).identity


def test_a_trial_goes_on_from_no_other_model_s_adapter(setup: Setup) -> None:
    """Even where no study says so: the adapter itself does."""
    digest = trained(setup)
    change_the_weights(setup)
    worker.session.cache_clear()
    with pytest.raises(
        Failure, match=rf"^adapter {digest[:12]}: trained with weights \w+, not \w+; give back the model it was trained on$"
    ):
        worker.run_job(setup, Job(1, (Assignment(TRIAL, 2, digest),), stop=4))


def as_before_identities(setup: Setup, digest: str, former: str) -> str:
    """Store an adapter as versions without identities did."""
    store = AdapterStore(setup.store)
    tensors, metadata = store.get(digest)
    del metadata[KEY]
    return store.put(tensors, {**metadata, FORMER_KEY: former})


def test_an_adapter_from_before_identities_goes_on_with_its_own_model_only(setup: Setup) -> None:
    former = former_fingerprint(worker.session(setup).backbone.model)
    old = as_before_identities(setup, trained(setup), former)
    job = Job(1, (Assignment(TRIAL, 2, old),), stop=4)
    assert worker.run_job(setup, job).results
    foreign = as_before_identities(setup, trained(setup), "ab" * 32)
    with pytest.raises(Failure, match=r"trained with weights abababababab, not \w+; give back"):
        worker.run_job(setup, Job(1, (Assignment(TRIAL, 2, foreign),), stop=4))


@pytest.mark.parametrize(("change", "part"), CHANGES[:4], ids=[part.split()[0] for _, part in CHANGES[:4]])
def test_an_export_refuses_what_has_changed_since_the_study_began(
    setup: Setup, change: Callable[[Setup], Setup], part: str, tmp_path: Path
) -> None:
    study = begun(setup)
    digest, changed = trained(study), change(study)
    with pytest.raises(Failure) as caught:
        export(changed, TRIAL, digest, style="native", out=tmp_path / "out")
    assert f"are not what the study was begun with: {part}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_export_says_what_it_was_trained_on_and_works_with_nothing_else(setup: Setup, tmp_path: Path) -> None:
    study = begun(setup)
    digest, out = trained(study), tmp_path / "out"
    export(study, TRIAL, digest, style="native", out=out)
    card = Card.read(out)
    assert (card.adapter, card.step, card.identity) == (digest, 2, study.identity)
    assert evaluate(out, setup.task)["rows"] == 16
    other = zoo.save("encoder", tmp_path / "other")
    change_a_weight(other)
    uses: list[Callable[[], object]] = [lambda: load_export(out, model=str(other)), lambda: evaluate(out, setup.task, model=str(other))]
    for use in uses:
        with pytest.raises(WrongInput, match=rf"^{out}: was trained with weights \w+, not \w+, in {other}; give the right --model$"):
            use()
    change_the_tokenizer(setup)
    with pytest.raises(WrongInput, match=r"was trained with tokenizer \w+, not \w+, in .*; give the right --model$"):
        load_export(out)


@pytest.mark.slow
def test_an_export_from_before_identities_is_recognised_by_its_former_name(setup: Setup, tmp_path: Path) -> None:
    out, former = tmp_path / "out", former_fingerprint(worker.session(setup).backbone.model)
    export(setup, TRIAL, trained(setup), style="native", out=out)
    old = json.loads((out / "ulpt.json").read_text())
    for name in ("adapter", "step", "identity"):
        del old[name]
    (out / "ulpt.json").write_text(json.dumps({**old, "backbone_fingerprint": former}))
    assert load_export(out)(["w0 w1"])
    (out / "ulpt.json").write_text(json.dumps({**old, "backbone_fingerprint": "ab" * 32}))
    with pytest.raises(WrongInput, match=r"was trained with weights abababababab, not \w+"):
        load_export(out)


@pytest.mark.parametrize("style", [pytest.param("native", marks=pytest.mark.slow), pytest.param("peft", marks=pytest.mark.slow), "merged"])
def test_a_model_whose_checkpoint_has_no_pooler_is_continued_and_exported(tmp_path: Path, style: str) -> None:
    """Transformers would draw another pooler in each process: a worker, one that goes on, an export, its proof, and whoever uses it."""
    study = begun(of_model(save_without_pooler(tmp_path / "model")))
    values: Hyperparameters = {"rank": 1, "layers": "last:1", "lr": 0.05}
    trial = Trial(0, "lora", values, 3, count("lora", values, worker.session(study).backbone.shape)) if style == "merged" else TRIAL
    first = worker.run_job(study, Job(0, (Assignment(trial),), stop=2)).results[0].adapter
    worker.session.cache_clear()
    outcome = worker.run_job(study, Job(1, (Assignment(trial, 2, first),), stop=4))
    assert outcome.results, outcome
    with Fresh() as fresh:
        export(study, trial, outcome.results[0].adapter, style=style, out=tmp_path / "out", fresh=fresh)
    assert len(load_export(tmp_path / "out")(["w0 w1", "w2"])) == 2
