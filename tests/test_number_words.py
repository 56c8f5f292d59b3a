"""Numbers of language models, read off the likelihoods of numbers as they are written: which, how scored, trained, packed, refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.frozen_scores import own_scores, require_same_scores
from ulpt_search.workers.model.readouts.choice import about, for_task, readout_of, template_of, trained_tokens
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.readouts.number_wording import grid_of
from ulpt_search.workers.model.readouts.number_words import NumberWords
from ulpt_search.workers.model.readouts.texts import Texts
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.trainer import Trainer

from . import asked, exporting, numbered, toy, zoo
from .whole_labels import by_loss

WRITERS = ("decoder", "encoder-decoder")


@pytest.mark.parametrize(
    ("numbers", "first", "last", "size"),
    [
        ((0.0, 3.799999952316284, 5.0, 2.3329999446868896), "0.0", "5.0", 26),  # STS-B, as files of float32 hold it: what T5 writes
        ((1.0, 3.0, 5.0), "1", "5", 5),
        ((3.0, 97.0), "0", "100", 21),
        ((-1.0, 0.25, 1.0), "-1.0", "1.0", 21),
        ((1 / 3, 2 / 3), "0.32", "0.68", 19),
        ((2e5, 9.5e5), "200000", "950000", 16),
        ((10.0, 40.0), "10", "40", 4),
        ((2e-7, 5e-7), "0.0000002", "0.0000005", 4),
    ],
)
def test_numbers_are_those_of_the_rows_range_no_finer_than_theirs(numbers: tuple[float, ...], first: str, last: str, size: int) -> None:
    grid = grid_of(numbers)
    assert (grid.texts[0], grid.texts[-1], len(grid.texts)) == (first, last, size)
    assert grid.values[0] <= min(numbers) + 1e-6
    assert grid.values[-1] >= max(numbers) - 1e-6
    assert np.ptp(np.diff(grid.values)) < 1e-6 * max(map(abs, grid.values))


@pytest.mark.parametrize("family", WRITERS)
@pytest.mark.parametrize("calibration", ["none", "without_text"])
def test_a_number_is_expected_by_transformers_own_losses(family: str, calibration: str) -> None:
    backbone, task = numbered.backbone(family, torch.float32), numbered.task(calibration=calibration)
    readout = readout_of(backbone, task)
    assert isinstance(readout, NumberWords)
    data = encode(backbone, task.validation, max_tokens=24)
    require_same_scores(backbone, readout, data)
    found = own_scores(backbone, readout, data, range(4))
    kernel = backbone.model.config._attn_implementation
    told = torch.stack([by_loss(backbone, data.ids[row].tolist(), readout.asked.wording.tokens) for row in range(4)])
    attend_by(backbone.model, kernel)
    chances = (told - (0.0 if readout.words.prior is None else readout.words.prior)).softmax(-1)
    wanted = chances @ torch.tensor(readout.asked.grid.values, dtype=chances.dtype)
    torch.testing.assert_close(found[:, 0], wanted, rtol=1e-4, atol=1e-5)
    assert float(found.std()) > 0


@pytest.mark.parametrize("family", WRITERS)
@pytest.mark.parametrize("few", [False, True])
def test_training_is_on_the_likelihood_of_the_nearest_number(family: str, few: bool) -> None:
    """Of two numbers by cross-entropy; of more than 16 by the nearest one's alone."""
    backbone, task = numbered.backbone(family), numbered.task(few=few)
    task = task if few else replace(task, train=replace(task.train, labels=(*task.train.labels[1:], 5.0)))
    readout = readout_of(backbone, task)
    assert isinstance(readout, NumberWords)
    data = encode(backbone, task.train, max_tokens=24)
    ids, lengths, targets = data.batch([0, 1, 95], pad=0, device=backbone.device)
    texts = Texts(backbone.embed(ids), torch.zeros_like(lengths), lengths)
    wanted = readout.words.scores(texts)
    nearest = [int(np.abs(np.array(readout.asked.grid.values) - target).argmin()) for target in targets.tolist()]
    assert readout.nearest(targets).tolist() == nearest
    losses = readout.loss(readout.training_scores(texts, targets), targets)
    right = wanted[range(3), nearest]
    torch.testing.assert_close(losses, -right if readout.asked.wording.many else wanted.logsumexp(-1) - right)
    assert readout.asked.wording.many != few
    whole = readout.training_scores(texts, targets, whole=True)
    torch.testing.assert_close(whole, wanted)
    assert readout.disagreement(whole[None], whole[None] + 1.0).abs().max() < 1e-12, "likelihoods that all rise alike say the same"


CONFIGS: list[toy.Config] = [
    ("lora", {"rank": 2, "lr": 0.02}, 1),
    ("prompt", {"prompt_length": 2}, 2),
    ("prefix", {"prefix_length": 2}, 3),
    ("ulpt", {"prompt_length": 3, "dim": 4}, 4),
]


def run_of(family: str, *, steps: int) -> Trainer:
    backbone = for_task(numbered.backbone(family), numbered.task())
    return Trainer(backbone, readout_of(backbone, numbered.task()), Training(steps=steps, rungs=(steps,), batch=8))


@pytest.mark.parametrize("family", WRITERS)
def test_packed_as_alone(family: str) -> None:
    run, task = run_of(family, steps=3), numbered.task()
    _, together, scores = asked.train(run, task, CONFIGS, steps=3)
    for position, config in enumerate(CONFIGS):
        _, own, found = asked.train(run, task, [config], steps=3)
        torch.testing.assert_close(scores[position], found[0], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(together.losses[position], own.losses[0], rtol=1e-6, atol=1e-8)


def test_it_learns_numbers() -> None:
    _, _, scores = asked.train(run_of("decoder", steps=60), numbered.task(), CONFIGS[:1], steps=60)
    assert np.corrcoef(scores[0, :, 0].numpy(), numbered.task().train.labels)[0, 1] > 0.8


def test_heads_and_two_passes_train_beside_it(tmp_path: Path) -> None:
    """A head's score is a number where these passes give likelihoods: neither is taken for the other."""
    spec = TaskSpec("numbered", path=str(numbered.folder(tmp_path)), max_tokens=24, readout="numbers")
    setup = Setup(
        ModelSpec(numbered.saved("decoder"), dtype="float32", device="cpu"), spec, Training(2, (2,), batch=8), str(tmp_path / "s")
    )
    shape = worker.session(setup).backbone.shape
    names = ("lora", "lora+head", "head", "adamix", "adamix+head")
    trials = [Trial(n, name, values := exporting.bold(name), 0, count(name, values, shape)) for n, name in enumerate(names)]
    outcome = worker.run_job(setup, Job(0, tuple(map(Assignment, trials)), 2))
    assert not outcome.problems, outcome.problems
    assert len(outcome.results) == len(names)
    alone = [worker.run_job(setup, Job(0, (Assignment(trial),), 2)).results[0] for trial in trials]
    found = {result.trial: result for result in outcome.results}
    assert [found[one.trial].score for one in alone] == pytest.approx([one.score for one in alone], abs=1e-5)
    assert [found[one.trial].loss for one in alone] == pytest.approx([one.loss for one in alone], rel=1e-5)


def test_plan_says_it_and_what_makes_no_sense_is_refused() -> None:
    backbone, task = numbered.backbone("decoder"), numbered.task()
    said = about(backbone.tokenizer, "decoder", task)
    assert said.startswith("number to be expected of -0.4, -0.3 … 1.1, each of which is a label, weighed by the sum of the log-likelihoods")
    assert "-0.4, -0.3 … 1.1" in template_of(backbone, task)
    assert trained_tokens(backbone.tokenizer, "decoder", task, mask=None, text=20) > 20
    for family, asks, line in [
        ("encoder", task, "task.readout: numbers, but an encoder writes none"),
        ("decoder", replace(task, kind="classification"), "task.readout: numbers, but toy is a classification task"),
        ("decoder", numbered.task(scoring="mean"), "task.scoring: mean, but numbers are weighed by how likely all of their tokens are"),
    ]:
        with pytest.raises(WrongInput, match=line):
            about(backbone.tokenizer, family, asks)  # type: ignore[arg-type]
    with pytest.raises(WrongInput, match=r"numbers, but some of -0\.4, -0\.3 … 1\.1 are the same tokens to this model; take readout: auto"):
        about(zoo.tokenizer(), "decoder", task)
    both = replace(task.train, texts_b=task.train.texts_a)
    pairs = replace(numbered.task(pairs="apart"), train=both, validation=both, test=both)
    with pytest.raises(WrongInput, match=r"^task\.pairs: apart, but numbers stand behind a whole pair"):
        for_task(backbone, pairs)
