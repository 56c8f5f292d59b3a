"""Multiple choice: each row's own choices, as many as it likes, by their likelihood; read from files, trained, measured, exported."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count, rule
from ulpt_search.workers.exports import evaluate, export, load_export, verify
from ulpt_search.workers.exports.card import Card
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.readouts.choice import about, for_task, readout_of, template_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.readouts.readout import ABSENT
from ulpt_search.workers.model.readouts.row_choice import RowChoice
from ulpt_search.workers.tasks import Task, load_task
from ulpt_search.workers.training import tokens, worker

from . import families, multiple_choice, task_files, toy, zoo
from .exporting import STEPS, trained, trial
from .test_proof import edited, run, snippets
from .whole_labels import by_loss


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return multiple_choice.task(tmp_path_factory.mktemp("choices"))


def split(name: str, task: Task) -> Encoded:
    return encode(families.backbone(name), task.validation, max_tokens=40)


def choices_of(data: Encoded, row: int) -> list[tuple[int, ...]]:
    assert data.choices is not None
    return [tuple(int(token) for token in own if token >= 0) for own in data.choices.of([row])[0] if own[0] >= 0]


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", "mistral", "falcon_h1", "t5", "bart"])
def test_scores_are_the_loss_a_token_of_the_family_s_own_class(name: str, task: Task) -> None:
    backbone = families.backbone(name)
    readout, data = readout_of(backbone, task), split(name, task)
    found = frozen_scores.own_scores(backbone, readout, data, range(8))
    kernel = backbone.model.config._attn_implementation
    for row in range(8):
        own = choices_of(data, row)
        wanted = by_loss(backbone, data.ids[row].tolist(), own) / torch.tensor([float(len(choice)) for choice in own])
        torch.testing.assert_close(found[row, : len(own)], wanted, rtol=1e-5, atol=1e-5)
        assert (found[row, len(own) :] == ABSENT).all()
    attend_by(backbone.model, kernel)
    frozen_scores.require_same_scores(backbone, readout, data)


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_a_pack_trains_each_trial_as_if_alone_and_learns(family: str, task: Task) -> None:
    backbone = zoo.backbone(family)
    configs: list[toy.Config] = [
        ("lora", {"rank": 4, "lr": 0.03}, 1),
        ("prefix", {"prefix_length": 2}, 2),
        ("prompt", {"prompt_length": 3}, 3),
    ]
    configs = [config for config in configs if toy.fits(backbone, config)]
    run_ = replace(toy.trainer(backbone, steps=40), readout=readout_of(backbone, task))
    data = encode(backbone, task.train, max_tokens=32)

    def after(chosen: list[toy.Config], stop: int) -> Tensor:
        pack, follow = toy.pack(backbone, chosen), rule("lora", {})
        run_.train(pack, follow, follow.start(pack), [seed for _, _, seed in chosen], data, start=0, stop=stop)
        return run_.predict(pack, data)

    together = after(configs, 3)
    for position, config in enumerate(configs):
        torch.testing.assert_close(together[position], after([config], 3)[0], rtol=1e-6, atol=1e-8)
    assert float((after(configs[:1], 40)[0].argmax(-1) == torch.tensor(data.targets)).double().mean()) > 0.9


def test_sum_or_mean_and_both_are_another_study(task: Task, tmp_path: Path) -> None:
    backbone = families.backbone("llama")
    total = multiple_choice.task(tmp_path, scoring="sum")
    kinds = [readout_of(backbone, each) for each in (task, total)]
    assert [kind.asked.mean for kind in kinds if isinstance(kind, RowChoice)] == [True, False]
    assert template_of(backbone, task) != template_of(backbone, total)
    assert about(backbone.tokenizer, "decoder", task) == (
        "mean of the log-likelihoods of the tokens of each row's own choices behind 'Answer:' (one sequence a choice)"
    )


def test_other_choices_are_another_task(task: Task) -> None:
    rows = task.train
    moved = replace(rows, choices=(("one", "other"), *rows.choices[1:]))
    assert rows.take([2, 0]).choices == (rows.choices[2], rows.choices[0])
    from ulpt_search.workers.tasks.identity import task_side

    sides = [task_side(replace(task, train=each), template="", max_tokens=1) for each in (rows, moved)]
    assert sides[0].train != sides[1].train


def test_kept_tokens_hold_the_choices(task: Task, tmp_path: Path) -> None:
    backbone = zoo.backbone("decoder")
    plain, kept, again = (tokens.encoded(backbone, task, max_tokens=32, folder=place) for place in (None, tmp_path, tmp_path))
    for data in (kept["test"], again["test"]):
        assert [choices_of(data, row) for row in range(8)] == [choices_of(plain["test"], row) for row in range(8)]


@pytest.mark.parametrize(
    ("choices", "label", "message"),
    [
        ("red", 0, r"train.jsonl:2: choices is the text 'red', wanted a list of texts; JSONL and Parquet hold lists$"),
        (["red"], 0, r"train.jsonl:2: choices holds 1 text to choose from; give two or more$"),
        (["red", "red"], 0, r"train.jsonl:2: choices holds 1 text to choose from; give two or more$"),
        (["red", "blue"], 2, r"train.jsonl:2: its answer is number 2, counted from 0, and it has 2 choices$"),
    ],
)
def test_a_row_that_cannot_be_chosen_from_is_named_with_its_line(tmp_path: Path, choices: object, label: int, message: str) -> None:
    rows = multiple_choice.records(12)
    rows[1] = {"text_a": "w1", "choices": choices, "label": label}
    with pytest.raises(WrongInput, match=message):
        load_task(TaskSpec(path=str(task_files.folder(tmp_path, train=rows)), choices="choices"))


def test_choices_that_are_the_same_text_are_counted(tmp_path: Path) -> None:
    """Published data has them."""
    rows = multiple_choice.records(60)
    rows[1] = {"text_a": "w1 w2", "choices": ["red", "red", "blue"], "label": 0}
    task = load_task(TaskSpec(path=str(task_files.folder(tmp_path, train=rows)), choices="choices"))
    assert "rows in which two choices are the same text: 1" in task.notes


def test_what_makes_no_sense_is_refused_in_a_line(task: Task, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"^task.choices: an encoder has no likelihood of a choice"):
        readout_of(zoo.backbone("encoder"), task)
    with pytest.raises(WrongInput, match=r"^task.scoring: first makes nothing of choices"):
        readout_of(zoo.backbone("decoder"), multiple_choice.task(tmp_path, scoring="first"))


def test_a_head_has_no_labels_to_be_of(task: Task) -> None:
    shape = for_task(zoo.backbone("decoder"), task).shape
    with pytest.raises(WrongInput, match=r"^head: needs a task of two labels or more, got 0"):
        count("head", {}, shape)


@pytest.mark.parametrize(
    ("family", "name", "style"),
    [
        ("decoder", "ulpt", "peft"),
        pytest.param("decoder", "dept", "native", marks=pytest.mark.slow),
        ("decoder", "lora", "merged"),
        ("encoder-decoder", "ulpt", "native"),
        pytest.param("encoder-decoder", "lora", "peft", marks=pytest.mark.slow),
    ],
)
def test_exports_choose_as_the_search_did(family: str, name: str, style: str, tmp_path: Path, fresh: Fresh) -> None:
    spec = TaskSpec("choose", path=str(multiple_choice.folder(tmp_path)), choices="choices", max_tokens=32)
    recipe = Training(steps=STEPS, rungs=(STEPS,), batch=8)
    here = Setup(ModelSpec(zoo.saved(family), dtype="float32", device="cpu"), spec, recipe, store=str(tmp_path / "store"))
    config, out = trial(family, name), tmp_path / "out"
    digest = trained(here, config)
    export(here, config, digest, style=style, out=out, fresh=fresh)
    assert verify(out, fresh=fresh).fine
    session = worker.session(here)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(config, 0, digest)])
    wanted = session.trainer.predict(pack, session.splits["test"])[0]
    predictor, test = load_export(out), session.task.test
    torch.testing.assert_close(predictor.scores(test), wanted, rtol=1e-3, atol=1e-3)
    right = (wanted.argmax(-1) == torch.tensor(test.labels).long()).double().mean()
    assert evaluate(out, spec)["score"] == pytest.approx(float(right))
    evidence = Card.read(out).evidence
    assert evidence is not None
    (answer,) = predictor([evidence.texts[-1][0]], [evidence.choices[-1]])
    assert answer["label"] in evidence.choices[-1]
    with pytest.raises(WrongInput, match=r"got 0 lists of choices, wanted 1 lists of choices, one a text$"):
        predictor(["w1"])
    if style != "merged":
        (lines,) = snippets(out)
        (printed,) = run([(tmp_path, edited(lines, out, zoo.saved(family)))])
        assert printed == f"{answer['label']} {answer['probability']}"


def test_the_longest_choice_is_that_of_most_tokens_not_of_most_characters(tmp_path: Path) -> None:
    """Each long word is one token, of which there are more than are looked at; the short ones are three."""
    long = [{"text_a": f"w1 w{n} x{n}", "choices": [f"{'x' * 40}{n}", f"{'y' * 40}{n}"], "label": n % 2} for n in range(60)]
    short = [{"text_a": f"w2 w{n}", "choices": ["w1 w2 w3", "w4"], "label": n % 2} for n in range(3)]
    rows = [*short, *long]
    place = task_files.folder(tmp_path / "long", train=rows[:48], validation=rows[48:56], test=rows[56:])
    readout = readout_of(families.backbone("llama"), load_task(TaskSpec(path=str(place), choices="choices")))
    assert isinstance(readout, RowChoice)
    assert readout.longest == 3
