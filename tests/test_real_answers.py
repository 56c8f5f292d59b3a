"""Real models write real answers: a last letter is learnt from nothing, GSM8K goes from files to an adapter that stock PEFT loads."""

from pathlib import Path

import pytest

from ulpt_search.benchmarks.decoding import LORA, last_letter_task, learn
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import export, load_export
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.backbone import load
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.answer_scoring import write_answers

STEPS = 12
VALUES = {"rank": 1, "lr": 0.01}


@pytest.fixture
def models(shared: Path) -> Path:
    folder = shared.parent / "models"
    if not folder.is_dir():
        pytest.skip(f"no real models: {folder} is absent")
    return folder


@pytest.mark.slow
def test_a_last_letter_is_learnt_from_nothing_under_ten_thousand_parameters(models: Path) -> None:
    backbone = load(ModelSpec(str(models / "stories260K"), dtype="float32", device="cpu"))
    assert count("lora", LORA, backbone.shape) < 10_000
    before, after = learn(backbone, last_letter_task(), LORA, steps=200, rows=100, decoded=100)
    assert before[1] < 0.1
    assert after[1] > 0.9
    assert after[0] < before[0] / 10


def some(folder: Path, out: Path) -> Path:
    """The shortest of GSM8K's first rows, in a folder of their own."""
    lines = {split: (folder / f"{split}.jsonl").read_text(encoding="utf8").splitlines()[:400] for split in ("train", "validation")}
    short = {split: sorted(own, key=len) for split, own in lines.items()}
    out.mkdir()
    for split, own in (("train", short["train"][:64]), ("validation", short["validation"][:24]), ("test", short["validation"][24:40])):
        (out / f"{split}.jsonl").write_text("\n".join(own) + "\n", encoding="utf8")
    (out / "meta.json").write_bytes((folder / "meta.json").read_bytes())
    return out


@pytest.mark.slow
def test_gsm8k_goes_from_data_to_an_exported_adapter(models: Path, shared: Path, tmp_path: Path, fresh: Fresh) -> None:
    place = some(shared / "gsm8k", tmp_path / "gsm8k")
    task = TaskSpec("gsm8k", path=str(place), max_tokens=256, max_new_tokens=12, metric="perplexity", metrics=("last_number",))
    model = ModelSpec(str(models / "bitllama-3M"), dtype="float32", device="cpu")
    setup = Setup(model, task, Training(steps=STEPS, rungs=(1, STEPS), batch=4), store=str(tmp_path / "store"))
    session = worker.session(setup)
    trial = Trial(0, "lora", VALUES, seed=0, parameters=count("lora", VALUES, session.backbone.shape))
    (first,) = worker.run_job(setup, Job(0, (Assignment(trial),), stop=1)).results
    (last,) = worker.run_job(setup, Job(1, (Assignment(trial, 1, first.adapter),), stop=STEPS)).results
    assert -last.score < -0.8 * first.score, "perplexity falls on rows that were held out"
    export(setup, trial, last.adapter, style="peft", out=tmp_path / "out", fresh=fresh)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(trial, STEPS, last.adapter)])
    asked = session.task.test.take(range(4))
    assert load_export(tmp_path / "out").answers(asked.conversations) == list(write_answers(session, pack, asked)[0])
