"""Adapters of written answers leave: stock PEFT with `generate` writes what our decoding writes, and so do a README's lines."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.exports import evaluate, export, load_export, verify
from ulpt_search.workers.exports.card import Card
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.exports.writing import asking_lines
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.tasks import Conversation, Turn
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.answer_scoring import score_answers, write_answers

from . import exporting, litter, task_files, written, zoo
from .test_proof import edited, run, snippets

STEPS = 30
SITES = ("prompt", "lora", "ia3", "prefix")
SOON = {("decoder", "prompt"), ("decoder", "lora"), ("decoder", "prefix"), ("gpt2", "prefix"), ("encoder-decoder", "prompt")}
PEFT = [
    pytest.param(family, name, "completion", marks=[] if (family, name) in SOON else [pytest.mark.slow])
    for family in ("decoder", "gpt2", "encoder-decoder")
    for name in SITES
]
FORMS = [
    pytest.param(family, name, form, marks=[] if (name, form) == ("lora", "chat") else [pytest.mark.slow])
    for family in ("decoder", "encoder-decoder")
    for form in ("chat", "question")
    for name in SITES
]


def trial(family: str, name: str) -> Trial:
    """A bold trial, but for LoRA, which boldness leads to say nothing at all."""
    return exporting.trial(family, name, {"lr": 0.01} if name == "lora" else None)


def row(asked: str, answer: str, form: str) -> dict[str, object]:
    """A question and its answer, as files of this form have them."""
    if form == "chat":
        return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
    return {"question": asked, "answer": answer} if form == "question" else {"prompt": asked, "completion": answer}


def setup(family: str, form: str = "completion") -> Setup:
    """A study of a few steps on the toy task of written answers, measured by them."""
    return _setup(family, form)  # one entry of the cache, whether the form is named or not


@cache
def _setup(family: str, form: str) -> Setup:
    folder = litter.folder(f"written-{family}-{form}")
    rows = [row(talk.question, talk.reference, form) for talk in written.rows(96).conversations]
    place = task_files.folder(folder / "said", train=rows[:64], validation=rows[64:80], test=rows[80:])
    task = TaskSpec("said", path=str(place), metric="token_f1", metrics=("perplexity", "exact_match"), template="plain", max_tokens=48)
    model = ModelSpec(zoo.saved(family), dtype="float32", device="cpu")
    return Setup(model, task, Training(steps=STEPS, rungs=(STEPS,), batch=8), store=str(folder / "store"))


def trained(family: str, name: str, form: str = "completion") -> str:
    """The hash of a trial that has learnt to say more than one thing."""
    return _trained(family, name, form)


@cache
def _trained(family: str, name: str, form: str) -> str:
    outcome = worker.run_job(setup(family, form), Job(0, (Assignment(trial(family, name)),), stop=STEPS))
    assert not outcome.problems, outcome.problems
    return outcome.results[0].adapter


def searched(family: str, name: str, form: str = "completion") -> tuple[str, ...]:
    """The test split's answers as the search decodes them."""
    here, config = setup(family, form), trial(family, name)
    session = worker.session(here)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(config, 0, trained(family, name, form))])
    answers, untrained = (write_answers(session, own, session.task.test)[0] for own in (pack, Pack([[]], device=pack.flat.device)))
    assert any(answers)
    assert answers != untrained
    return answers


def exported(family: str, name: str, style: str, out: Path, fresh: Fresh, form: str = "completion") -> Path:
    config = trial(family, name)
    export(setup(family, form), config, trained(family, name, form), style=style, out=out, fresh=fresh)
    return out


@pytest.mark.parametrize(("family", "name", "form"), [*PEFT, *FORMS])
def test_stock_peft_writes_what_the_search_does(family: str, name: str, form: str, tmp_path: Path, fresh: Fresh) -> None:
    if family == "encoder-decoder" and name == "prefix":
        with pytest.raises(WrongInput, match="has no exact peft form"):
            exported(family, name, "peft", tmp_path / "out", fresh, form)
        return
    out = exported(family, name, "peft", tmp_path / "out", fresh, form)
    predictor, task = load_export(out), worker.session(setup(family, form)).task
    assert predictor.answers(task.test.conversations) == list(searched(family, name, form))
    assert predictor.card.limits.tokens == 5


OTHERS = [
    ("decoder", "lora", "merged"),
    ("decoder", "dept", "native"),
    pytest.param("encoder-decoder", "prefix", "native", marks=pytest.mark.slow),
    pytest.param("encoder-decoder", "ia3", "merged", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("family", "name", "style"), OTHERS)
def test_other_formats_write_the_same(family: str, name: str, style: str, tmp_path: Path, fresh: Fresh) -> None:
    out = exported(family, name, style, tmp_path / "out", fresh)
    verdict = verify(out, fresh=fresh)
    assert verdict.fine, verdict
    predictor, session = load_export(out), worker.session(setup(family))
    assert predictor.answers(session.task.test.conversations) == list(searched(family, name))
    config = trial(family, name)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(config, 0, trained(family, name))])
    losses = session.trainer.predict(pack, session.splits["test"])[0]
    torch.testing.assert_close(predictor.losses(session.task.test), losses, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_a_readme_s_lines_write_the_answer(family: str, tmp_path: Path, fresh: Fresh) -> None:
    jobs, wanted = [], []
    prefix = [("peft", "prefix")] * (family == "decoder")
    for style, name in (("peft", "prompt"), ("peft", "lora"), ("merged", "lora"), ("native", "lora"), *prefix):
        out = exported(family, name, style, tmp_path / f"{style}-{name}", fresh)
        evidence = Card.read(out).evidence
        assert evidence is not None
        (lines,) = snippets(out)
        jobs.append((out, edited(lines, out, zoo.saved(family))))
        wanted += load_export(out).answers(evidence.conversations[-1:])
    assert run(jobs) == wanted
    assert all(wanted)


@pytest.mark.parametrize("style", ["peft", "native"])
def test_a_question_without_room_for_its_answer_is_named(style: str, tmp_path: Path, fresh: Fresh) -> None:
    predict = load_export(exported("decoder", "lora", style, tmp_path / "out", fresh))
    long = " ".join(["w9"] * 62)
    with pytest.raises(WrongInput, match=r"^predict: the row that asks 'w9 w9 .*': 6\d tokens, .* of up to 5 do not fit the model's 64"):
        predict(["w1 w2", long])


def test_tools_stand_in_a_readme_s_lines_as_python(tmp_path: Path, fresh: Fresh) -> None:
    card, backbone = Card.read(exported("decoder", "lora", "native", tmp_path / "out", fresh)), zoo.backbone("decoder")
    assert card.evidence is not None
    talk = Conversation((Turn("user", "w1"), Turn("assistant", "red")), '[{"name": "f", "strict": true, "default": null}]')
    template = "{{ tools | tojson }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}"
    card = replace(card, evidence=replace(card.evidence, conversations=(talk,)), template=template)
    made = {"tokenizer": backbone.tokenizer, "torch": torch}
    exec("\n".join(asking_lines(backbone, card)), made)  # as a reader of the card does
    assert str(made["text"]).startswith('[{"name": "f", "strict": true, "default": null}]w1')


def test_an_export_is_evaluated_by_its_task_s_metrics_and_refuses_another_kind(tmp_path: Path, fresh: Fresh) -> None:
    here, out = setup("decoder"), exported("decoder", "lora", "native", tmp_path / "out", fresh)
    found = evaluate(out, here.task)
    session, config = worker.session(here), trial("decoder", "lora")
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(config, 0, trained("decoder", "lora"))])
    wanted = score_answers(session, pack, "test", final=True)[0]
    assert found["score"] == pytest.approx(wanted.value)
    assert found["others"] == pytest.approx(dict(wanted.others), rel=1e-4)
    with pytest.raises(WrongInput, match=r"^evaluate: pydocs is a classification task; the adapter is of a generation task$"):
        evaluate(out, TaskSpec())


def test_questions_and_conversations_are_answered_and_pairs_are_not(tmp_path: Path, fresh: Fresh) -> None:
    predict = load_export(exported("decoder", "lora", "native", tmp_path / "out", fresh))
    talk = Conversation((Turn("system", "w7"), Turn("user", "w2 w14 w15")))
    answers = predict(["w2 w14 w15", talk])
    assert [answer["text"] for answer in answers] == ["w2 w14 w15", "w2 w14 w15"]
    assert set(answers[0]) == {"text", "answer"}
    with pytest.raises(WrongInput, match="got a pair of texts, wanted questions"):
        predict([("one", "two")])
